"""``--set KEY=VALUE``: single settings laid over a file before it is checked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from space.errors import SpaceError
from space.files.reader import DEEPEST, parse_yaml
from space.messages import dotted
from space.words import describe

__all__ = ["Override", "apply_overrides", "parse_override"]

_LONGEST = 1000
_NAMED = ("sampler", "pruner")
"""Where a file may say a bare name, over which options can still be laid."""


@dataclass(frozen=True, kw_only=True)
class Override:
    """One setting from a command line."""

    key: str
    """Dotted path, e.g. ``training.epochs`` or ``baselines.0.learning_rate``."""
    value: Any
    """The new value, plain."""
    label: str
    """What the user wrote, to name it by in an error, e.g. ``--set training.epochs=10``."""


def parse_override(text: str) -> Override:
    """Read the argument of a ``--set``.

    Args:
        text: ``KEY=VALUE``, the value a YAML scalar or a list or mapping in brackets.

    Raises:
        SpaceError: If there is no key or the value is not valid YAML.
    """
    key, equals, value = text.partition("=")
    key = key.strip()
    label = f"--set {text}" if text.isprintable() and len(text) <= 80 else f"--set {describe(text)}"
    if not equals or not key:
        raise SpaceError(f"{label}: expected KEY=VALUE, such as training.epochs=10")
    if len(text) > _LONGEST:
        raise SpaceError(f"{label}: too long; at most {_LONGEST} characters")
    return Override(key=key, value=parse_yaml(value, label), label=label)


def apply_overrides(
    tree: dict[str, Any], overrides: Iterable[Override]
) -> list[tuple[tuple[str | int, ...], Override]]:
    """Lay overrides over a file's tree, in place and in order.

    Args:
        tree: As `read_yaml` returns it.
        overrides: The later of two for one key prevails.

    Returns:
        Each override with the path that it set.

    Raises:
        SpaceError: If a path leads through a value that holds no keys, or past a list's end.
    """
    return [(_apply(tree, override), override) for override in overrides]


def _apply(tree: dict[str, Any], override: Override) -> tuple[str | int, ...]:
    segments = override.key.split(".")
    if "" in segments or len(segments) > DEEPEST:
        raise SpaceError(f"{override.label}: {describe(override.key)} is not a key such as a.b.c")
    node: Any = tree
    path: list[str | int] = []
    while segments:
        key = _next_key(node, segments, path, override)
        path.append(key)
        if not segments:
            _put(node, key, override.value)
        else:
            node = _descend(node, key)
    return tuple(path)


def _next_key(
    node: Any, segments: list[str], path: Sequence[str | int], override: Override
) -> str | int:
    """Take the next key off the segments: a parameter's name may hold a dot."""
    if isinstance(node, dict):
        in_parameters = path == ["parameters"] or (len(path) == 2 and path[0] == "baselines")
        if in_parameters and segments[0] == "options" and len(segments) > 1:
            return f"{segments.pop(0)}.{segments.pop(0)}"
        return segments.pop(0)
    if not isinstance(node, list):
        raise SpaceError(
            f"{override.label}: {dotted(path)} is {describe(node)}, which holds no keys"
        )
    text = segments.pop(0)
    if not (text.isascii() and text.isdigit()) or len(text) > 6 or int(text) > len(node):
        raise SpaceError(
            f"{override.label}: {dotted(path)} is a list of {len(node)}; expected an index from 0 "
            f"to {len(node)}, found {describe(text)}"
        )
    return int(text)


def _put(node: Any, key: str | int, value: Any) -> None:
    if isinstance(node, list) and key == len(node):
        node.append(value)
    else:
        node[key] = value


def _descend(node: Any, key: str | int) -> Any:
    """The container below a key, made where there is none."""
    if isinstance(node, list):
        if key == len(node):
            node.append({})
        return node[int(key)]
    below = node.get(str(key))
    if below is None:
        node[str(key)] = {}
    elif isinstance(below, str) and key in _NAMED:
        node[str(key)] = {"name": below}
    return node[str(key)]
