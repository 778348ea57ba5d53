"""Config files: named configs to be run over several seeds and compared.

`python -m search.export` writes them, `python -m search.benchmark` runs them, and the report's
tables are such files (``space/paper/``).
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from space.config import DEFAULT_TRAINABLE, SEED_KEYS, FrozenModel, RunConfig
from space.errors import SpaceError, nearest
from space.files.load import is_space_file, load_tree, parse_tree
from space.files.overrides import Override
from space.files.reader import file_name
from space.messages import refusal
from space.trainable import ConfigHolder, FilePart

__all__ = ["ConfigFile", "MeanStd", "NamedConfig", "Reported", "load_configs"]

LONGEST_NAME = 100
"""Characters that a name may have."""


def _plain_name(name: str) -> str:
    if not name.isprintable() or name != name.strip() or not 1 <= len(name) <= LONGEST_NAME:
        raise refusal(f"expected 1 to {LONGEST_NAME} printable characters")
    return name


class MeanStd(FrozenModel):
    """A mean and a standard deviation (ddof 1) over runs."""

    mean: float
    """The mean of the runs' values."""
    std: Annotated[float, Field(ge=0)]
    """Their standard deviation."""


class Reported(FrozenModel):
    """What a publication reports for a config: beside these, metrics of the kept state by name."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, MeanStd] = Field(init=False)

    source: str
    """Where it is reported, e.g. ``"Table I"``."""
    n: Annotated[int, Field(ge=1)]
    """Runs that the numbers are over."""

    @property
    def metrics(self) -> dict[str, MeanStd]:
        """Name of a metric -> what is reported of it."""
        return self.__pydantic_extra__


class NamedConfig(ConfigHolder):
    """One config of the file; its seeds are replaced by those it is run with."""

    name: Annotated[str, AfterValidator(_plain_name)]
    """What tables call it."""
    reported: Reported | None = None
    """What a publication reports for it."""
    provenance: dict[str, Any] = Field(default_factory=dict)
    """Where an exported config comes from: study, trial, code, libraries, data."""

    @model_validator(mode="after")
    def _reports_what_is_measured(self) -> Self:
        known = [metric.name for metric in self.config_type.measured.metrics]
        for name in self.reported.metrics if self.reported else ():
            if name not in known:
                raise refusal(
                    f"not measured; expected one of {', '.join(known)}{nearest(name, known)}",
                    "reported",
                    name,
                )
        return self

    def with_seed(self, seed: int) -> RunConfig:
        """The config of one run: the seed fixes the data draw, the split, the initialisation and
        the order, so that configs are compared seed by seed.
        """
        return self.config.with_values(dict.fromkeys(SEED_KEYS, seed))


class ConfigFile(FilePart):
    """A config file: a name and the configs, the first of them the reference of comparisons."""

    name: Annotated[str, AfterValidator(_plain_name)]
    """What the benchmark is called."""
    title: str = ""
    """What its table is headed with."""
    trainable: Annotated[str, Field(exclude_if=lambda name: name == DEFAULT_TRAINABLE)] = (
        DEFAULT_TRAINABLE
    )
    """What the configs are of: a shipped trainable's name, `file.py:Name` or
    `package.module:Name`."""
    configs: Annotated[tuple[NamedConfig, ...], Field(strict=False, min_length=1)]
    """The configs."""

    @classmethod
    def of(cls, tree: Mapping[str, Any]) -> type[Self]:
        """See `FilePart.of`."""
        return cls._holding(NamedConfig.of(tree))

    @classmethod
    def of_configs(cls, name: str, configs: Sequence[NamedConfig]) -> Self:
        """A file of some configs, all of one trainable."""
        first = configs[0]
        return cls._holding(type(first))(
            name=name, trainable=first.trainable, configs=tuple(configs)
        )

    @model_validator(mode="before")
    @classmethod
    def _of_one_trainable(cls, tree: Any) -> Any:
        """Say in each config what the file says of all."""
        configs = tree.get("configs") if isinstance(tree, dict) else None
        name = tree.get("trainable", DEFAULT_TRAINABLE) if isinstance(tree, dict) else None
        if name == DEFAULT_TRAINABLE or not isinstance(configs, list):
            return tree
        said = [{"trainable": name, **each} if isinstance(each, dict) else each for each in configs]
        return {**tree, "configs": said}

    @classmethod
    @cache
    def _holding(cls, named: type[NamedConfig]) -> type[Self]:
        several = tuple.__class_getitem__((named, ...))
        return cls._with(configs=(several, cls.model_fields["configs"]))

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
        path: A YAML file, or the name of a shipped one.
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
