"""Trials that nobody trained: drawn over a space, their errors a closed form and some noise."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from tests.dashboards.made.bulk_rows import DISTRIBUTIONS, EPOCHS, HOSTILE, MadeTrial

__all__ = ["BASELINE_PARAMS", "RUNGS", "draw_curve", "draw_grid_trials", "draw_trials"]

RUNGS = (3, 9)
BASELINE_PARAMS: dict[str, Any] = {
    "learning_rate": 1e-3,
    "learning_rate_decay": 1.0,
    "weight_decay": 1e-3,
    "aux_weight": 0.6,
}


def _draw(rng: np.random.Generator) -> dict[str, Any]:
    """A proposal, uniform over the space."""
    u_P = rng.random(4)
    return {
        "learning_rate": float(3e-4 * (1e-2 / 3e-4) ** u_P[0]),
        "learning_rate_decay": float(0.8 + 0.2 * u_P[1]),
        "weight_decay": float(1e-6 * 1e4 ** u_P[2]),
        "aux_weight": float(0.9 * u_P[3]),
    }


def draw_curve(rng: np.random.Generator, params: dict[str, Any]) -> list[float]:
    """Validation error after each epoch: a power law towards a floor that the params set."""
    floor = (
        0.12
        + 0.05 * abs(math.log10(params.get("learning_rate", 2e-3) / 2e-3))
        + 0.3 * abs(params.get("learning_rate_decay", 0.95) - 0.95)
        + 0.2 * (params.get("aux_weight", 0.6) - 0.6) ** 2
    )
    epoch_E = np.arange(1, EPOCHS + 1)
    curve_E = floor + (0.5 - floor) * epoch_E**-0.8 + rng.normal(0, 0.01, EPOCHS)
    return [round(float(error), 3) for error in np.clip(curve_E, 0.01, 0.6)]


def draw_trials(
    rng: np.random.Generator, n_trials: int, *, pruned: bool, two: bool, hostile: bool
) -> list[MadeTrial]:
    """A search's trials, the baseline first."""
    distributions = dict(DISTRIBUTIONS)
    if two:
        distributions["width"] = IntDistribution(4, 64)
    if hostile:
        distributions[HOSTILE] = CategoricalDistribution([HOSTILE, "plain"])
    proposals = [dict(BASELINE_PARAMS) if n == 0 else _draw(rng) for n in range(n_trials)]
    curves = [draw_curve(rng, params) for params in proposals]
    limits = _limits(curves)
    trials = []
    for number, (params, curve) in enumerate(zip(proposals, curves, strict=True)):
        if two:
            params["width"] = int(rng.integers(4, 65))
        if hostile:
            params[HOSTILE] = [HOSTILE, "plain"][number % 2]
        trial = MadeTrial(params=params, curves=[curve], distributions=distributions)
        trial.is_baseline = number == 0
        trial.resumed = number == n_trials // 2
        if number % 29 == 17:
            trial.state, trial.curves = "FAIL", [curve[:4]]
            trial.reason = HOSTILE if hostile else "the loss is not finite in epoch 4"
        elif pruned and number:
            for rung, limit in limits.items():
                if min(curve[:rung]) > limit:
                    trial.state, trial.curves = "PRUNED", [curve[:rung]]
                    break
        if two and trial.state == "COMPLETE":
            width = params["width"]
            trial.values = [min(curve) + 0.5 / width, float(1000 * width + 10 * width**2)]
        trials.append(trial)
    return trials


def _limits(curves: list[list[float]]) -> dict[int, float]:
    """For each rung the error that a third of the trials which got there have beaten."""
    limits: dict[int, float] = {}
    for rung in RUNGS:
        if curves:
            limits[rung] = float(np.quantile([min(curve[:rung]) for curve in curves], 1 / 3))
            curves = [curve for curve in curves if min(curve[:rung]) <= limits[rung]]
    return limits


def draw_grid_trials(rng: np.random.Generator, replicates: int) -> list[MadeTrial]:
    """A grid's trials, one a point."""
    names = ["deepconvnet-aux", "siamese-aux"]
    distributions = {
        "model": CategoricalDistribution(names),
        "aux_weight": FloatDistribution(0.0, 0.9, step=0.1),
    }
    return [
        MadeTrial(
            params=params,
            curves=[draw_curve(rng, params) for _ in range(replicates)],
            distributions=distributions,
            is_baseline=params == {"model": "siamese-aux", "aux_weight": 0.6},
        )
        for name in names
        for params in [{"model": name, "aux_weight": step / 10} for step in range(10)]
    ]
