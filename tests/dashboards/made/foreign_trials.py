"""Studies as plain Optuna leaves them: no runs, no launches, any step, state and value; in bulk."""

from __future__ import annotations

import datetime
import json
import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import optuna
import sqlalchemy as sa
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState

from storage.tables.attributes import BASELINE

__all__ = ["VALUES", "add_trials", "draw_trials"]

BEGIN = datetime.datetime(2030, 1, 1, 12)


def add_trials(
    engine: sa.Engine, study: optuna.Study, trials: Sequence[FrozenTrial], *, baselines: int = 0
) -> None:
    """Write trials into a study that has none, in one transaction.

    Optuna's own `add_trials` takes a transaction for each.

    Args:
        engine: The database's.
        study: The study.
        trials: From `optuna.create_trial`.
        baselines: The first of them carry the mark of a baseline of ours.
    """
    rows: dict[Any, list[dict[str, Any]]] = {}

    def add(model: Any, **values: Any) -> None:
        rows.setdefault(model.__table__, []).append(values)

    with engine.begin() as connection:
        last = connection.execute(sa.select(sa.func.max(models.TrialModel.trial_id))).scalar() or 0
        for number, trial in enumerate(trials):
            trial_id = last + 1 + number
            add(
                models.TrialModel,
                trial_id=trial_id,
                number=number,
                study_id=study._study_id,
                state=trial.state,
                datetime_start=None if trial.state.name == "WAITING" else BEGIN,
                datetime_complete=BEGIN if trial.state.is_finished() else None,
            )
            for objective, each in enumerate(trial.values or ()):
                value, kind = models.TrialValueModel.value_to_stored_repr(each)
                add(
                    models.TrialValueModel,
                    trial_id=trial_id,
                    objective=objective,
                    value=value,
                    value_type=kind,
                )
            for step, each in trial.intermediate_values.items():
                stored = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr(each)
                add(
                    models.TrialIntermediateValueModel,
                    trial_id=trial_id,
                    step=step,
                    intermediate_value=stored[0],
                    intermediate_value_type=stored[1],
                )
            for name, param in trial.params.items():
                distribution = trial.distributions[name]
                add(
                    models.TrialParamModel,
                    trial_id=trial_id,
                    param_name=name,
                    param_value=distribution.to_internal_repr(param),
                    distribution_json=distribution_to_json(distribution),
                )
            if number < baselines:
                add(
                    models.TrialUserAttributeModel,
                    trial_id=trial_id,
                    key=BASELINE,
                    value_json=json.dumps(trial.params),
                )
        for table, own in rows.items():
            connection.execute(table.insert(), own)


DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "rate": FloatDistribution(1e-5, 1, log=True),
    "share": FloatDistribution(-1, 1),
    "width": IntDistribution(1, 64),
    "kind": CategoricalDistribution(["x", None, True, 1.5, "<b>"]),
    "size": IntDistribution(1, 2**40, log=True),
}

VALUES: dict[str, Callable[[random.Random], float]] = {
    "usual": random.Random.random,
    "constant": lambda _: 0.5,
    "huge": lambda rng: rng.choice([1e308, -1e308, rng.random()]),
    "infinite": lambda rng: rng.choice([math.inf, -math.inf, rng.random()]),
    "never finite": lambda _: math.inf,
    "tiny": lambda rng: -1e-310 * rng.random(),
}
"""Kinds of objective values."""


def draw_trials(
    n: int,
    states: Sequence[TrialState],
    *,
    values: str = "usual",
    n_params: int = 2,
    conditional: bool = False,
    n_objectives: int = 1,
    steps: Sequence[int] = (),
    nan: bool = False,
) -> list[FrozenTrial]:
    """Trials that nobody trained.

    Args:
        n: How many.
        states: They have these in turn.
        values: One of `VALUES`.
        n_params: So many of `DISTRIBUTIONS`.
        conditional: A trial has each of them two times of three.
        n_objectives: Values of a complete trial.
        steps: A trial that has begun reported at the first of these, or at the first few.
        nan: A third of the reports are no number.
    """
    rng = random.Random(0)
    draw = VALUES[values]
    trials = []
    for number in range(n):
        state = states[number % len(states)]
        params: dict[str, Any] = {}
        for name in list(DISTRIBUTIONS)[:n_params]:
            if not conditional or rng.random() < 2 / 3:
                params[name] = _draw(DISTRIBUTIONS[name], rng)
        reported = steps[: 1 + rng.randrange(len(steps))] if steps else ()
        trials.append(
            optuna.create_trial(
                state=state,
                values=(
                    [draw(rng) for _ in range(n_objectives)]
                    if state == TrialState.COMPLETE
                    else None
                ),
                params=params,
                distributions={name: DISTRIBUTIONS[name] for name in params},
                intermediate_values=(
                    {}
                    if state == TrialState.WAITING
                    else {
                        step: math.nan if nan and rng.random() < 1 / 3 else draw(rng)
                        for step in reported
                    }
                ),
            )
        )
    return trials


def _draw(distribution: Any, rng: random.Random) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return rng.choice(distribution.choices)
    if isinstance(distribution, IntDistribution):
        return rng.randint(distribution.low, distribution.high)
    low, high = distribution.low, distribution.high
    if distribution.log:
        return math.exp(rng.uniform(math.log(low), math.log(high)))
    return rng.uniform(low, high)
