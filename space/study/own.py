"""Samplers and pruners of a library or of the user's own, by import path."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection
from types import ModuleType
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field

from space.config import FrozenModel, by_name
from space.errors import SpaceError, nearest
from space.messages import listed, refusal
from space.words import describe

__all__ = ["ByPath", "ImportPath", "OwnClass", "class_in", "imported", "title"]

_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def _import_path(path: str) -> str:
    if not _PATH.fullmatch(path):
        raise refusal(
            f"found {describe(path)}; expected a module and a class, as in package.module:Class"
        )
    return path


ImportPath = Annotated[
    str, AfterValidator(_import_path), Field(json_schema_extra={"pattern": f"^{_PATH.pattern}$"})
]


class ByPath(FrozenModel):
    """A class by its import path as its name, its options beside that."""

    model_config = ConfigDict(extra="allow")

    name: ImportPath
    """Module and class, as in `package.module:Class`."""


class OwnClass(FrozenModel):
    """What a file says as `{name: "package.module:Class", ...}`, its options apart."""

    name: Literal["own"]
    """By import path."""
    path: ImportPath
    """Module and class, as in `package.module:Class`."""
    options: dict[str, Any] = Field(default_factory=dict)
    """What the class is called with, by keyword."""


def imported(value: Any, apart: Collection[str] = ()) -> Any:
    """What a name with a colon stands for, and what a bare name does.

    Args:
        value: What stands in the file.
        apart: Keys that are no options of the class.
    """
    value = by_name(value)
    path = value.get("name") if isinstance(value, dict) else None
    if not isinstance(path, str) or ":" not in path:
        return value
    rest = {key: each for key, each in value.items() if key != "name"}
    own = {key: rest.pop(key) for key in apart if key in rest}
    return {"name": "own", "path": path, "options": rest, **own}


def class_in(key: str, module: ModuleType, path: str, base: type) -> Any:
    """A module's class that derives from another.

    Args:
        key: Where the user names it, for the message.
        module: The module.
        path: How the user names both, as in ``mine.py:Class``.
        base: What it is to derive from.

    Raises:
        SpaceError: If the module has no such class; it names those that it has.
    """
    where, _, name = path.partition(":")
    known = {
        each: value
        for each, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, base) and value is not base
    }
    if name not in known:
        raise SpaceError(
            f"{key}: {where} has no class '{name}' that derives from {base.__name__}; it has "
            f"{listed(known) or 'none'}{nearest(name, known)}"
        )
    return known[name]


def title(config: FrozenModel) -> str:
    """What a sampler or a pruner is called where it is shown."""
    return str(config.path if isinstance(config, OwnClass) else getattr(config, "name", ""))
