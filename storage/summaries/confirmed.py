"""What confirmation runs say of trials: their values on seeds that the search never saw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from optuna.trial import TrialState

from space.metrics import Measured
from storage.connect.engine import translated
from storage.kept_epoch import RunProgress
from storage.store import Store
from storage.summaries.best import objectives
from storage.tables.records import RunRecord

__all__ = ["ConfirmedTrial", "confirmed_trials", "failed_seeds", "final_values"]


@dataclass(frozen=True, kw_only=True)
class ConfirmedTrial:
    """A trial that was trained again on fresh seeds.

    Attributes:
        trial_number: Optuna's number.
        trial_id: Optuna's number in the store.
        replicates: The fresh seeds that are complete, of those that the latest confirmation asked
            for, ascending; at least one. Replicate i has the same seed in every trial.
        values: The objective on each of them.
        search_value: The objective by which the search judged it.
        was_pruned: Whether that is the value at which the search stopped it, as it may a baseline.
        selection: By what its runs keep a state: see `Measured.rules`.
        is_finished: Whether every seed that was asked for is complete, and so the same ones as of
            every other finished trial. A trial of which one failed never is.
    """

    trial_number: int
    trial_id: int
    replicates: tuple[int, ...]
    values: tuple[float, ...]
    search_value: float
    was_pruned: bool
    selection: str
    is_finished: bool

    @property
    def mean(self) -> float:
        """The mean over the fresh seeds."""
        return fmean(self.values)


def confirmed_trials(store: Store, study_id: int) -> list[ConfirmedTrial]:
    """The trials of a study that were confirmed, best first.

    Args:
        store: The store.
        study_id: The study, whose first objective decides.

    Returns:
        The finished ones, ordered by their mean over the fresh seeds, then those that are not:
        means over unlike seeds are no comparison. Equal ones are in the order of their numbers.
    """
    runs, n_seeds = _asked_for(store, study_id)
    if not runs:
        return []
    metric, *_ = objectives(store, study_id)
    with translated(store.url):
        trials = {
            trial._trial_id: trial
            for trial in store.optuna_storage.get_all_trials(study_id, deepcopy=False)
        }
    complete: dict[int, list[RunRecord]] = {}
    for run in sorted(runs, key=lambda run: run.replicate):
        if run.state == "complete" and run.trial_id is not None:
            complete.setdefault(run.trial_id, []).append(run)
    every = [run for of in complete.values() for run in of]
    measured = store.study_records()[study_id].measured
    values = final_values(store, every, metric.name, measured)
    found = [
        ConfirmedTrial(
            trial_number=trials[trial_id].number,
            trial_id=trial_id,
            replicates=tuple(run.replicate for run in of),
            values=tuple(values[run.run_id] for run in of),
            search_value=trials[trial_id].values[0],
            was_pruned=trials[trial_id].state == TrialState.PRUNED,
            selection=of[0].selection,
            is_finished=len(of) == n_seeds,
        )
        for trial_id, of in complete.items()
    ]
    return sorted(
        found,
        key=lambda each: (
            not each.is_finished,
            metric.rank(each.mean),
            each.trial_number,
        ),
    )


def failed_seeds(store: Store, study_id: int) -> dict[int, int]:
    """Trial number -> on how many of the fresh seeds that are asked for it failed, if on any."""
    with translated(store.url):
        trials = store.optuna_storage.get_all_trials(study_id, deepcopy=False)
    numbers = {trial._trial_id: trial.number for trial in trials}
    runs, _ = _asked_for(store, study_id)
    return dict(
        Counter(
            numbers[run.trial_id]
            for run in runs
            if run.state == "failed" and run.trial_id in numbers
        )
    )


def final_values(
    store: Store, runs: Sequence[RunRecord], metric: str, measured: Measured
) -> dict[int, float]:
    """An objective of some complete runs: that of the state each of them kept.

    Args:
        store: The store.
        runs: Runs whose epochs are all in the store.
        metric: The objective's metric.
        measured: What is measured of the runs.

    Returns:
        The value by run.
    """
    epochs = store.epochs(run.run_id for run in runs)
    found = {}
    for run in runs:
        progress = RunProgress(
            measured,
            [metric],
            selection=run.selection,
            n_parameters=run.n_parameters or 0,
            epochs=epochs[run.run_id],
        )
        found[run.run_id] = progress.values(progress.n_epochs)[0]
    return found


def _asked_for(store: Store, study_id: int) -> tuple[list[RunRecord], int]:
    """The confirmation runs that count, one a trial and seed, and how many seeds there are.

    The latest launch with confirmation runs says how many seeds are asked for. Where an earlier one
    had more, those beyond are left out: trials are only compared on seeds that all of them are
    trained on. Nor are runs of an older protocol of training beside those of the latest: a seed
    stands for other draws in each.
    """
    runs = store.runs(study_id, "confirm")
    if not runs:
        return [], 0
    protocol = max(map(_protocol, runs))
    runs = [run for run in runs if _protocol(run) == protocol]
    latest = max(run.launch_id for run in runs)
    config: dict[str, Any] = next(
        (each.config for each in store.launches(study_id) if each.launch_id == latest), {}
    )
    seeds = config.get("confirm", {}).get("seeds")
    n_seeds = int(seeds) if seeds else 1 + max(run.replicate for run in runs)
    return [run for run in runs if run.replicate < n_seeds], n_seeds


def _protocol(run: RunRecord) -> int:
    """The protocol that a run was trained under; see `TrainingConfig`."""
    return int(run.config["training"].get("protocol", 1))
