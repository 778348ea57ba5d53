"""A study at a glance: the numbers behind the live display, the final table and `--format json`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from storage import RunRecord
from storage.summaries.baselines import in_order
from storage.summaries.best import best_first
from storage.tables.attributes import BASELINE, FAIL_REASON

__all__ = ["Snapshot", "TrialRow", "take_snapshot"]


@dataclass(frozen=True, kw_only=True)
class TrialRow:
    """One trial of a table.

    Attributes:
        number: Optuna's number.
        state: Optuna's state.
        values: Objective values; of a trial that is not complete, the last it reported.
        params: Parameter -> value.
        n_epochs: Epochs of its longest run.
        is_baseline: Whether the space file asked for it.
        reason: Why it failed, if it did.
    """

    number: int
    state: str
    values: list[float]
    params: dict[str, object]
    n_epochs: int
    is_baseline: bool
    reason: str | None


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A study at one moment.

    Attributes:
        counts: Trials by Optuna's state.
        best: Trials on the Pareto front, which for one objective is the best complete one.
        leading: All trials that have a value, complete ones first, best first.
        baseline: The baseline that counts; see `in_order`. None where it has no value.
        mean_epochs: Mean epochs of the trials that ended complete or pruned, or None.
        n_finished: Trials that ended complete or pruned.
    """

    counts: dict[str, int]
    best: list[TrialRow]
    leading: list[TrialRow]
    baseline: TrialRow | None
    mean_epochs: float | None
    n_finished: int


def take_snapshot(study: optuna.Study, runs: Iterable[RunRecord] = ()) -> Snapshot:
    """Read a study.

    Args:
        study: The study; of several objectives, the first one orders the tables.
        runs: Its runs, which know their epochs; without them the reports are counted.

    Returns:
        Its snapshot.
    """
    maximize = study.directions[0] == StudyDirection.MAXIMIZE
    trials = study.get_trials(deepcopy=False)
    counts = {state.name: 0 for state in TrialState}
    for trial in trials:
        counts[trial.state.name] += 1
    n_epochs: dict[int | None, int] = {}
    for run in runs:
        n_epochs[run.trial_id] = max(run.n_epochs, n_epochs.get(run.trial_id, 0))
    rows = [_row(trial, n_epochs.get(trial._trial_id)) for trial in trials]
    ended = [row for row in rows if row.state in ("COMPLETE", "PRUNED")]
    leading = best_first(rows, maximize)
    complete = [row for row in leading if row.state == "COMPLETE"]
    if len(study.directions) == 1:
        best = complete[:1]
    else:
        front = {trial.number for trial in study.best_trials}
        best = [row for row in complete if row.number in front]
    baselines = {row.number: row for row in leading if row.is_baseline}
    order_of = in_order({number: row.state for number, row in baselines.items()})
    return Snapshot(
        counts=counts,
        best=best,
        leading=leading,
        baseline=baselines[order_of[0]] if order_of else None,
        mean_epochs=sum(row.n_epochs for row in ended) / len(ended) if ended else None,
        n_finished=len(ended),
    )


def _row(trial: FrozenTrial, n_epochs: int | None) -> TrialRow:
    reports = trial.intermediate_values
    values = trial.values
    if values is None:
        values = [reports[max(reports)]] if reports else []
    return TrialRow(
        number=trial.number,
        state=trial.state.name,
        values=list(values),
        params=dict(trial.params),
        n_epochs=n_epochs if n_epochs is not None else max(reports, default=0),
        is_baseline=BASELINE in trial.user_attrs,
        reason=trial.user_attrs.get(FAIL_REASON),
    )
