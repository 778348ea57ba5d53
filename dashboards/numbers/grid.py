"""The curve of a grid search: error against one parameter, and what it says of a reference value.

Numbers alone; `search.grid_report` prints them. Every point is trained on the same seeds, so points
are compared in pairs, seed by seed, and corrected for how many of them are compared.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from dashboards.statistics.means import Summary, summarise
from dashboards.statistics.verdicts import Comparison, compare_all
from space import Value
from space.errors import UsageError, nearest
from storage import Store, StudyRecord
from storage.connect.engine import translated
from storage.summaries.confirmed import final_values

__all__ = [
    "Finding",
    "GridCurve",
    "GridPoint",
    "GridReport",
    "curve_of",
    "read_grid",
]

N_DIGITS = 12
"""Values of a parameter that agree in so many digits are one: 0.1 + 0.2 and 0.3, say."""


@dataclass(frozen=True, kw_only=True)
class GridPoint:
    """One value of the parameter.

    Attributes:
        value: The parameter's value.
        errors: The metric of the state kept, by replicate; replicate i has the same seed in every
            point.
        summary: Their mean, standard deviation and 95 % interval.
        comparison: Against the reference, paired over the seeds that both have, Holm-corrected for
            all points of the curve; negative differences are better. None for the reference itself,
            and where fewer than 2 seeds are shared.
    """

    value: float
    errors: dict[int, float]
    summary: Summary
    comparison: Comparison | None


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a curve says of the reference.

    Attributes:
        verdict: ``"best"``: no point has a lower mean. ``"worse"``: a point is better than it, with
            chance ruled out. ``"within noise"``: points with a lower mean are not distinguishable
            from it. ``"not known"``: it cannot be compared.
        rival: The point that the verdict is about: the best other one, where the reference is best
            the next best, where it is worse the best of those that are distinguishably better.
        difference: Mean of the reference minus that of the rival, over the seeds that both have:
            positive where the rival is better.
        n: Those seeds.
        n_points: Points of the curve, the reference included.
        n_worse: Points that are distinguishably worse than the reference.
    """

    verdict: Literal["best", "within noise", "worse", "not known"]
    rival: float | None
    difference: float | None
    n: int
    n_points: int
    n_worse: int


@dataclass(frozen=True, kw_only=True)
class GridCurve:
    """Error against the parameter, the study's other parameters fixed.

    Attributes:
        group: The values of the other parameters.
        points: Ascending by value.
        reference: The value that is asked about.
        finding: What the points say of it.
    """

    group: dict[str, Value]
    points: tuple[GridPoint, ...]
    reference: float
    finding: Finding


@dataclass(frozen=True, kw_only=True)
class GridReport:
    """A grid search read off the store.

    Attributes:
        study: The study.
        storage: The store, without credentials.
        metric: What is measured; lower is better.
        parameter: What it is measured against.
        reference: The value that is asked about.
        curves: One for each combination of the other parameters.
        data_source: The data set.
        trials: Trials by state; only complete ones are counted.
    """

    study: str
    storage: str
    metric: str
    parameter: str
    reference: float
    curves: tuple[GridCurve, ...]
    data_source: str
    trials: dict[str, int]


def read_grid(store: Store, study: str, *, parameter: str, reference: float) -> GridReport:
    """Read a grid search off the store.

    Args:
        store: The store.
        study: The study's name.
        parameter: The parameter that the curves run over; its values are numbers.
        reference: The value that is asked about.

    Returns:
        A curve for each combination of the study's other parameters.

    Raises:
        StudyNotFoundError: If the store does not hold the study.
        UsageError: If the study is no grid over the parameter, or nothing in it is complete.
    """
    study_id = store.study_id(study)
    record = store.study_records().get(study_id)
    if record is None:
        raise UsageError(f"--study {study}: not begun by search.launch; name another study.")
    with translated(store.url):
        loaded = optuna.load_study(study_name=study, storage=store.optuna_storage)
        trials = loaded.get_trials(deepcopy=False)
        direction = loaded.directions[0]
    if direction == StudyDirection.MAXIMIZE:
        raise UsageError(
            f"--study {study}: it maximises {record.metrics[0]}; a grid report compares what is "
            "better when lower."
        )
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if not complete:
        raise UsageError(f"--study {study}: no trial is complete yet; search on, then ask again.")
    _check_parameter(study, parameter, complete)
    complete = [trial for trial in complete if parameter in trial.params]
    errors = _errors(store, record, complete)
    groups: dict[tuple[tuple[str, Value], ...], dict[float, dict[int, float]]] = {}
    for trial in complete:
        others = {key: trial.params[key] for key in sorted(trial.params) if key != parameter}
        points = groups.setdefault(tuple(others.items()), {})
        of_value = points.setdefault(_rounded(trial.params[parameter]), {})
        for replicate, error in errors[trial._trial_id].items():
            # A baseline is one of the grid's points again: the same runs, so the first ones count.
            of_value.setdefault(replicate, error)
    reference = _rounded(reference)
    curves = tuple(
        curve_of(dict(group), points, reference)
        for group, points in sorted(groups.items(), key=lambda item: str(item[0]))
    )
    _check_grid(study, parameter, reference, curves)
    states = [trial.state.name for trial in trials]
    return GridReport(
        study=study,
        storage=store.name,
        metric=record.metrics[0],
        parameter=parameter,
        reference=reference,
        curves=curves,
        data_source=record.data_source,
        trials={state: states.count(state) for state in dict.fromkeys(states)},
    )


