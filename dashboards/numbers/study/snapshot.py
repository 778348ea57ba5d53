"""A study at a glance: the numbers behind the live display, the final table and `--format json`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from optuna.trial import TrialState

from dashboards.numbers.study.trials import StudyTrial, read_trials
from space.metrics import Metric
from storage import RunRecord, Store
from storage.summaries.baselines import in_order
from storage.summaries.best import best_first, pareto_front

__all__ = ["Snapshot", "take_snapshot"]


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
    best: list[StudyTrial]
    leading: list[StudyTrial]
    baseline: StudyTrial | None
    mean_epochs: float | None
    n_finished: int


def take_snapshot(
    store: Store, study_id: int, metrics: Sequence[Metric], runs: Iterable[RunRecord] = ()
) -> Snapshot:
    """Read a study.

    Args:
        store: The store.
        study_id: The study.
        metrics: Its objectives; the first one orders the tables.
        runs: Its runs, which know their epochs; without them the reports are counted.

    Returns:
        Its snapshot.
    """
    trials, _ = read_trials(store, study_id, runs)
    counts = {state.name: 0 for state in TrialState}
    for trial in trials:
        counts[trial.state] += 1
    ended = [trial for trial in trials if trial.state in ("COMPLETE", "PRUNED")]
    leading = best_first(trials, metrics[0])
    baselines = {trial.number: trial for trial in leading if trial.is_baseline}
    order_of = in_order({number: trial.state for number, trial in baselines.items()})
    return Snapshot(
        counts=counts,
        best=pareto_front(trials, metrics),
        leading=leading,
        baseline=baselines[order_of[0]] if order_of else None,
        mean_epochs=sum(trial.longest for trial in ended) / len(ended) if ended else None,
        n_finished=len(ended),
    )
