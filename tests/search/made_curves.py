"""Learning curves made by hand, and by the closed form."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from search.runs.seeds import replicate_config
from search.simulate.curves_file import LearningCurves, RecordedPoint, RecordedRun
from space import CategoricalParameter, RunConfig, Space, parse_space
from tests.harness.configs import open_run

SPACE: dict[str, Any] = {
    "study": "recorded",
    "trainable": "closed-form",
    "training": {"epochs": 4},
    "parameters": {"weight_decay": {"type": "float", "low": 0.0, "high": 1.0}},
    "sampler": {"name": "random"},
    "budget": {"trials": 1},
}


def a_run(*errors: float, seconds: float = 1.0, fresh: float | None = None) -> RecordedRun:
    """A run with these validation errors, an epoch each."""
    return RecordedRun(
        metrics={"val_error": errors, "val_loss": tuple(1 + error for error in errors)},
        epoch_seconds=seconds,
        fresh=fresh,
    )


def made_curves(runs: Sequence[Sequence[RecordedRun]], **changes: Any) -> LearningCurves:
    """Points at the centres of equal cells of a weight decay from 0 to 1, with these runs each."""
    space = parse_space({**SPACE, **changes}, "space")
    return LearningCurves(
        provenance={"command": "by hand"},
        truth="made by hand",
        space=space,
        points=tuple(
            RecordedPoint(params={"weight_decay": (index + 0.5) / len(runs)}, runs=tuple(of_point))
            for index, of_point in enumerate(runs)
        ),
    )


def closed_form_curves(space: Space, n_seeds: int = 1) -> LearningCurves:
    """Every point of a grid over a space, as `ClosedForm` trains it."""
    axes = [
        each.points()
        if isinstance(each, CategoricalParameter) or each.n_points is not None
        else each.centres(5)
        for each in space.parameters.values()
    ]
    points = []
    for values in itertools.product(*axes):
        params = dict(zip(space.parameters, values, strict=True))
        config = space.resolve(params)
        runs = tuple(_trained(replicate_config(config, seed)) for seed in range(n_seeds))
        points.append(RecordedPoint(params=params, runs=runs))
    return LearningCurves(provenance={}, truth="t", space=space, points=tuple(points))


def _trained(config: RunConfig) -> RecordedRun:
    run = open_run(config)
    while not run.finished:
        run.run_epoch()
    return RecordedRun(
        metrics={
            name: tuple(each[name] for each in run.history) for name in ("val_error", "val_loss")
        },
        epoch_seconds=1.0,
    )
