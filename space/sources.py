"""Where a run's randomness comes from: sources that can be drawn anew one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from space.config import SEED_KEYS, RunConfig
from space.errors import UsageError
from space.words import joined

__all__ = ["SOURCES", "Source", "partners", "redrawn", "sources_of"]


class Source(NamedTuple):
    """A source of randomness."""

    path: str
    """The setting that has its seed."""
    words: str
    """What people call it."""


SOURCES = {
    "data": Source("data.data_seed", "data draw and split"),
    "training": Source("training.training_seed", "all of the training"),
    "weights": Source("training.init_seed", "initial weights"),
    "order": Source("training.order_seed", "order of the samples"),
    "augmentation": Source("training.augmentation_seed", "augmentation"),
    "dropout": Source("training.dropout_seed", "dropout masks"),
}


def sources_of(config: type[RunConfig], asked: Sequence[str] = ()) -> tuple[str, ...]:
    """The sources that are to be drawn anew in runs of a kind.

    Args:
        config: The type of their config.
        asked: Names of sources; with none, the data, the weights and the order, or the data and the
            training where all of the training has one seed.

    Returns:
        In the order of `SOURCES`.

    Raises:
        UsageError: If the runs have no seed for one of them.
    """
    training = config.sections()["training"].model_fields
    known = [
        name
        for name, source in SOURCES.items()
        if source.path in SEED_KEYS or source.path.partition(".")[2] in training
    ]
    for name in asked:
        if name not in known:
            raise UsageError(
                f"--vary: '{name}' has no seed of its own where all of the training has one seed; "
                f"there are {joined(known)}."
            )
    usual = ("data", "weights", "order") if "weights" in known else ("data", "training")
    return tuple(name for name in known if name in (asked or usual))


def redrawn(config: RunConfig, source: str, seed: int) -> RunConfig:
    """A run's config with one source drawn from another seed, and all else as it is."""
    return config.with_values({SOURCES[source].path: seed})


def partners(seeds: Sequence[int]) -> dict[int, int]:
    """Seed -> the one that a source is drawn from instead: the first two seeds trade, the next two,
    and so on, so that seeds that are added change nothing; an odd one out is left out."""
    n = len(seeds) // 2 * 2
    return {seeds[place]: seeds[place ^ 1] for place in range(n)}
