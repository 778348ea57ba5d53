"""Search spaces: the files under ``space/`` and their typed form.

`load_space` reads a file into a `Space`; `RunConfig` is what a single run depends on.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from space.amounts import format_duration, parse_duration
    from space.config import Options, RunConfig, TrainingConfig
    from space.files.configs import ConfigFile, MeanStd, NamedConfig, Reported, load_configs
    from space.files.load import (
        SpaceFile,
        load_space,
        load_tree,
        parse_space,
        parse_tree,
        read_space_file,
    )
    from space.files.overrides import Override, parse_override
    from space.files.schema import json_schema
    from space.study.parameters import (
        CategoricalParameter,
        Condition,
        FloatParameter,
        IntParameter,
        Parameter,
        Value,
    )
    from space.study.pruners import Pruner
    from space.study.samplers import Sampler
    from space.study.space import Space
    from space.study.terms import Budget, Confirm, Objective, Resources

__all__ = [
    "Budget",
    "CategoricalParameter",
    "Condition",
    "ConfigFile",
    "Confirm",
    "FloatParameter",
    "IntParameter",
    "MeanStd",
    "NamedConfig",
    "Objective",
    "Options",
    "Override",
    "Parameter",
    "Pruner",
    "Reported",
    "Resources",
    "RunConfig",
    "Sampler",
    "Space",
    "SpaceFile",
    "TrainingConfig",
    "Value",
    "format_duration",
    "json_schema",
    "load_configs",
    "load_space",
    "load_tree",
    "parse_duration",
    "parse_override",
    "parse_space",
    "parse_tree",
    "read_space_file",
]

_WHERE = {
    "Budget": "space.study.terms",
    "CategoricalParameter": "space.study.parameters",
    "Condition": "space.study.parameters",
    "ConfigFile": "space.files.configs",
    "Confirm": "space.study.terms",
    "FloatParameter": "space.study.parameters",
    "IntParameter": "space.study.parameters",
    "MeanStd": "space.files.configs",
    "NamedConfig": "space.files.configs",
    "Objective": "space.study.terms",
    "Options": "space.config",
    "Override": "space.files.overrides",
    "Parameter": "space.study.parameters",
    "Pruner": "space.study.pruners",
    "Reported": "space.files.configs",
    "Resources": "space.study.terms",
    "RunConfig": "space.config",
    "Sampler": "space.study.samplers",
    "Space": "space.study.space",
    "SpaceFile": "space.files.load",
    "TrainingConfig": "space.config",
    "Value": "space.study.parameters",
    "format_duration": "space.amounts",
    "json_schema": "space.files.schema",
    "load_configs": "space.files.configs",
    "load_space": "space.files.load",
    "load_tree": "space.files.load",
    "parse_duration": "space.amounts",
    "parse_override": "space.files.overrides",
    "parse_space": "space.files.load",
    "parse_tree": "space.files.load",
    "read_space_file": "space.files.load",
}


def __getattr__(name: str) -> Any:
    """The names of `__all__`, each loaded when it is asked for (PEP 562): most need pydantic."""
    if name not in _WHERE:
        raise AttributeError(f"module 'space' has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)
