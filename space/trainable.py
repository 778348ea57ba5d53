"""The least that files need to know of what is trained, and where that is looked up."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from pydantic import create_model

from space.config import DEFAULT_TRAINABLE, FrozenModel, RecordedConfig, RunConfig
from space.errors import SpaceError

__all__ = ["ConfigHolder", "FilePart", "KnownTrainable", "find_trainable"]


class KnownTrainable(Protocol):
    """What a name in a file stands for; `trainables.contract.trainable` has the whole of it."""

    @property
    def config_type(self) -> type[RunConfig]:
        """Its config: the sections and settings that a file may have."""

    @property
    def pinned(self) -> str:
        """Its name, with an @ and the hash of its text behind it where it is a user's own."""


def find_trainable(name: str) -> KnownTrainable:
    """What a file's ``trainable`` names.

    Files are read below everything that is trained, so this is the one place that looks upwards,
    and only when a file is read.

    Args:
        name: A shipped trainable's name, ``file.py:Name`` or ``package.module:Name``.

    Raises:
        SpaceError: If there is none of that name, or its file is wrong.
    """
    found: KnownTrainable = importlib.import_module("trainables.finding.find").find_trainable(name)
    if "@" in name and name != found.pinned:
        bare, _, wanted = name.partition("@")
        raise SpaceError(
            f"{bare} has another text than the one meant here, which is {wanted} and not "
            f"{found.pinned.partition('@')[2]}: bring that text back, or take '@{wanted}' away"
        )
    return found


class FilePart(FrozenModel):
    """A part of a file whose keys depend on what is trained."""

    @classmethod
    def of(cls, tree: Mapping[str, Any]) -> type[Self]:
        """The type for a part's values.

        Raises:
            SpaceError: If what they name as trainable is none, or its file is wrong.
        """
        raise NotImplementedError

    @classmethod
    def _with(cls, **fields: tuple[Any, Any]) -> type[Self]:
        """The same type with further fields, or with others of the same names."""
        make: Any = create_model
        made: type[Self] = make(
            cls.__name__, __base__=cls, __module__=cls.__module__, __doc__=cls.__doc__, **fields
        )
        return made


class ConfigHolder(FilePart):
    """A part of a file that has the settings of a config beside its own.

    Attributes:
        config_type: The config's type; `holding` makes the type of a part for another.
    """

    config_type: ClassVar[type[RunConfig]] = RunConfig
    if TYPE_CHECKING:
        trainable: str

    @classmethod
    def of(cls, tree: Mapping[str, Any]) -> type[Self]:
        """See `FilePart.of`."""
        name = tree.get("trainable", DEFAULT_TRAINABLE)
        known = name if isinstance(name, str) else DEFAULT_TRAINABLE
        return cls.holding(find_trainable(known).config_type)

    @classmethod
    def recorded(cls, tree: Mapping[str, Any]) -> Self:
        """What was recorded, for readers: nothing but what is shipped is looked up for it.

        Raises:
            pydantic.ValidationError: If an earlier release recorded it, whose settings were others.
        """
        name = tree.get("trainable", DEFAULT_TRAINABLE)
        typed = cls.holding(RecordedConfig) if ":" in name else cls.of(tree)
        return typed.model_validate(tree)

    @classmethod
    @cache
    def holding(cls, config_type: type[RunConfig]) -> type[Self]:
        """The type of such a part for one type of config."""
        fields = {name: (f.rebuild_annotation(), f) for name, f in config_type.model_fields.items()}
        made = cls._with(**fields)
        made.config_type = config_type
        return made

    @classmethod
    def of_config(cls, config: RunConfig, **own: Any) -> Self:
        """A part with this config and with keys of its own."""
        settings = {name: getattr(config, name) for name in type(config).model_fields}
        return cls.holding(type(config))(**settings, **own)

    @property
    def config(self) -> RunConfig:
        """The config."""
        return self.config_type(
            **{name: getattr(self, name) for name in self.config_type.model_fields}
        )

    def with_config(self, config: RunConfig) -> Self:
        """The same part with another config of the same type."""
        return self.model_copy(
            update={name: getattr(config, name) for name in type(config).model_fields}
        )
