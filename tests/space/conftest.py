"""A small space for tests to change, and what is said of it then."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from space import Space, load_space, parse_space
from space.errors import SpaceError

Build = Callable[..., Space]


@pytest.fixture
def tree() -> dict[str, Any]:
    """A valid space file as plain values, with one of everything that others build on."""
    return {
        "study": "small",
        "model": {"name": "siamese-aux", "width": 32, "options": {"dropout": 0.5}},
        "training": {"epochs": 9, "learning_rate": 1e-3, "aux_weight": 0.6},
        "parameters": {
            "aux_weight": {
                "type": "float",
                "low": 0.0,
                "high": 0.9,
                "step": 0.1,
                "when": {"parameter": "model", "in": ["siamese-aux"]},
            },
            "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-2, "log": True},
            "width": {"type": "int", "low": 16, "high": 128, "step": 16},
            "model": {"type": "categorical", "choices": ["siamese", "siamese-aux"]},
        },
        "pruner": {"name": "asha"},
        "baselines": [{}],
        "budget": {"trials": 4},
    }


@pytest.fixture
def build(tree: dict[str, Any]) -> Build:
    """The small space with overrides, as ``KEY=VALUE``, laid over it."""

    def build(*overrides: str) -> Space:
        return parse_space(tree, "small.yaml", overrides)

    return build


def _put(tree: dict[str, Any], key: str, value: Any) -> None:
    *parents, leaf = key.split(".")
    for parent in parents:
        tree = tree.setdefault(parent, {})
    if value is ...:
        del tree[leaf]
    else:
        tree[leaf] = value


def refusal(tree: dict[str, Any], path: Path, key: str, value: Any) -> str:
    """What is said of a space file in which a value was put at a key, or the key removed (...)."""
    _put(tree, key, value)
    path.write_text(yaml.safe_dump(tree, sort_keys=False))
    with pytest.raises(SpaceError) as caught:
        load_space(path)
    return str(caught.value)
