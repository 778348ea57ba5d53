"""The terms that may not change within a study, and how two sets of them differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from space.files.messages import describe
from space.parameters import CategoricalParameter
from space.paths import config_path

if TYPE_CHECKING:
    from space.space import Space

__all__ = ["WITHOUT_GPU", "difference", "of"]

WITHOUT_GPU = "without_gpu"
"""There where the file's part for trials without a GPU was laid over when the study was begun: what
matters of it shows in the other terms."""
_ELSEWHERE = {"data.root", "training.device"}
"""Where a run finds its data and computes: not what it computes."""


def of(space: Space) -> dict[str, Any]:
    """Dotted term -> value.

    The fixed config belongs to it as far as it enters every trial; a searched setting does not, but
    for one with a condition, which stays as fixed where the condition fails. Of a parameter its
    kind, its scale and its choices belong to it, its bounds do not: they may widen or narrow.
    """
    always_searched = {
        config_path(name) for name, parameter in space.parameters.items() if parameter.when is None
    }
    terms = {
        path: value
        for path, value in _flat(space.config.model_dump(mode="json"))
        if path not in always_searched | _ELSEWHERE
    }
    terms["replicates"] = space.replicates
    if space.without_gpu:
        terms[WITHOUT_GPU] = True
    for index, objective in enumerate(space.objectives):
        terms[f"objective.{index}"] = f"{objective.direction} {objective.metric}"
    for name, parameter in space.parameters.items():
        terms[f"parameters.{name}.type"] = parameter.type
        if parameter.when is not None:
            terms[f"parameters.{name}.when"] = str(parameter.when.model_dump(mode="json"))
        if isinstance(parameter, CategoricalParameter):
            terms[f"parameters.{name}.choices"] = list(parameter.choices)
        else:
            terms[f"parameters.{name}.log"] = parameter.log
    return terms


def difference(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> list[str]:
    """What changed from one identity to another.

    Returns:
        A line for each term, such as ``"training.epochs: 25 before, 10 now"``; empty where
        nothing changed.
    """
    return [
        f"{term}: {_words(earlier, term)} before, {_words(later, term)} now"
        for term in dict.fromkeys([*earlier, *later])
        if term != WITHOUT_GPU
        if term not in earlier or term not in later or not _same(earlier[term], later[term])
    ]


def _flat(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in tree.items():
        if isinstance(value, dict):
            found += _flat(value, f"{prefix}{key}.")
        else:
            found.append((prefix + key, value))
    return found


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(isinstance(one, bool) == isinstance(other, bool) and one == other)


def _words(terms: Mapping[str, Any], term: str) -> str:
    if term not in terms:
        return "absent"
    value = terms[term]
    if isinstance(value, list):
        return "[" + ", ".join(describe(each) for each in value) + "]"
    return describe(value)
