"""Whether the parameters and the sections of a space go together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial

from pydantic import ValidationError

from space.config import RunConfig
from space.errors import nearest
from space.messages import listed, phrase, refusal, together
from space.metrics import Measured
from space.study.parameters import (
    CategoricalParameter,
    Condition,
    FloatParameter,
    IntParameter,
    Parameter,
    Value,
)
from space.study.pruners import (
    AshaPruner,
    HyperbandPruner,
    NoPruner,
    PatientPruner,
    Pruner,
    WilcoxonPruner,
)
from space.study.samplers import CmaEsSampler, GridSampler, PBTSampler, Sampler
from space.study.terms import Confirm, Limits, Objective, Resources, WarmStart
from space.words import describe

__all__ = [
    "MOST_GRID_POINTS",
    "check_limits",
    "check_objectives",
    "check_population",
    "check_pruner",
    "check_ranges",
    "check_sampler",
    "check_warm_start",
    "complete_baselines",
    "grid_problem",
    "ordered",
    "searched_metrics",
]

MOST_VALUES = 1_000_000
"""Values of an int that a sampler lists one by one; as many as a float may have steps."""
MOST_GRID_POINTS = 100_000
"""A larger grid is refused: it would never end, and Optuna lists all of its points."""

_COSTS = ("train_seconds", "n_parameters")


def grid_problem(parameters: Mapping[str, Parameter], cells: Mapping[str, int]) -> str | None:
    """Why there is no grid over some parameters; None where there is one.

    Args:
        parameters: Name -> parameter.
        cells: Continuous parameter -> cells of its range.
    """
    counts = []
    for name, parameter in parameters.items():
        if parameter.when is not None:
            return f"a grid has no conditions, but {name} has one"
        n_points = parameter.n_points or cells.get(name)
        if n_points is None:
            return (
                f"a grid needs a finite set of values, but {name} is {parameter.span()}; give it "
                f"cells, e.g. cells: {{{name}: 5}}"
            )
        counts.append(n_points)
    if math.prod(counts) > MOST_GRID_POINTS:
        return f"the grid has {describe(math.prod(counts))} points; at most {MOST_GRID_POINTS}"
    return None


def check_ranges(parameters: Mapping[str, Parameter], config: RunConfig) -> None:
    """Refuse ranges that the settings which they search do not allow.

    Raises:
        pydantic_core.PydanticCustomError: With all that is wrong, and where. So do the others here.
    """
    together(partial(_check_range, name, each, config) for name, each in parameters.items())


def _check_range(name: str, parameter: Parameter, config: RunConfig) -> None:
    path = config.searched(name)
    for keys, value in parameter.extremes():
        try:
            config.with_values({path: value})
        except ValidationError as error:
            allowed = phrase(error.errors(include_url=False))
            raise refusal(
                f"found {describe(value)}; {path} must be {allowed}", "parameters", name, *keys
            ) from error


def searched_metrics(measured: Measured) -> list[str]:
    """What a search may aim at: it never sees the test split."""
    return [name for name in measured.by_name if not name.startswith("test_")]


def check_limits(limits: Limits, n_objectives: int, resources: Resources) -> None:
    """Refuse a plateau of several objectives, and a limit of what a team's leader does not use.

    Raises:
        PydanticCustomError: If there is one.
    """
    if limits.trial_memory is not None and resources.n_processes > 1:
        raise refusal(
            "the memory of a worker's own process is looked at, and with resources.strategy: ddp "
            "others train; leave one of them out",
            "limits",
            "trial_memory",
        )
    if limits.plateau is not None and n_objectives > 1:
        raise refusal(
            f"found {limits.plateau}; expected none, since there are {n_objectives} objectives",
            "limits",
            "plateau",
        )


def check_objectives(objectives: Sequence[Objective], measured: Measured) -> None:
    """Refuse objectives that are the same, are not measured, or say nothing of how well it does."""
    metrics = [objective.metric for objective in objectives]
    known = searched_metrics(measured)
    for index, metric in enumerate(metrics):
        if not measured.metrics and metric.startswith("test_"):
            raise refusal(
                f"found {describe(metric)}; a search never sees the test split",
                *(("objective", index, "metric") if index else ("objective", "metric")),
            )
        if measured.metrics and metric not in known:
            raise refusal(
                f"found {describe(metric)}; allowed: {listed(known)}{nearest(metric, known)}",
                *(("objective", index, "metric") if index else ("objective", "metric")),
            )
        if metric in metrics[:index]:
            raise refusal(f"found {describe(metric)} a second time", "objective", index, "metric")
    if all(metric in _COSTS for metric in metrics):
        raise refusal(
            f"found {' and '.join(metrics)} alone, which say nothing of how well a run does; "
            "expected a metric of the epochs beside them",
            "objective",
        )


def check_sampler(sampler: Sampler, parameters: Mapping[str, Parameter], n_objectives: int) -> None:
    """Refuse a sampler that cannot search these parameters for so many objectives."""
    name = sampler.name
    if isinstance(sampler, GridSampler):
        continuous = [key for key, each in parameters.items() if each.n_points is None]
        for key in sampler.cells:
            if key not in continuous:
                raise refusal(
                    f"no continuous parameter; there are: {listed(continuous) or 'none'}"
                    f"{nearest(key, continuous)}",
                    *("sampler", "cells", key),
                )
        problem = grid_problem(parameters, sampler.cells)
        if problem is not None:
            raise refusal(problem, "sampler", "name")
    if name == "gp" or (isinstance(sampler, CmaEsSampler) and sampler.with_margin):
        for key, parameter in parameters.items():
            if isinstance(parameter, IntParameter) and parameter.n_values > MOST_VALUES:
                raise refusal(
                    f"found {describe(parameter.high)}; {name} lists an int's values one by one, "
                    f"expected at most {describe(MOST_VALUES)} of them: lower it, give a step, or "
                    "choose another sampler",
                    *("parameters", key, "high"),
                )
    if name in ("cmaes", "pbt") and n_objectives > 1:
        raise refusal(f"{name} takes one objective; for several: tpe, nsga2, gp", "sampler", "name")
    if name == "cmaes" and not any(
        parameter.when is None and not isinstance(parameter, CategoricalParameter)
        for parameter in parameters.values()
    ):
        raise refusal("cmaes needs a float or int parameter without a condition", "sampler", "name")


def check_population(
    sampler: Sampler, pruner: Pruner, confirm: Confirm, resources: Resources
) -> None:
    """Refuse what does not go with trials that go on from one another."""
    if not isinstance(sampler, PBTSampler):
        return
    if not isinstance(pruner, NoPruner):
        raise refusal(
            f"found {describe(pruner.name)}; expected none, since pbt itself gives the places of "
            "the worst to the best",
            *("pruner", "name"),
        )
    if confirm.top:
        raise refusal(
            f"found {confirm.top}; expected 0, since under pbt a network's parameters changed as "
            "it was trained, and no single config stands for it",
            *("confirm", "top"),
        )
    if resources.n_processes > 1:
        raise refusal(
            "under pbt a run is trained by one process; leave it out", "resources", "strategy"
        )


def check_pruner(pruner: Pruner, *, epochs: int, replicates: int, n_objectives: int) -> None:
    """Refuse a pruner that cannot judge trials of so many epochs, replicates and objectives."""
    if n_objectives > 1 and not isinstance(pruner, NoPruner):
        raise refusal(
            f"found {describe(pruner.name)}; expected none, since a study of several "
            "objectives cannot prune",
            "pruner",
            "name",
        )
    if isinstance(pruner, WilcoxonPruner) and replicates < 2:
        raise refusal("wilcoxon compares replicates; expected 2 or more", "replicates")
    _check_epochs(pruner, epochs, "pruner")


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


def check_warm_start(
    start: WarmStart | None, study: str, sampler: Sampler, n_objectives: int
) -> None:
    """Refuse a warm start from the study itself, of a grid, or of several objectives."""
    if start is None:
        return
    if start.study == study:
        raise refusal(
            f"found {describe(study)}, the study itself; expected an earlier one",
            *("warm_start", "study"),
        )
    if sampler.name == "grid":
        raise refusal("a grid tries every point in any case; leave it out", "warm_start")
    if n_objectives > 1:
        raise refusal(
            "the best of an earlier study are those of one objective; leave it out", "warm_start"
        )


def complete_baselines(
    baselines: Sequence[Mapping[str, Value]],
    parameters: Mapping[str, Parameter],
    config: RunConfig,
) -> list[dict[str, Value]]:
    """Every baseline with the values of all parameters that are active in it.

    Args:
        baselines: What the file says of them.
        parameters: Name -> parameter.
        config: The fixed config, which has what a baseline leaves out.
    """
    found: list[dict[str, Value]] = []
    for index, given in enumerate(baselines):
        params = _complete(given, parameters, config, ("baselines", index))
        if params in found:
            raise refusal(f"the same as baselines.{found.index(params)}", "baselines", index)
        found.append(params)
    return found


def _complete(
    given: Mapping[str, Value],
    parameters: Mapping[str, Parameter],
    config: RunConfig,
    at: tuple[str | int, ...],
) -> dict[str, Value]:
    for name in given:
        if name not in parameters:
            raise refusal(
                f"unknown parameter; searched: {listed(parameters)}{nearest(name, parameters)}",
                *at,
                name,
            )
    params: dict[str, Value] = {}
    for name, parameter in parameters.items():
        if not parameter.is_active(params):
            if name in given:
                raise refusal("inactive here, since its condition does not hold", *at, name)
            continue
        path = config.searched(name)
        value = given[name] if name in given else config.value(path)
        if not parameter.contains(value):
            if name in given:
                raise refusal(f"found {describe(value)}; expected {parameter.span()}", *at, name)
            raise refusal(
                f"{name} is missing, and the fixed {path}, {describe(value)}, is not "
                f"{parameter.span()}",
                *at,
            )
        params[name] = parameter.normalise(value)
    return params


def ordered(
    parameters: Mapping[str, Parameter], config_type: type[RunConfig]
) -> dict[str, Parameter]:
    """The parameters in the file's order but that each comes after the one it depends on.

    Args:
        parameters: Name -> parameter.
        config_type: The type of the config whose settings they search.

    Returns:
        The same parameters; applied to its own result the function changes nothing.

    Raises:
        pydantic_core.PydanticCustomError: If a name is unknown, a condition can never hold, or
            conditions go round in a circle.
    """
    for name, parameter in parameters.items():
        if config_type.path_of(name) is None:
            known = config_type.searchable()
            shown = listed([*known, *config_type.PATTERNS])
            raise refusal(f"unknown parameter; allowed: {shown}{nearest(name, known)}", name)
        if parameter.when is not None:
            _check_condition(name, parameter.when, parameters)
    return {name: parameters[name] for name in _sorted(parameters)}


def _sorted(parameters: Mapping[str, Parameter]) -> list[str]:
    done: dict[str, None] = {}
    for name in parameters:
        waiting: list[str] = []
        step: str | None = name
        while step is not None and step not in done:
            if step in waiting:
                circle = " -> ".join([*waiting[waiting.index(step) :], step])
                raise refusal(f"conditions go round in a circle: {circle}", step, "when")
            waiting.append(step)
            when = parameters[step].when
            step = None if when is None else when.parameter
        done.update(dict.fromkeys(reversed(waiting)))
    return list(done)


def _check_condition(name: str, when: Condition, parameters: Mapping[str, Parameter]) -> None:
    at = (name, "when")
    parent = parameters.get(when.parameter)
    if parent is None:
        others = [other for other in parameters if other != name]
        raise refusal(
            f"found {describe(when.parameter)}, which is not searched; searched: "
            f"{listed(others)}{nearest(when.parameter, others)}",
            *at,
            "parameter",
        )
    if when.values is not None:
        if isinstance(parent, FloatParameter):
            raise refusal(
                f"{when.parameter} is a float; expected 'above' or 'below' instead", *at, "in"
            )
        for index, value in enumerate(when.values):
            if not parent.contains(value):
                raise refusal(
                    f"found {describe(value)}; {when.parameter} allows {parent.span()}",
                    *at,
                    "in",
                    index,
                )
    elif isinstance(parent, CategoricalParameter):
        raise refusal(f"{when.parameter} is categorical; expected 'in' instead", *at)
    else:
        low = parent.low if when.above is None else max(parent.low, when.above)
        high = parent.high if when.below is None else min(parent.high, when.below)
        ends_are_open = low == when.above or high == when.below
        if low > high or (low == high and ends_are_open):
            raise refusal(f"never holds: {when.parameter} is {parent.span()}", *at)
