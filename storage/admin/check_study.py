"""Whether a study's trials, runs, epochs and reports agree with each other and with its budget."""

from __future__ import annotations

import itertools
import math
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from optuna.trial import FrozenTrial, TrialState

from space.epochs import Epoch
from space.metrics import Measured
from space.words import count
from storage.kept_epoch import RunProgress
from storage.optuna_rows.trial_reading import read_trials
from storage.runs import STATE_OF_RUNS
from storage.tables import schema
from storage.tables.attributes import BASELINE
from storage.tables.metric_rows import read_epochs
from storage.tables.optuna_models import REPORTS, TRIALS, USER_ATTRIBUTES, VALUES
from storage.tables.parts import in_parts
from storage.tables.records import LaunchRecord, RunRecord

__all__ = ["AGAIN", "Finding", "check_epochs", "check_study"]

AGAIN = "run the same command again: it puts this right and goes on"
DISTRUST = (
    "its numbers were changed by hand, or by a fault of this program: do not build on it; "
    "restore a backup or leave it out"
)
TOLERANCE = 1e-6
"""Relative; sums of seconds were added up in another order."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that does not agree.

    Attributes:
        table: Where.
        key: Which row, or rows.
        what: What is wrong with it.
        mend: What to do about it.
    """

    table: str
    key: str
    what: str
    mend: str


def check_study(
    connection: sa.Connection,
    study_id: int,
    name: str,
    launches: Sequence[LaunchRecord],
    alive: set[int],
    *,
    has_ours: bool,
) -> Iterator[Finding]:
    """Check one study.

    Args:
        connection: A snapshot.
        study_id: The study.
        name: Its name.
        launches: Its launches, oldest first.
        alive: Launches that are alive, of whatever study.
        has_ours: Whether the database has our tables.

    Yields:
        What is wrong.
    """
    of_study = TRIALS.c.study_id == study_id
    query = sa.select(TRIALS.c.trial_id, TRIALS.c.number).where(of_study)
    numbers = {row.trial_id: row.number for row in connection.execute(query)}
    yield from _numbers(list(numbers.values()), name)
    if not has_ours:
        return
    columns = (schema.studies.c.metrics, schema.studies.c.measured)
    terms = connection.execute(
        sa.select(*columns).where(schema.studies.c.study_id == study_id)
    ).first()
    if terms is None:
        return  # Another tool's study: no launch of ours answers for its trials.
    metrics, measured = terms
    is_live = any(launch.launch_id in alive for launch in launches)
    in_turn = any(_setting(launch, "pruner", "name") == "wilcoxon" for launch in launches)
    n_epochs, step = 0, 1
    runs_of, of_trial = schema.runs.c, schema.runs.c.trial_id
    of_no_trial = of_trial.is_(None) | of_trial.not_in(sa.select(TRIALS.c.trial_id).where(of_study))
    parts = [(part, of_trial.in_(part)) for part in in_parts(sorted(numbers))]
    # With the study as a condition, too, SQLite goes through all of its runs for each part.
    for part, which in [*parts, ([], (runs_of.study_id == study_id) & of_no_trial)]:
        trials = read_trials(connection, study_id, trial_ids=part, newer_than=None)
        runs = [run for run in _read_runs(connection, which) if run.study_id == study_id]
        epochs = read_epochs(connection, sa.select(runs_of.run_id).where(which))
        progress = {
            run.run_id: _progress(run, measured, metrics, epochs.get(run.run_id, ()))
            for run in runs
        }
        yield from _check_runs(runs, epochs, progress)
        searched: dict[int | None, list[RunRecord]] = {}
        for run in runs:
            if run.purpose == "search":
                searched.setdefault(run.trial_id, []).append(run)
                n_epochs += run.n_epochs
            elif run.state == "running" and run.launch_id not in alive:
                yield _of_run(run, f"it is running, but launch {run.launch_id} is not alive", AGAIN)
        step = max([step, *map(len, searched.values())])
        for trial in trials:
            label = f"trial {trial.number} of '{name}'"
            own = sorted(searched.get(trial._trial_id, []), key=lambda run: run.replicate)
            yield from _check_states(trial, label, own, is_live)
            if len(metrics) == 1:
                of_own = [progress[run.run_id] for run in own]
                yield from _check_reports(trial, label, own, of_own, in_turn=in_turn)
    yield from _check_budget(connection, study_id, name, launches, len(numbers), n_epochs, step)


