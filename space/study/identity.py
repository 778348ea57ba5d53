"""The terms that may not change within a study, and how two sets of settings differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from space.config import (
    BENCHMARK_SEEDS,
    DEFAULT_TRAINABLE,
    SEARCH_SEEDS,
    SEED_KEYS,
    RunConfig,
)
from space.words import describe

__all__ = ["WITHOUT_GPU", "changes_between", "difference", "flat", "seed_problem"]

WITHOUT_GPU = "without_gpu"
"""There where the file's part for trials without a GPU was laid over when the study was begun: what
matters of it shows in the other terms."""


def difference(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> list[str]:
    """What changed from one identity to another.

    Returns:
        A line for each term, such as ``"training.epochs: 25 before, 10 now"``; empty where
        nothing changed. Where something else is trained, all terms differ, and only that is said.
    """
    one, other = (terms.get("trainable", DEFAULT_TRAINABLE) for terms in (earlier, later))
    if one != other:
        return [f"trainable: {describe(one)} before, {describe(other)} now"]
    return [
        f"{term}: {_words(earlier, term)} before, {_words(later, term)} now"
        for term in dict.fromkeys([*earlier, *later])
        if term != WITHOUT_GPU
        if term not in earlier or term not in later or not _same(earlier[term], later[term])
    ]


def flat(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Nested settings as dotted path and value."""
    found: list[tuple[str, Any]] = []
    for key, value in tree.items():
        if isinstance(value, dict):
            found += flat(value, f"{prefix}{key}.")
        else:
            found.append((prefix + key, value))
    return found


def changes_between(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The settings that differ, a phrase each: ``budget.trials: 30, now 60``.

    Args:
        before: A space as JSON (`Space.model_dump(mode="json")`).
        after: Another.
    """
    old, new = dict(flat(before)), dict(flat(after))
    return [
        f"{key}: {old.get(key, 'not given')}, now {new.get(key, 'not given')}"
        for key in dict.fromkeys([*old, *new])
        if (key in old, old.get(key)) != (key in new, new.get(key))
    ]


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


def seed_problem(config: RunConfig, replicates: int) -> str | None:
    """What is wrong where a seed of a study is none of `SEARCH_SEEDS`; None where none is.

    Args:
        config: Its fixed config.
        replicates: Seeds that each trial is trained on, beginning with the config's.
    """
    for key in SEED_KEYS:
        seed = config.value(key)
        last = seed + replicates - 1
        if seed not in SEARCH_SEEDS or last not in SEARCH_SEEDS:
            found = f"found {seed}" + (f" to {last} with the replicates" if last > seed else "")
            return (
                f"{key}: {found}; expected {SEARCH_SEEDS.start} to {SEARCH_SEEDS.stop - 1}, "
                f"since {BENCHMARK_SEEDS.start} to {BENCHMARK_SEEDS.stop - 1} are for "
                "benchmarks and those above for confirmations"
            )
    return None
