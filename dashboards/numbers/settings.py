"""The settings of configs by their dotted paths, and those in which some configs differ."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from space import RunConfig
from space.config import ELSEWHERE, SEED_KEYS
from space.study.identity import flat

__all__ = ["differing_settings"]


def _settings_of(config: RunConfig) -> dict[str, Any]:
    """A config's settings by path, but for its seeds, for where it is trained and for what is."""
    apart = {*SEED_KEYS, *ELSEWHERE, "training.protocol"}
    tree = flat(config.model_dump(mode="json"))
    return {path: value for path, value in tree if path not in apart and value != config.what}


def differing_settings(configs: Iterable[RunConfig]) -> tuple[str, ...]:
    """Dotted paths of the settings in which the configs that have them differ, but for what is
    trained, which names say; of a config alone, of its numbers that are no counts.

    A setting is also had, at its default, by a config that leaves it out where another that trains
    the same names it.
    """
    trees = [(config, _settings_of(config)) for config in configs]
    paths = dict.fromkeys(path for _, tree in trees for path in tree)
    if len(trees) == 1:
        return tuple(path for path in paths if isinstance(trees[0][1][path], float))

    def n_values(path: str) -> int:
        having = {config.what for config, tree in trees if path in tree}
        values = [(config.what, tree.get(path, config.value(path))) for config, tree in trees]
        return len({str(v) for what, v in values if v is not None or what in having})

    return tuple(path for path in paths if n_values(path) > 1)