def check_epochs(connection: sa.Connection, measured: Mapping[str, Measured]) -> Iterator[Finding]:
    """Check the epochs of the runs of no study.

    Args:
        connection: A snapshot.
        measured: Config hash -> what its benchmark says is measured of it.

    Yields:
        What is wrong.
    """
    of_none = schema.runs.c.study_id.is_(None)
    numbers = connection.execute(sa.select(schema.runs.c.run_id).where(of_none)).scalars()
    for part in in_parts(sorted(numbers)):
        runs = _read_runs(connection, schema.runs.c.run_id.in_(part))
        epochs = read_epochs(connection, part)
        progress = {
            run.run_id: _progress(run, measured[run.config_hash], (), epochs.get(run.run_id, ()))
            for run in runs
            if run.config_hash in measured
        }
        yield from _check_runs(runs, epochs, progress)


def _read_runs(connection: sa.Connection, which: sa.ColumnElement[bool]) -> list[RunRecord]:
    query = sa.select(schema.runs).where(which).order_by(schema.runs.c.run_id)
    return [RunRecord(**row._mapping) for row in connection.execute(query)]


def _progress(
    run: RunRecord, measured: Measured, objectives: Sequence[str], epochs: Iterable[Epoch]
) -> RunProgress:
    return RunProgress(
        measured,
        objectives,
        selection=run.selection,
        n_parameters=run.n_parameters or 0,
        epochs=epochs,
    )


def _numbers(numbers: Sequence[int], name: str) -> Iterator[Finding]:
    """The trials of a study have numbers 0, 1, ... without a constraint that says so."""
    counts = Counter(numbers)
    for number, n_trials in sorted(counts.items()):
        if n_trials > 1:
            yield Finding(
                table=TRIALS.name,
                key=f"trial {number} of '{name}'",
                what=f"{count(n_trials, 'trial')} have this number",
                mend=DISTRUST,
            )
    n_missing = max(counts, default=-1) + 1 - len(counts)
    if n_missing and len(counts) == len(numbers):
        first = next(number for number in itertools.count() if number not in counts)
        others = f", nor {count(n_missing - 1, 'other number')} below {max(counts)}"
        yield Finding(
            table=TRIALS.name,
            key=f"study '{name}'",
            what=f"no trial has number {first}{others if n_missing > 1 else ''}: another program "
            "deleted trials",
            mend="say so where the study is reported; the other trials are not touched by it",
        )