def curve_of(
    group: dict[str, Value], points: Mapping[float, Mapping[int, float]], reference: float
) -> GridCurve:
    """A curve from its errors.

    Args:
        group: The values of the other parameters.
        points: For each value of the parameter its errors by replicate, finite; none is empty.
        reference: The value that is asked about; it need not be among them.

    Returns:
        The curve, its points compared and judged.
    """
    values = sorted(value for value in points if points[value])
    seeds = points.get(reference, {}).keys()
    compared = [value for value in values if len(seeds & points[value].keys()) >= 2]
    comparisons: dict[float, Comparison] = {}
    if reference in compared:
        found = compare_all({str(value): points[value] for value in compared}, str(reference))
        comparisons = {float(each.name): each for each in found}
    return GridCurve(
        group=group,
        points=tuple(
            GridPoint(
                value=value,
                errors=dict(sorted(points[value].items())),
                summary=summarise([points[value][seed] for seed in sorted(points[value])]),
                comparison=comparisons.get(value),
            )
            for value in values
        ),
        reference=reference,
        finding=_finding(comparisons),
    )


def _finding(comparisons: Mapping[float, Comparison]) -> Finding:
    """What the comparisons with the reference, by value, say of it."""
    n_points = len(comparisons) + 1
    n_worse = sum(each.verdict == "worse" for each in comparisons.values())
    if not comparisons:
        return Finding(verdict="not known", rival=None, difference=None, n=0, n_points=0, n_worse=0)

    def difference(value: float) -> float:
        return comparisons[value].paired.mean_difference

    rival = min(comparisons, key=difference)
    better = [value for value, each in comparisons.items() if each.verdict == "better"]
    verdict: Literal["best", "within noise", "worse"]
    if better:
        verdict, rival = "worse", min(better, key=difference)
    else:
        verdict = "best" if difference(rival) >= 0 else "within noise"
    return Finding(
        verdict=verdict,
        rival=rival,
        difference=-difference(rival),
        n=comparisons[rival].paired.n,
        n_points=n_points,
        n_worse=n_worse,
    )


def _errors(
    store: Store, record: StudyRecord, complete: Sequence[FrozenTrial]
) -> dict[int, dict[int, float]]:
    """The objective of complete trials' runs: by trial, then by replicate; finite ones alone."""
    found: dict[int, dict[int, float]] = {trial._trial_id: {} for trial in complete}
    runs = [run for run in store.runs(record.study_id, "search") if run.state == "complete"]
    values = final_values(store, runs, record.metrics[0], record.measured)
    for run in runs:
        if run.trial_id in found and math.isfinite(values[run.run_id]):
            found[run.trial_id][run.replicate] = values[run.run_id]
    return found


def _rounded(value: float) -> float:
    return float(f"{value:.{N_DIGITS}g}")


def _check_parameter(study: str, parameter: str, complete: Sequence[FrozenTrial]) -> None:
    names = sorted({name for trial in complete for name in trial.params})
    values = [trial.params[parameter] for trial in complete if parameter in trial.params]
    if parameter not in names:
        raise UsageError(
            f"--parameter {parameter}: study '{study}' searches {', '.join(names) or 'nothing'}"
            f"{nearest(parameter, names)}"
        )
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        raise UsageError(
            f"--parameter {parameter}: its values in study '{study}' are no numbers; name a "
            "parameter whose values are."
        )


def _check_grid(study: str, parameter: str, reference: float, curves: Sequence[GridCurve]) -> None:
    if all(len(curve.points) < 2 for curve in curves):
        raise UsageError(
            f"--study {study}: no two complete trials differ in {parameter} alone, so there is no "
            "curve; a grid over it has some."
        )
    values = sorted({point.value for curve in curves for point in curve.points})
    if reference not in values:
        raise UsageError(
            f"--reference {reference:g}: no complete trial has it; {parameter} is "
            f"{', '.join(f'{value:g}' for value in values)}."
        )
