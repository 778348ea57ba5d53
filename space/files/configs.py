"""Config files: named configs to be run over several seeds and compared.

`python -m search.export` writes them, `python -m search.benchmark` runs them, and the report's
tables are such files (``space/paper/``).
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from space.config import DataConfig, FrozenModel, ModelConfig, RunConfig, TrainingConfig
from space.errors import SpaceError
from space.files.load import is_space_file, load_tree, parse_tree
from space.files.messages import refusal
from space.files.overrides import Override
from space.files.reader import file_name

__all__ = ["ConfigFile", "MeanStd", "NamedConfig", "Reported", "load_configs"]

LONGEST_NAME = 100
"""Characters that a name may have."""

_Share = Annotated[float, Field(ge=0, le=1)]


def _plain_name(name: str) -> str:
    if not name.isprintable() or name != name.strip() or not 1 <= len(name) <= LONGEST_NAME:
        raise refusal(f"expected 1 to {LONGEST_NAME} printable characters")
    return name


class MeanStd(FrozenModel):
    """A mean and a standard deviation (ddof 1) over runs."""

    mean: _Share
    """The mean of the runs' errors."""
    std: _Share
    """Their standard deviation."""


class Reported(FrozenModel):
    """What a publication reports for a config."""

    source: str
    """Where it is reported, e.g. ``"Table I"``."""
    n: Annotated[int, Field(ge=1)]
    """Runs that the numbers are over."""
    train_error: MeanStd
    """Training error of the kept state."""
    val_error: MeanStd
    """Validation error of the kept state."""
    test_error: MeanStd
    """Test error of the kept state."""


class NamedConfig(FrozenModel):
    """One config of the file; its seeds are replaced by those it is run with."""

    name: Annotated[str, AfterValidator(_plain_name)]
    """What tables call it."""
    data: DataConfig = Field(default_factory=DataConfig)
    """The pairs of digits."""
    model: ModelConfig
    """The network."""
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    """The optimisation."""
    reported: Reported | None = None
    """What a publication reports for it."""
    provenance: dict[str, Any] = Field(default_factory=dict)
    """Where an exported config comes from: study, trial, code, libraries, data."""

    @property
    def config(self) -> RunConfig:
        """The config, with the seeds that the file gives."""
        return RunConfig(data=self.data, model=self.model, training=self.training)

    def with_seed(self, seed: int) -> RunConfig:
        """The config of one run: the seed fixes the data draw, the split, the initialisation and
        the order, so that configs compared on the same seeds are compared in pairs.
        """
        return self.config.with_values({"data.data_seed": seed, "training.training_seed": seed})


class ConfigFile(FrozenModel):
    """A config file: a name and the configs, the first of them the reference of comparisons."""

    name: Annotated[str, AfterValidator(_plain_name)]
    """What the benchmark is called."""
    title: str = ""
    """What its table is headed with."""
    configs: Annotated[tuple[NamedConfig, ...], Field(strict=False, min_length=1)]
    """The configs."""

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [config.name for config in self.configs]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise refusal(f"found '{name}' a second time", "configs", index, "name")
        return self


def load_configs(path: str | Path, overrides: Sequence[str | Override] = ()) -> ConfigFile:
    """Read a config file.

    Args:
        path: A YAML file.
        overrides: Settings to lay over the file's, as for `space.load_space`.

    Returns:
        The file's configs.

    Raises:
        SpaceError: If the file or an override is wrong.
    """
    tree, name = load_tree(path), file_name(path)
    if is_space_file(tree):
        raise SpaceError(
            f"{name}: a search-space file; search it with `python -m search.launch --space "
            f"{shlex.quote(name)}`, or name a config file, which has 'name' and 'configs' and "
            "which `python -m search.export` writes"
        )
    return parse_tree(ConfigFile, tree, name, overrides)