def _check_runs(
    runs: list[RunRecord], epochs: dict[int, list[Epoch]], progress: Mapping[int, RunProgress]
) -> Iterator[Finding]:
    """Compare what runs say of themselves with the epochs that are there."""
    for run in runs:
        own = epochs.get(run.run_id, [])
        numbers = [epoch.epoch for epoch in own]
        if numbers != list(range(1, len(own) + 1)):
            missing = sorted(set(range(1, max(numbers) + 1)) - set(numbers))
            what = (
                f"epochs {', '.join(map(str, missing))} are not there"
                if missing
                else (f"its epochs begin with {numbers[0]}")
            )
            yield _of_run(run, what, DISTRUST, table=schema.epochs.name)
            continue
        if run.n_epochs != len(own):
            yield _of_run(
                run, f"it says {count(run.n_epochs, 'epoch')}, there are {len(own)}", DISTRUST
            )
        seconds = sum(epoch.seconds for epoch in own)
        if not math.isclose(run.train_seconds, seconds, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
            what = f"it says {run.train_seconds:g} s of training, its epochs sum to {seconds:g} s"
            yield _of_run(run, what, DISTRUST)
        if run.run_id in progress:
            best = progress[run.run_id].best_epoch or None
            if run.best_epoch != best:
                what = f"it says epoch {run.best_epoch} is its best, the metrics say {best}"
                yield _of_run(run, what, DISTRUST)
        full = _full(run)
        if run.state == "complete" and full is not None and len(own) != full:
            what = f"it is complete with {len(own)} of {count(full, 'epoch')}"
            yield _of_run(run, what, DISTRUST)


def _check_states(
    trial: FrozenTrial, label: str, runs: list[RunRecord], is_live: bool
) -> Iterator[Finding]:
    """Compare a trial's state with those of its runs."""
    if trial.state == TrialState.RUNNING:
        if not is_live:
            yield _of_trial(label, "it is RUNNING, but no launch of its study is alive", AGAIN)
        return
    if trial.state == TrialState.COMPLETE and not runs:
        what = "it is COMPLETE without a run: another tool wrote it, or its run was deleted"
        yield _of_trial(label, what, "nothing backs its value: leave it out of comparisons")
    wanted = STATE_OF_RUNS.get(trial.state, "interrupted")
    for run in runs:
        if run.state == wanted or (is_live and run.state == "running"):
            continue
        what = f"it is {run.state}, though {label} is {trial.state.name}"
        yield _of_run(run, what, AGAIN if run.state == "running" else DISTRUST)


def _check_reports(
    trial: FrozenTrial,
    label: str,
    runs: list[RunRecord],
    progress: list[RunProgress],
    *,
    in_turn: bool,
) -> Iterator[Finding]:
    """Compare what Optuna heard of a trial with what its runs have recorded."""
    if not runs:
        if trial.intermediate_values:
            yield _of_trial(label, "it has reports, but no run", DISTRUST, table=REPORTS.name)
        return
    if in_turn:
        ended = [
            each
            for each, run in zip(progress, runs, strict=True)
            if each.n_epochs >= (_full(run) or math.inf)
        ]
        expected = [each.values(each.n_epochs)[0] for each in ended]
    else:
        n_steps = min(each.n_epochs for each in progress)
        expected = [
            statistics.fmean(each.values(step)[0] for each in progress)
            for step in range(1, n_steps + 1)
        ]
    if sorted(trial.intermediate_values) != list(range(1, len(trial.intermediate_values) + 1)):
        yield _of_trial(label, "its reports have gaps", DISTRUST, table=REPORTS.name)
        return
    n_reports = len(trial.intermediate_values)
    decided = trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
    if n_reports > len(expected) or (decided and n_reports < len(expected)):
        what = f"Optuna has {n_reports} reports, its runs have {len(expected)}"
        yield _of_trial(label, what, DISTRUST, table=REPORTS.name)
        return
    for step, value in trial.intermediate_values.items():
        if not _equal(value, expected[step - 1]):
            what = f"report {step} is {value:g}, its runs say {expected[step - 1]:g}"
            yield _of_trial(label, what, DISTRUST, table=REPORTS.name)
            return
    if trial.values and decided and expected:
        last = (
            statistics.fmean(expected)
            if in_turn and trial.state == TrialState.COMPLETE
            else expected[-1]
        )
        if not _equal(trial.values[0], last):
            what = f"its value is {trial.values[0]:g}, its runs say {last:g}"
            yield _of_trial(label, what, DISTRUST, table=VALUES.name)


def _check_budget(
    connection: sa.Connection,
    study_id: int,
    name: str,
    launches: Sequence[LaunchRecord],
    n_trials: int,
    n_epochs: int,
    step: int,
) -> Iterator[Finding]:
    """Compare what was spent with the largest budget that a launch was given.

    Args:
        connection: A snapshot.
        study_id: The study.
        name: Its name.
        launches: Its launches.
        n_trials: Its trials.
        n_epochs: What they have trained.
        step: The most replicates that a trial has.
    """
    if not launches:
        return
    key = f"study '{name}'"
    mend = "nothing is lost; say so where the budget matters, or raise it with the next launch"
    budgets = [_setting(launch, "budget", "trials") for launch in launches]
    if None not in budgets:
        # Baselines are tried whatever the budget.
        query = sa.select(sa.func.count()).join_from(
            USER_ATTRIBUTES, TRIALS, TRIALS.c.trial_id == USER_ATTRIBUTES.c.trial_id
        )
        query = query.where((USER_ATTRIBUTES.c.key == BASELINE) & (TRIALS.c.study_id == study_id))
        allowed = max(budgets)
        if n_trials > allowed:
            allowed = max(allowed, int(connection.execute(query).scalar_one()))
        if n_trials > allowed:
            what = f"it has {count(n_trials, 'trial')}, its budget is {allowed}"
            yield Finding(table=TRIALS.name, key=key, what=what, mend=mend)
    budgets = [_setting(launch, "budget", "epochs") for launch in launches]
    # A worker's step is an epoch of each replicate, and each launch may have one under way.
    if None not in budgets and n_epochs > max(budgets) + step * len(launches) - 1:
        what = f"it has trained {count(n_epochs, 'epoch')}, its budget is {max(budgets)}"
        yield Finding(table=schema.epochs.name, key=key, what=what, mend=mend)


def _setting(launch: LaunchRecord, group: str, key: str) -> Any:
    found = launch.config.get(group)
    return found.get(key) if isinstance(found, dict) else None


def _full(run: RunRecord) -> int | None:
    """The epochs that a run's config asks for, where it says so."""
    epochs: int | None = run.config.get("training", {}).get("epochs")
    return epochs


def _equal(one: float, other: float) -> bool:
    both_nan = math.isnan(one) and math.isnan(other)
    return both_nan or math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=1e-12)


def _of_run(run: RunRecord, what: str, mend: str, table: str = schema.runs.name) -> Finding:
    return Finding(table=table, key=f"run {run.run_id}", what=what, mend=mend)


def _of_trial(label: str, what: str, mend: str, table: str = TRIALS.name) -> Finding:
    return Finding(table=table, key=label, what=what, mend=mend)
