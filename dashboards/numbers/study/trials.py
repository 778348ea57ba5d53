"""The trials of a study, with what was trained for them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from space import Value
from storage import RunRecord, Store
from storage.connect.engine import translated
from storage.on_studies import queued_by_hand
from storage.tables.attributes import (
    BASELINE,
    FAIL_REASON,
    PARENT,
    STANDARD_ERROR,
    STOPPED,
    warm_start_of,
)

__all__ = ["StudyTrial", "StudyTrials", "read_trials"]


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyTrial:
    """One trial.

    Attributes:
        number: Optuna's number.
        trial_id: Optuna's number in the store.
        state: Optuna's state, one of `space.words.STATES`.
        values: Objective values. Of a trial that is not complete: the last value that it reported,
            else nothing.
        standard_errors: Of the values over the trial's replicates, where there are several.
        params: Parameter -> value.
        is_baseline: Whether the space file asked for it.
        was_queued: Whether a person put it into the queue of the study.
        warm_start: Which trial of an earlier study it was queued from, in words; None for others.
        parent: The number of the trial from whose end it goes on; None for others.
        reason: Why it failed or who stopped it, if it did or somebody did.
        traceback: Of the error that it failed by, if it did.
        reports: What it reported of its objective: by epoch, from 1; under the Wilcoxon pruner by
            replicate; in another tool's study by any step. A value need not be finite.
        n_epochs: Epochs trained, over its replicates; without runs in the store, its reports.
        longest: Epochs of its longest run; without runs in the store, its last report.
        seconds: Seconds of training, over its replicates.
    """

    number: int
    trial_id: int
    state: str
    values: tuple[float, ...]
    standard_errors: tuple[float, ...]
    params: dict[str, Value]
    is_baseline: bool
    was_queued: bool
    warm_start: str | None
    parent: int | None
    reason: str | None
    traceback: str | None
    reports: Mapping[int, float]
    n_epochs: int
    longest: int
    seconds: float


class StudyTrials(NamedTuple):
    """A study's trials and what goes with them."""

    trials: tuple[StudyTrial, ...]
    """Ascending by number."""
    distributions: dict[str, BaseDistribution]
    """What each parameter was drawn from, last of all, by name."""


def read_trials(store: Store, study_id: int, runs: Iterable[RunRecord]) -> StudyTrials:
    """Read a study's trials.

    Args:
        store: The store.
        study_id: The study.
        runs: Its search runs, which know epochs, seconds and errors.

    Returns:
        Its trials.

    Raises:
        StorageError: If the store cannot be read.
    """
    with translated(store.url):
        known = store.optuna_storage.get_all_trials(study_id, deepcopy=False)
    work: dict[int | None, tuple[int, int, float]] = {}
    tracebacks: dict[int | None, str] = {}
    for run in runs:
        n_epochs, longest, seconds = work.get(run.trial_id, (0, 0, 0.0))
        work[run.trial_id] = (
            n_epochs + run.n_epochs,
            max(longest, run.n_epochs),
            seconds + run.train_seconds,
        )
        if run.traceback is not None:
            tracebacks[run.trial_id] = run.traceback
    by_hand = queued_by_hand(store, study_id, known)
    distributions: dict[str, BaseDistribution] = {}
    trials = []
    for trial in sorted(known, key=lambda each: each.number):
        distributions.update(trial.distributions)
        reports = dict(sorted(trial.intermediate_values.items()))
        n_epochs, longest, seconds = work.get(
            trial._trial_id, (len(reports), max(reports, default=0), 0.0)
        )
        trials.append(
            StudyTrial(
                number=trial.number,
                trial_id=trial._trial_id,
                state=trial.state.name,
                values=_values(trial, reports),
                standard_errors=tuple(trial.user_attrs.get(STANDARD_ERROR, ())),
                params=trial.params,
                is_baseline=BASELINE in trial.user_attrs,
                was_queued=trial.number in by_hand,
                warm_start=warm_start_of(trial.user_attrs),
                parent=trial.user_attrs.get(PARENT),
                reason=trial.user_attrs.get(FAIL_REASON, trial.user_attrs.get(STOPPED)),
                traceback=tracebacks.get(trial._trial_id),
                reports=reports,
                n_epochs=n_epochs,
                longest=longest,
                seconds=seconds,
            )
        )
    return StudyTrials(tuple(trials), dict(sorted(distributions.items())))


def _values(trial: FrozenTrial, reports: Mapping[int, float]) -> tuple[float, ...]:
    """A trial's values; one without a finite value is shown as one without any."""
    for values in (trial.values, list(reports.values())[-1:]):
        if values and all(map(math.isfinite, values)):
            return tuple(values)
    return ()
