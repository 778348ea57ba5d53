"""The settings of configs by their dotted paths, and those in which some configs differ."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from space import RunConfig
from space.config import ELSEWHERE, SEED_KEYS
from space.study.identity import flat

__all__ = ["differing_settings", "settings_of"]


def settings_of(config: RunConfig) -> dict[str, Any]:
    """A config's settings by path, but for its seeds, for where it is trained and for what is."""
    apart = {*SEED_KEYS, *ELSEWHERE, "training.protocol"}
    tree = flat(config.model_dump(mode="json"))
    return {path: value for path, value in tree if path not in apart and value != config.what}


def differing_settings(configs: Iterable[RunConfig]) -> tuple[str, ...]:
    """Dotted paths of the settings in which the configs that have them differ, but for what is
    trained, which names say; of a config alone, of its numbers that are no counts."""
    trees = [settings_of(config) for config in configs]
    paths = dict.fromkeys(path for tree in trees for path in tree)
    if len(trees) == 1:
        return tuple(path for path in paths if isinstance(trees[0][path], float))
    values = {path: {str(tree[path]) for tree in trees if path in tree} for path in paths}
    return tuple(path for path in paths if len(values[path]) > 1)
