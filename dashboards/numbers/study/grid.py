"""The curve of a grid search over one parameter, and what it says of a reference value.

Numbers alone; `search.grid_report` prints them. Every point is trained on the same seeds, so points
are compared seed by seed, and corrected for how many of them are compared.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import optuna
from optuna.trial import FrozenTrial, TrialState

from dashboards.statistics.means import Summary, summarise
from dashboards.statistics.verdicts import Comparison, compare_all
from space import Value
from space.errors import UsageError, nearest
from space.metrics import Measured, Metric, rank
from space.notation import Notation
from storage import RunRecord, Store, StudyRecord
from storage.connect.engine import translated
from storage.summaries.best import objectives
from storage.summaries.confirmed import final_values
from storage.tables.attributes import BASELINE

__all__ = [
    "Finding",
    "GridCurve",
    "GridPoint",
    "GridReport",
    "curve_of",
    "read_grid",
]

FIGURES = 12
"""Values of a parameter that agree in so many figures are one: 0.1 + 0.2 and 0.3, say."""


@dataclass(frozen=True, kw_only=True)
class GridPoint:
    """One value of the parameter.

    Attributes:
        value: The parameter's value.
        values: The metric of the state kept, by replicate; replicate i has the same seed in every
            point.
        summary: Their mean, standard deviation and 95 % interval.
        comparison: Against the reference, paired over the seeds that both have, Holm-corrected for
            all points of the curve. None for the reference itself, without one, and where fewer
            than 2 seeds are shared.
    """

    value: float
    values: dict[int, float]
    summary: Summary
    comparison: Comparison | None


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a curve says of the reference.

    Attributes:
        verdict: ``"best"``: no point has a better mean. ``"worse"``: a point is better than it,
            with chance ruled out. ``"within noise"``: points with a better mean are not
            distinguishable from it. ``"not known"``: it cannot be compared.
        rival: The point that the verdict is about: the best other one, where the reference is best
            the next best, where it is worse the best of those that are distinguishably better.
        behind: How much worse the mean of the reference is than that of the rival, over the seeds
            that both have; negative where it is better.
        n: Those seeds.
        n_points: Points of the curve, the reference included.
        n_worse: Points that are distinguishably worse than the reference.
    """

    verdict: Literal["best", "within noise", "worse", "not known"]
    rival: float | None
    behind: float | None
    n: int
    n_points: int
    n_worse: int


@dataclass(frozen=True, kw_only=True)
class GridCurve:
    """The metric against the parameter, the study's other parameters fixed.

    Attributes:
        group: The values of the other parameters.
        points: Ascending by value.
        reference: The value that is asked about, if any is.
        finding: What the points say of it.
    """

    group: dict[str, Value]
    points: tuple[GridPoint, ...]
    reference: float | None
    finding: Finding


@dataclass(frozen=True, kw_only=True)
class GridReport:
    """A grid search read off the store.

    Attributes:
        study: The study.
        storage: The store, without credentials.
        measured: What is measured of the runs.
        selections: By what the runs keep a state: see `Measured.rules`.
        metric: The objective.
        parameter: What it is measured against.
        reference: The value that is asked about, if any is.
        curves: One for each combination of the other parameters.
        data_source: The data set.
        trials: Trials by state; only complete ones are counted.
    """

    study: str
    storage: str
    measured: Measured
    selections: tuple[str, ...]
    metric: Metric
    parameter: str
    reference: float | None
    curves: tuple[GridCurve, ...]
    data_source: str
    trials: dict[str, int]

    @property
    def notation(self) -> Notation:
        """How the metric's values are written."""
        return self.metric.notation(
            point.summary.mean for curve in self.curves for point in curve.points
        )


