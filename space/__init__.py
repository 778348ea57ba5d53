"""Search spaces: the files under ``space/`` and their typed form.

`load_space` reads a file into a `Space`; `RunConfig` is what a single run depends on.
"""

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
