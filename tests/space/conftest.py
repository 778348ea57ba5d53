"""A small space for tests to change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from space import Space, parse_space

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
