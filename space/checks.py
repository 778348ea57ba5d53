"""Whether the sections of a space go together."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from pydantic import ValidationError

from space import baselines
from space.files.messages import describe, phrase, refusal, together
from space.parameters import CategoricalParameter, IntParameter
from space.paths import config_path
from space.pruners import (
    AshaPruner,
    HyperbandPruner,
    NoPruner,
    PatientPruner,
    Pruner,
    WilcoxonPruner,
)
from space.samplers import CmaEsSampler

if TYPE_CHECKING:
    from space.space import Space

__all__ = ["MOST_GRID_POINTS", "check", "grid_problem"]

MOST_VALUES = 1_000_000
"""Values of an int that a sampler lists one by one; as many as a float may have steps."""
MOST_GRID_POINTS = 100_000
"""A larger grid is refused: it would never end, and Optuna lists all of its points."""

_COSTS = ("train_seconds", "n_parameters")


def check(space: Space) -> None:
    """Refuse a space whose sections contradict each other.

    Raises:
        pydantic_core.PydanticCustomError: With all that is wrong, and where.
    """
    parts = (_check_ranges, _check_objectives, _check_sampler, _check_pruner, baselines.complete)
    together(partial(part, space) for part in parts)


def grid_problem(space: Space) -> str | None:
    """Why there is no grid over the parameters; None where there is one."""
    counts = []
    for name, parameter in space.parameters.items():
        if parameter.when is not None:
            return f"a grid has no conditions, but {name} has one"
        if parameter.n_points is None:
            return f"a grid needs a finite set of values, but {name} is {parameter.span()}"
        counts.append(parameter.n_points)
    if math.prod(counts) > MOST_GRID_POINTS:
        return f"the grid has {describe(math.prod(counts))} points; at most {MOST_GRID_POINTS}"
    return None


def _check_ranges(space: Space) -> None:
    together(partial(_check_range, space, name) for name in space.parameters)


def _check_range(space: Space, name: str) -> None:
    path = config_path(name)
    for keys, value in space.parameters[name].extremes():
        try:
            space.config.with_values({path: value})
        except ValidationError as error:
            allowed = phrase(error.errors(include_url=False))
            raise refusal(
                f"found {describe(value)}; {path} must be {allowed}", "parameters", name, *keys
            ) from error


def _check_objectives(space: Space) -> None:
    metrics = [objective.metric for objective in space.objectives]
    for index, metric in enumerate(metrics):
        if metric in metrics[:index]:
            raise refusal(f"found {describe(metric)} a second time", "objective", index, "metric")
    if all(metric in _COSTS for metric in metrics):
        raise refusal(
            f"found {' and '.join(metrics)} alone, which say nothing of how well a network does; "
            "expected an error or a loss beside them",
            "objective",
        )


def _check_sampler(space: Space) -> None:
    name = space.sampler.name
    if name == "grid":
        problem = grid_problem(space)
        if problem is not None:
            raise refusal(problem, "sampler", "name")
    if name == "gp" or (isinstance(space.sampler, CmaEsSampler) and space.sampler.with_margin):
        for key, parameter in space.parameters.items():
            if isinstance(parameter, IntParameter) and parameter.n_values > MOST_VALUES:
                raise refusal(
                    f"found {describe(parameter.high)}; {name} lists an int's values one by one, "
                    f"expected at most {describe(MOST_VALUES)} of them: lower it, give a step, or "
                    "choose another sampler",
                    *("parameters", key, "high"),
                )
    if name == "cmaes":
        if len(space.objectives) > 1:
            raise refusal(
                "cmaes takes one objective; for several: tpe, nsga2, gp", "sampler", "name"
            )
        if not any(
            parameter.when is None and not isinstance(parameter, CategoricalParameter)
            for parameter in space.parameters.values()
        ):
            raise refusal(
                "cmaes needs a float or int parameter without a condition", "sampler", "name"
            )


def _check_pruner(space: Space) -> None:
    if len(space.objectives) > 1 and not isinstance(space.pruner, NoPruner):
        raise refusal(
            f"found {describe(space.pruner.name)}; expected none, since a study of several "
            "objectives cannot prune",
            "pruner",
            "name",
        )
    if isinstance(space.pruner, WilcoxonPruner) and space.replicates < 2:
        raise refusal("wilcoxon compares replicates; expected 2 or more", "replicates")
    _check_epochs(space.pruner, space.training.epochs, "pruner")


def _check_epochs(pruner: Pruner, epochs: int, *at: str) -> None:
    if isinstance(pruner, PatientPruner):
        if pruner.pruner is not None:
            _check_epochs(pruner.pruner, epochs, *at, "pruner")
        return
    halving = isinstance(pruner, AshaPruner | HyperbandPruner)
    for key in ("min_resource", "max_resource") if halving else ("n_warmup_steps",):
        value = getattr(pruner, key, None)
        if value is not None and value > epochs:
            raise refusal(f"found {value}; expected at most training.epochs, {epochs}", *at, key)
