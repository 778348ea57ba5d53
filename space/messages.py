"""From the schema library's errors to the sentences that a person reads."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from space.errors import nearest
from space.locations import tags, tags_at, walk
from space.words import describe, joined

__all__ = ["Mistake", "dotted", "listed", "mistakes", "phrase", "refusal", "together"]

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_.-]{1,60}")
_OF_TYPE = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "finite_number": "a finite number",
    "float_type": "a number",
    "int_from_float": "an integer",
    "int_type": "an integer",
    "list_type": "a list",
    "model_attributes_type": "a mapping",
    "model_type": "a mapping",
    "string_type": "a string",
    "tuple_type": "a list",
}
_BOUNDS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}


class Mistake(NamedTuple):
    """What is wrong at one place of a file."""

    path: tuple[str | int, ...]
    """Keys and list indices that lead to the place."""
    problem: str
    """What was found there and what is allowed, without a full stop."""


def dotted(path: Iterable[str | int]) -> str:
    """A path as ``--set`` takes it, e.g. ``baselines.0.learning_rate``."""
    return ".".join(
        str(key) if isinstance(key, int) or _PLAIN_KEY.fullmatch(key) else describe(key)
        for key in path
    )


def listed(names: Iterable[object]) -> str:
    """Names or values behind one another, strings without quotes where they are plain."""
    return ", ".join(dotted([name]) if isinstance(name, str) else describe(name) for name in names)


def refusal(problem: str, *path: str | int) -> PydanticCustomError:
    """An error for validators to raise.

    Args:
        problem: What was found and what is allowed, as in `Mistake`.
        *path: Where, below the validated field or model.
    """
    return PydanticCustomError("refusal", "{problem}", {"problem": problem, "path": path})


def together(checks: Iterable[Callable[[], object]]) -> None:
    """Run some checks of validators to their end, and refuse whatever any of them refuses.

    Raises:
        PydanticCustomError: One for all of them.
    """
    found: list[dict[str, Any]] = []
    for check in checks:
        try:
            check()
        except PydanticCustomError as error:
            context = error.context or {}
            found += [context, *context.get("others", ())]
    if found:
        first, *others = found
        raise PydanticCustomError("refusal", "{problem}", {**first, "others": others})


def mistakes(error: ValidationError, model: type[BaseModel], tree: object) -> list[Mistake]:
    """What the schema library found, a mistake for each place.

    Args:
        error: What validating ``tree`` raised.
        model: The type that it was validated against.
        tree: The input.

    Returns:
        The mistakes in the order of the input's keys; at least one.
    """
    found: dict[tuple[str | int, ...], list[ErrorDetails]] = {}
    owners: dict[tuple[str | int, ...], type[BaseModel]] = {}
    more: list[Mistake] = []
    for details in error.errors(include_url=False):
        path, owner = walk(model, details["loc"], tree)
        if details["type"].startswith("union_tag"):
            path += (details["ctx"]["discriminator"].strip("'"),)
        elif details["type"] == "refusal":
            for other in details["ctx"].get("others", ()):
                more.append(Mistake(path + tuple(other["path"]), str(other["problem"])))
            path += tuple(details["ctx"]["path"])
        if details["type"] == "too_short" and found and path == next(reversed(found))[: len(path)]:
            continue  # a list is short of the entry that has just been refused
        found.setdefault(path, []).append(details)
        owners[path] = owner
    said = [Mistake(path, _problem(group, owners[path])) for path, group in found.items()]
    keys = list(tree) if isinstance(tree, dict) else []
    return sorted(
        said + more,
        key=lambda each: keys.index(each.path[0]) if each.path[:1] and each.path[0] in keys else -1,
    )


def phrase(group: Sequence[ErrorDetails]) -> str:
    """What would have been right in one place, e.g. ``"'auto' or at least 1"``."""
    return joined(dict.fromkeys(_expected(details) for details in group), "or")


def _expected(details: ErrorDetails) -> str:
    kind, context = details["type"], details.get("ctx", {})
    if kind in _OF_TYPE:
        return _OF_TYPE[kind]
    if kind in _BOUNDS:
        words, key = _BOUNDS[kind]
        return f"{words} {describe(context[key])}"
    if kind == "literal_error":
        return str(context["expected"])
    return details["msg"].removeprefix("Input should be ")


def _problem(group: Sequence[ErrorDetails], owner: type[BaseModel]) -> str:
    first = group[0]
    found, context = first["input"], first.get("ctx", {})
    match first["type"]:
        case "refusal":
            return str(context["problem"])
        case "missing":
            return "required, but missing"
        case "extra_forbidden":
            key = str(first["loc"][-1])
            allowed = sorted(field.alias or name for name, field in owner.model_fields.items())
            variant = "".join(f" of {tag}" for tag in tags(owner)[:1])
            return f"unknown key{variant}; allowed: {listed(allowed)}{nearest(key, allowed)}"
        case "too_short":
            return "empty; expected at least one entry"
        case "union_tag_not_found":
            return f"required, but missing; allowed: {listed(tags_at(owner, first['loc']))}"
        case "union_tag_invalid":
            tag = found.get(context["discriminator"].strip("'"))
            return _choice(tag, _quoted(context["expected_tags"]))
        case "literal_error" if len(group) == 1:
            return _choice(found, _quoted(context["expected"]))
    return f"found {describe(found)}; expected {phrase(group)}"


def _choice(found: object, allowed: Sequence[str]) -> str:
    near = nearest(found, allowed) if isinstance(found, str) else ""
    return f"found {describe(found)}; allowed: {listed(allowed)}{near}"


def _quoted(text: str) -> list[str]:
    return re.findall(r"'([^']*)'", text)
