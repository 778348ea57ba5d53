"""Search-space files: read, overridden, checked, with one sentence for a mistake."""

from __future__ import annotations

import copy
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from space.errors import SpaceError
from space.files.messages import Mistake, describe, dotted, mistakes
from space.files.overrides import Override, apply_overrides, parse_override
from space.files.reader import file_name, read_yaml
from space.space import Space

__all__ = [
    "is_config_file",
    "is_space_file",
    "load_space",
    "load_tree",
    "parse_space",
    "parse_tree",
]

M = TypeVar("M", bound=BaseModel)


def load_space(path: str | Path, overrides: Sequence[str | Override] = ()) -> Space:
    """Read a search-space file.

    Args:
        path: A YAML file.
        overrides: Settings to lay over the file's before it is checked: ``KEY=VALUE`` as in
            ``--set``, or `Override`. Later ones prevail.

    Returns:
        The space, consistent throughout.

    Raises:
        SpaceError: If the file cannot be read, or it or an override is wrong: one sentence with the
            first mistake and the number of others.
    """
    tree, name = load_tree(path), file_name(path)
    if is_config_file(tree):
        raise SpaceError(
            f"{name}: a config file, whose configs are compared as they are; run it with "
            f"`python -m search.benchmark --config {shlex.quote(name)}`, or name a search-space "
            "file, which has 'study' and 'parameters'"
        )
    return parse_space(tree, name, overrides)


def is_config_file(tree: Mapping[str, Any]) -> bool:
    """Whether a file's values are meant for `space.load_configs`."""
    return "configs" in tree and "parameters" not in tree


def is_space_file(tree: Mapping[str, Any]) -> bool:
    """Whether a file's values are meant for `load_space`."""
    return "configs" not in tree and ("parameters" in tree or "study" in tree)


def parse_space(
    tree: Mapping[str, Any], source: str, overrides: Sequence[str | Override] = ()
) -> Space:
    """A space from plain values, such as ``Space.model_dump(mode="json")`` gives.

    Args:
        tree: The values; left as they are.
        source: What to call them in an error, e.g. the file's name.
        overrides: As in `load_space`.

    Raises:
        SpaceError: As in `load_space`.
    """
    return parse_tree(Space, tree, source, overrides)


def load_tree(path: str | Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping.

    Raises:
        SpaceError: If it cannot be read, is not valid YAML or holds something else.
    """
    tree = read_yaml(Path(path))
    if tree is None:
        raise SpaceError(f"{file_name(path)}: empty; expected a mapping of settings")
    if not isinstance(tree, dict):
        raise SpaceError(
            f"{file_name(path)}: found {describe(tree)}; expected a mapping of settings"
        )
    return tree


def parse_tree(
    model: type[M], tree: Mapping[str, Any], source: str, overrides: Sequence[str | Override] = ()
) -> M:
    """Check plain values against a type.

    Args:
        model: The type.
        tree: The values; left as they are.
        source: What to call them in an error.
        overrides: As in `load_space`.

    Raises:
        SpaceError: As in `load_space`.
    """
    changed = copy.deepcopy(dict(tree))
    placed = apply_overrides(
        changed, [parse_override(each) if isinstance(each, str) else each for each in overrides]
    )
    try:
        return model.model_validate(changed)
    except ValidationError as error:
        first, *others = mistakes(error, model, changed)
        more = "" if not others else f" (and {len(others)} more)"
        raise SpaceError(f"{_where(first, source, placed)}: {first.problem}{more}") from error


def _where(
    mistake: Mistake, source: str, placed: Sequence[tuple[tuple[str | int, ...], Override]]
) -> str:
    """The file and the key path, or the override that brought the mistake in."""
    for path, override in reversed(placed):
        if mistake.path == path:
            return override.label
        if mistake.path[: len(path)] == path:
            return f"{override.label}: {dotted(mistake.path)}"
    return f"{source}: {dotted(mistake.path)}" if mistake.path else source
