"""What must hold of a trial's settings: how it is read, what it is asked of, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from space import Space, parse_space
from space.errors import SpaceError

Build = Callable[..., Space]


@pytest.mark.parametrize(
    ("constraint", "params", "reason"),
    [
        ("n_parameters <= 1e6", {}, None),
        ("n_parameters <= 1e5", {}, "n_parameters <= 1e5 (n_parameters 500000)"),
        ("width * learning_rate < 0.1", {"width": 64, "learning_rate": 0.001}, None),
        (
            "width * learning_rate < 0.1",
            {"width": 128, "learning_rate": 0.001},
            "(width 128, learning_rate 0.001)",
        ),
        # Searched or not, by its name or its path.
        ("training.epochs == 9 and model.width == 32 and batch_size > 0", {}, None),
        (
            "model != 'siamese' or width < 100",
            {"model": "siamese", "width": 128},
            "model 'siamese'",
        ),
        # A parameter whose condition fails has the fixed value.
        ("aux_weight < 0.5", {"model": "siamese", "aux_weight": 0.1}, "aux_weight 0.6"),
    ],
)
def test_a_constraint_holds_of_the_whole_config(
    build: Build, constraint: str, params: dict[str, Any], reason: str | None
) -> None:
    space = build(f'constraints=["{constraint}"]')
    found = space.broken(space.resolve(params), 500_000)
    assert (found is None) if reason is None else (found is not None and reason in found)


@pytest.mark.parametrize(
    ("constraint", "sentence"),
    [
        ("widht < 3", "did you mean 'width'"),
        ("width <", "cannot be read"),
        ("open('x')", "cannot hold"),
        ("width ** width < 3", "cannot hold"),
        ("", "cannot be read"),
    ],
)
def test_what_is_no_constraint_is_refused_with_its_place(
    tree: dict[str, Any], constraint: str, sentence: str
) -> None:
    tree["constraints"] = ["width > 0", constraint]
    with pytest.raises(SpaceError, match=r"small\.yaml: constraints\.1: the constraint") as refused:
        parse_space(tree, "small.yaml")
    assert sentence in str(refused.value)


def test_constraints_are_recorded_and_may_change_within_a_study(build: Build) -> None:
    space = build('constraints=["width < 100"]')
    assert space.model_dump(mode="json")["constraints"] == ["width < 100"]
    assert "constraints" not in build().model_dump(mode="json")
    assert build().difference(space.identity()) == []