def read_grid(
    store: Store, study: str, *, parameter: str | None = None, reference: float | None = None
) -> GridReport:
    """Read a grid search off the store.

    Args:
        store: The store.
        study: The study's name.
        parameter: The parameter that the curves run over; its values are numbers. Default: the one
            of which that is so.
        reference: The value that is asked about; default: that of the baseline, if there is one.

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
    metric, *_ = objectives(store, study_id)
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if not complete:
        raise UsageError(f"--study {study}: no trial is complete yet; search on, then ask again.")
    parameter = _parameter(study, parameter, complete)
    complete = [trial for trial in complete if parameter in trial.params]
    runs = [run for run in store.runs(study_id, "search") if run.state == "complete"]
    values = _values(store, record, complete, runs)
    groups: dict[tuple[tuple[str, Value], ...], dict[float, dict[int, float]]] = {}
    for trial in complete:
        others = {key: trial.params[key] for key in sorted(trial.params) if key != parameter}
        points = groups.setdefault(tuple(others.items()), {})
        of_value = points.setdefault(_rounded(trial.params[parameter]), {})
        for replicate, value in values[trial._trial_id].items():
            # A baseline is one of the grid's points again: the same runs, so the first ones count.
            of_value.setdefault(replicate, value)
    if reference is None:
        baselines = [t.params[parameter] for t in complete if BASELINE in t.user_attrs]
        reference = float(baselines[0]) if baselines else None
    reference = None if reference is None else _rounded(reference)
    curves = tuple(
        curve_of(dict(group), points, reference, maximize=metric.maximize)
        for group, points in sorted(groups.items(), key=lambda item: str(item[0]))
    )
    _check_grid(study, parameter, reference, curves)
    states = [trial.state.name for trial in trials]
    return GridReport(
        study=study,
        storage=store.name,
        measured=record.measured,
        selections=tuple(sorted({run.selection for run in runs})),
        metric=metric,
        parameter=parameter,
        reference=reference,
        curves=curves,
        data_source=record.data_source,
        trials={state: states.count(state) for state in dict.fromkeys(states)},
    )


def curve_of(
    group: dict[str, Value],
    points: Mapping[float, Mapping[int, float]],
    reference: float | None,
    *,
    maximize: bool = False,
) -> GridCurve:
    """A curve from its values.

    Args:
        group: The values of the other parameters.
        points: For each value of the parameter the metric by replicate, finite; none is empty.
        reference: The value that is asked about, if any is; it need not be among them.
        maximize: Whether higher values of the metric are better, not lower ones.

    Returns:
        The curve, its points compared and judged.
    """
    values = sorted(value for value in points if points[value])
    comparisons: dict[float, Comparison] = {}
    if reference in values:
        found = compare_all(
            {str(value): points[value] for value in values}, str(reference), maximize=maximize
        )
        comparisons = {float(each.name): each for each in found}
    return GridCurve(
        group=group,
        points=tuple(
            GridPoint(
                value=value,
                values=dict(sorted(points[value].items())),
                summary=summarise([points[value][seed] for seed in sorted(points[value])]),
                comparison=comparisons.get(value),
            )
            for value in values
        ),
        reference=reference,
        finding=_finding(comparisons, maximize=maximize),
    )


def _finding(comparisons: Mapping[float, Comparison], *, maximize: bool) -> Finding:
    """What the comparisons with the reference, by value, say of it."""
    n_points = len(comparisons) + 1
    n_worse = sum(each.verdict == "worse" for each in comparisons.values())
    if not comparisons:
        return Finding(verdict="not known", rival=None, behind=None, n=0, n_points=0, n_worse=0)

    def ahead(value: float) -> float:
        """How much worse than the reference a point is: negative where it is better."""
        return rank(comparisons[value].paired.mean_difference, maximize)

    rival = min(comparisons, key=ahead)
    better = [value for value, each in comparisons.items() if each.verdict == "better"]
    verdict: Literal["best", "within noise", "worse"]
    if better:
        verdict, rival = "worse", min(better, key=ahead)
    else:
        verdict = "best" if ahead(rival) >= 0 else "within noise"
    return Finding(
        verdict=verdict,
        rival=rival,
        behind=-ahead(rival),
        n=comparisons[rival].paired.n,
        n_points=n_points,
        n_worse=n_worse,
    )


def _values(
    store: Store,
    record: StudyRecord,
    complete: Sequence[FrozenTrial],
    runs: Sequence[RunRecord],
) -> dict[int, dict[int, float]]:
    """The objective of complete trials' complete runs: by trial, then by replicate; finite ones
    alone."""
    found: dict[int, dict[int, float]] = {trial._trial_id: {} for trial in complete}
    values = final_values(store, runs, record.metrics[0], record.measured)
    for run in runs:
        if run.trial_id in found and math.isfinite(values[run.run_id]):
            found[run.trial_id][run.replicate] = values[run.run_id]
    return found


def _rounded(value: float) -> float:
    return float(f"{value:.{FIGURES}g}")


def _parameter(study: str, parameter: str | None, complete: Sequence[FrozenTrial]) -> str:
    """The parameter that is meant, whose values are numbers."""
    names = sorted({name for trial in complete for name in trial.params})
    numeric = [name for name in names if all(_is_number(t.params.get(name, 0)) for t in complete)]
    if parameter is None:
        if len(numeric) != 1:
            raise UsageError(
                f"--parameter: study '{study}' searches {', '.join(names) or 'nothing'}; name one "
                "whose values are numbers."
            )
        return numeric[0]
    if parameter not in names:
        raise UsageError(
            f"--parameter {parameter}: study '{study}' searches {', '.join(names) or 'nothing'}"
            f"{nearest(parameter, names)}"
        )
    if parameter not in numeric:
        raise UsageError(
            f"--parameter {parameter}: its values in study '{study}' are no numbers; name a "
            "parameter whose values are."
        )
    return parameter


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_grid(
    study: str, parameter: str, reference: float | None, curves: Sequence[GridCurve]
) -> None:
    if all(len(curve.points) < 2 for curve in curves):
        raise UsageError(
            f"--study {study}: no two complete trials differ in {parameter} alone, so there is no "
            "curve; a grid over it has some."
        )
    values = sorted({point.value for curve in curves for point in curve.points})
    if reference is not None and reference not in values:
        raise UsageError(
            f"--reference {reference:g}: no complete trial has it; {parameter} is "
            f"{', '.join(f'{value:g}' for value in values)}."
        )
