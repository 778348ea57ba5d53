"""What is being trained at this moment: by which launch, in whose hands, until when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dashboards.numbers.pace import search_epochs_left, seconds_to_end
from dashboards.numbers.study.view import recorded_space
from space import Space
from space.words import duration
from storage import LaunchRecord, RunRecord, Store
from storage.leases import is_alive
from storage.summaries.study import trained_trials
from storage.tables.records import CourseRecord, WorkerRecord

__all__ = ["SILENT_SECONDS", "LaunchNow", "RunNow", "WorkerNow", "read_now"]

SILENT_SECONDS = 20.0
"""A launch says something every 5 seconds; one that is silent for longer is suspended, cut off from
the store, or dead on another machine."""


@dataclass(frozen=True, kw_only=True)
class RunNow:
    """A run in a worker's hands.

    Attributes:
        run: The run.
        trial: The number of its trial, if it has one.
        epochs: Epochs of a run that is complete.
        decides: What decides next whether it goes on.
    """

    run: RunRecord
    trial: int | None
    epochs: int
    decides: str


@dataclass(frozen=True, kw_only=True)
class WorkerNow:
    """A worker, or runs that no worker has reported of.

    Attributes:
        said: What is known of it; None where the launch has not said anything yet.
        runs: The runs that it has.
    """

    said: WorkerRecord | None
    runs: tuple[RunNow, ...]


@dataclass(frozen=True, kw_only=True)
class LaunchNow:
    """A launch that is alive.

    Attributes:
        launch: The launch.
        course: What it said last; None before its first heartbeat.
        workers: Its workers.
        ends_in: Seconds until it ends, or what it trains now does; None where nothing tells yet.
    """

    launch: LaunchRecord
    course: CourseRecord | None
    workers: tuple[WorkerNow, ...]
    ends_in: float | None

    @property
    def is_silent(self) -> bool:
        """Whether it was not heard of for longer than it should be."""
        return self.launch.silence > SILENT_SECONDS


def read_now(store: Store, launches: Sequence[LaunchRecord]) -> list[LaunchNow]:
    """Look at the launches that are alive.

    Args:
        store: The store.
        launches: Those of a study or a benchmark, as they were read just now.

    Raises:
        StorageError: If the store cannot be read.
    """
    alive = [launch for launch in launches if is_alive(launch)]
    if not alive:
        return []
    runs: dict[int, dict[int, RunRecord]] = {}
    for study_id in {launch.study_id for launch in alive}:
        purpose = "benchmark" if study_id is None else None
        for run in store.runs(study_id, purpose, state="running"):
            runs.setdefault(run.launch_id, {})[run.run_id] = run
    return [_launch_now(store, each, runs.get(each.launch_id, {})) for each in alive]


def _launch_now(store: Store, launch: LaunchRecord, runs: Mapping[int, RunRecord]) -> LaunchNow:
    course = store.course(launch.launch_id)
    space = None if launch.study_id is None else recorded_space(launch.config)
    of = {run_id: _run_now(store, run, space) for run_id, run in runs.items()}
    said = course.workers if course else ()
    held = [[of.pop(run_id) for run_id in each.runs if run_id in of] for each in said]
    for place, worker in enumerate(said):  # What was begun since, and has reported.
        held[place] += [
            of.pop(run_id)
            for run_id, each in list(of.items())
            if each.run.worker is not None and each.run.worker == worker.name
        ]
    idle = [place for place, own in enumerate(held) if not own]
    if len(idle) == 1 and len({each.trial for each in of.values()}) == 1:
        held[idle[0]] += [of.pop(run_id) for run_id in list(of)]  # Nobody else is free for it.
    workers = [WorkerNow(said=w, runs=tuple(own)) for w, own in zip(said, held, strict=True)]
    begun = [WorkerNow(said=None, runs=tuple(of.values()))] if of else []
    return LaunchNow(
        launch=launch,
        course=course,
        workers=(*workers, *begun),
        ends_in=None if course is None else _ends_in(store, launch, course, space, runs),
    )


def _run_now(store: Store, run: RunRecord, space: Space | None) -> RunNow:
    trial = None
    if run.trial_id is not None:
        with store.guarded():
            trial = store.optuna_storage.get_trial(run.trial_id).number
    epochs = int(run.config["training"]["epochs"])
    return RunNow(run=run, trial=trial, epochs=epochs, decides=_decides(run, epochs, space))


def _decides(run: RunRecord, epochs: int, space: Space | None) -> str:
    """What decides next whether a run goes on, and when that will be."""
    at, who = epochs, "its end"
    if space is not None and run.purpose == "search":
        rungs = [rung for rung in space.rungs() if run.n_epochs < rung < epochs]
        if rungs:
            at, who = rungs[0], "the pruner"
        elif space.pruner.name not in ("none", "wilcoxon") and not space.rungs():
            at, who = run.n_epochs + 1, "the pruner"
    said = f"{who}, at epoch {at}"
    if run.n_epochs and run.train_seconds:
        seconds = (at - run.n_epochs) * run.train_seconds / run.n_epochs
        said += f", some {duration(max(round(seconds), 1))} of training from here"
    return said


def _ends_in(
    store: Store,
    launch: LaunchRecord,
    course: CourseRecord,
    space: Space | None,
    runs: Mapping[int, RunRecord],
) -> float | None:
    left = None if course.n_planned is None else float(course.n_planned - course.n_epochs)
    if course.purpose == "search" and space is not None and launch.study_id is not None:
        n_ended, mean_epochs = trained_trials(store, launch.study_id)
        left = search_epochs_left(
            space.max_trials,
            n_ended=n_ended,
            a_trial=mean_epochs or float(space.training.epochs * space.replicates),
            n_running=len(runs),
            n_running_epochs=sum(run.n_epochs for run in runs.values()),
        )
        if space.budget.epochs is not None:
            unspent = float(space.budget.epochs - store.n_epochs(launch.study_id))
            left = unspent if left is None else min(left, unspent)
    limit = None if course.seconds_left is None else course.seconds_left - launch.silence
    found = seconds_to_end(
        n_epochs=course.n_epochs,
        seconds=course.seconds + launch.silence,
        epochs_left=left,
        limit=limit,
    )
    return found
