"""Whose seed a number is: benchmarks, searches and confirmations have blocks that never meet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from space.space import Space

__all__ = [
    "BENCHMARK_SEEDS",
    "CONFIRM_OFFSET",
    "SEARCH_SEEDS",
    "SEED_KEYS",
    "keep_seeds",
    "seed_problem",
]

BENCHMARK_SEEDS = range(1_000)
"""What a benchmark may be run on."""
SEARCH_SEEDS = range(1_000, 1_000_000)
"""What a search's trials and their replicates are trained on."""
CONFIRM_OFFSET = SEARCH_SEEDS.stop
"""A confirmation's seeds lie so far above its search's, and so above every search's."""
SEED_KEYS = ("data.data_seed", "training.training_seed")
"""Where a config has its seeds: that of its pairs and their split, that of the training."""


def seed_problem(space: Space) -> str | None:
    """What is wrong where a seed of a space or of its replicates is none of `SEARCH_SEEDS`."""
    seeds = (space.data.data_seed, space.training.training_seed)
    for key, seed in zip(SEED_KEYS, seeds, strict=True):
        last = seed + space.replicates - 1
        if seed not in SEARCH_SEEDS or last not in SEARCH_SEEDS:
            found = f"found {seed}" + (f" to {last} with the replicates" if last > seed else "")
            return (
                f"{key}: {found}; expected {SEARCH_SEEDS.start} to {SEARCH_SEEDS.stop - 1}, since "
                f"{BENCHMARK_SEEDS.start} to {BENCHMARK_SEEDS.stop - 1} are for benchmarks and "
                "those above for confirmations"
            )
    return None


def keep_seeds(space: Space, identity: Mapping[str, Any]) -> Space:
    """The space with the seeds that its study was begun with, where it says nothing of them.

    Args:
        space: The space, as it was read from its file.
        identity: The study's terms.
    """
    sections = {}
    for key in SEED_KEYS:
        section, name = key.split(".")
        given = getattr(space, section)
        if name not in given.model_fields_set and key in identity:
            sections[section] = given.model_copy(update={name: identity[key]})
    return space.model_copy(update=sections)
