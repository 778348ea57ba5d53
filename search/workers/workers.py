"""Which runs are in the hands of which worker.

A worker trains a group of runs, an epoch of each a step, and takes the next assignment as soon as
there is room for it, for as long as there is one. What it trains together is for the device's sake
alone: every run is assigned, reported, pruned and resumed by itself.

Workers know nothing of Ray: `search.workers.hooks` carries what they say to the workers.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from search.runs.protocol import LOST_WORKER, Assignment, Report
from search.runs.run_ledger import RunLedger
from search.workers.workplace import RunFiles
from space import RunConfig
from space.amounts import size_in_words
from space.files.places import Place
from space.study.terms import Limits
from space.words import duration
from storage.tables.records import WorkerRecord
from trainables.worker.checkpoint import delete_checkpoint

__all__ = ["MAX_WORKER_DEATHS", "Change", "GroupSize", "Workers"]

logger = logging.getLogger(__name__)

MAX_WORKER_DEATHS = 2
"""A run whose worker dies goes on with another so many times; then it has failed."""
PATIENCE_SECONDS = 0.5
"""How long a ledger that had nothing to assign is not asked again: each event would ask it."""

GroupSize = Callable[[RunConfig], int]
"""How many runs like this one a worker trains together."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """What a worker is told between two steps: runs to let go, and assignments to take."""

    drop: tuple[int, ...]
    add: tuple[dict[str, Any], ...]


@dataclass(kw_only=True)
class _Part:
    """An assignment, and what is left of it."""

    assignment: Assignment
    files: Callable[[str], RunFiles]
    n_deaths: int = 0
    since: float | None = None
    """When its worker was first seen at it."""
    is_excessive: bool = False
    """Whether its worker, which had nothing else, took too long or too much memory for it."""
    wants_new: bool = False
    """Whether it goes on in a new process, so that its memory can be told."""
    open_runs: set[int] = field(default_factory=set)
    heard: dict[int, int] = field(default_factory=dict)
    """Run -> the last epoch that was heard of."""

    def __post_init__(self) -> None:
        self.open_runs = {run.run_id for run, _ in self.assignment.runs}
        self.heard = {run.run_id: run.n_epochs for run, _ in self.assignment.runs}

    @property
    def config(self) -> RunConfig:
        return self.assignment.runs[0][1]

    @property
    def goes_on(self) -> bool:
        """Whether another worker may train it."""
        return not self.is_excessive and self.n_deaths <= MAX_WORKER_DEATHS

    def messages(self, *, together: bool) -> list[dict[str, Any]]:
        """Its open runs as a worker is told of them; see `trainables.worker.assigned`."""
        return [
            {
                "run_id": run.run_id,
                "config": config.model_dump(mode="json"),
                "checkpoint": str(self.files(run.uid).checkpoint),
                "weights": _text(self.files(run.uid).weights),
                "n_epochs": self.heard[run.run_id],
                "evaluate": self.assignment.evaluate,
                "together": together,
                "before": [
                    {
                        "config": each[run.replicate].config,
                        "checkpoint": str(self.files(each[run.replicate].uid).checkpoint),
                    }
                    for each in (self.assignment.lineage.before if self.assignment.lineage else ())
                ],
                "is_kept": self.assignment.lineage is not None,
            }
            for run, config in self.assignment.runs
            if run.run_id in self.open_runs
        ]

    def delete_checkpoints(self) -> None:
        if self.assignment.lineage is not None:
            return  # Others go on from them.
        for run, _ in self.assignment.runs:
            delete_checkpoint(self.files(run.uid).checkpoint)


@dataclass(kw_only=True)
class _Seen:
    """What a worker said of itself."""

    at: float = field(default_factory=time.monotonic)
    name: str | None = None
    usage: dict[str, Any] = field(default_factory=dict)


class Workers:
    """Fills workers with a ledger's assignments, and hands their reports to the ledger."""

    def __init__(
        self,
        ledger: RunLedger[Any],
        *,
        n_workers: int,
        size: GroupSize,
        files: Callable[[str], RunFiles],
        limits: Limits | None = None,
    ) -> None:
        """No worker has anything yet.

        Args:
            ledger: Assigns, hears and decides. A run is asked for only when a worker is free for
                it, with all that is known by then.
            n_workers: How many workers there may be at once.
            size: How many runs a worker trains together.
            files: A run's uid -> where its files lie.
            limits: What a worker may take for an assignment; None: all it likes.
        """
        self._ledger = ledger
        self._n_workers = n_workers
        self._size = size
        self._files = files
        self._limits = Limits() if limits is None else limits
        self._groups: dict[str, list[_Part]] = {}
        self._n_given = Counter[str]()
        """Worker -> how many assignments it has had."""
        self._excessive: set[str] = set()
        """Those that are to be killed, as was said."""
        self._orphans: deque[_Part] = deque()
        """What the workers trained that died; each is then trained by a worker for itself, so that
        one that kills its workers takes no other with it."""
        self._dry_until: dict[bool, float] = {}
        self._seen: dict[str, _Seen] = {}
        ledger.course.workers = self.now

    def now(self) -> list[WorkerRecord]:
        """What each worker does."""
        now = time.monotonic()
        return [
            WorkerRecord(
                name=seen.name,
                runs=tuple(sorted(run_id for part in group for run_id in part.open_runs)),
                silence=now - seen.at,
                **seen.usage,
            )
            for worker, group in self._groups.items()
            for seen in [self._seen[worker]]
        ]

    @property
    def is_idle(self) -> bool:
        """Whether no worker has anything."""
        return not self._groups

    @property
    def is_done(self) -> bool:
        """Whether none will have anything any more."""
        return self.is_idle and not self._ledger.awaits_others

    def open(self, worker: str) -> dict[str, Any] | None:
        """Give a new worker its first runs.

        Args:
            worker: What to call it.

        Returns:
            What it trains, as `trainables.worker.ray_trainable` defines it; None where there is
            nothing to do for it now.
        """
        if len(self._groups) >= self._n_workers:
            return None
        group: list[_Part] = []
        messages = self._fill(worker, group, is_new=True)
        if not group:
            return None
        self._groups[worker] = group
        # Tune may give a process that has reported before another's runs.
        self._seen[worker] = _Seen()
        return {"runs": list(messages), "in_turn": group[0].assignment.in_turn}

    def hear(
        self,
        worker: str,
        reports: Sequence[dict[str, Any]],
        usage: Sequence[dict[str, Any]] = (),
    ) -> Change | None:
        """Hand a step's reports to the ledger.

        Args:
            worker: Which worker made the step.
            reports: As `trainables.worker.assigned` defines them.
            usage: As `trainables.worker.usage` defines it.

        Returns:
            What it is to do before its next step; None where it has nothing more to do.

        Raises:
            UserError: What the ledger met.
        """
        group = self._groups[worker]
        heard = [Report.from_wire(message) for message in reports]
        seen = self._seen[worker]
        seen.at, seen.name = time.monotonic(), heard[0].worker
        seen.usage = usage[0] if usage else seen.usage
        for report in heard:
            if report.warning is not None:
                logger.warning("run %d: %s", report.run_id, report.warning)
        going_on = self._ledger.report(heard)
        epochs = {report.run_id: report.epoch.epoch for report in heard if report.epoch}
        closed = {report.run_id for report in heard} - going_on
        dropped: list[int] = []
        for part in group:
            # The end of one run may be the end of the trial that others belong to.
            ended = {i for i in part.open_runs if i in closed or not self._ledger.is_open(i)}
            dropped += sorted(ended)
            part.open_runs -= ended
            part.heard |= {i: epoch for i, epoch in epochs.items() if i in part.heard}
            if not part.open_runs:
                part.delete_checkpoints()
        group[:] = [part for part in group if part.open_runs]
        added = self._fill(worker, group)
        if group:
            return Change(drop=tuple(dropped), add=added)
        del self._groups[worker], self._n_given[worker], self._seen[worker]
        return None

    def abandoned(self, training: Iterable[str]) -> dict[str, str]:
        """Find the workers all of whose trials ended without them; they are to be killed.

        Args:
            training: The workers that are up.

        Returns:
            Worker -> why it is to be killed, each worker once.
        """
        found = {
            worker: "what it trained was ended"
            for worker in (self._groups.keys() & set(training)) - self._excessive
            if not any(self._ledger.is_open(i) for p in self._groups[worker] for i in p.open_runs)
        }
        self._excessive.update(found)
        return found

    def overdue(self, training: Iterable[str]) -> dict[str, str]:
        """Find the workers that take too long for what they have; they are to be killed.

        Args:
            training: The workers that are up; to be called many times a minute.

        Returns:
            Worker -> why it is to be killed, each worker once.
        """
        limit = self._limits.trial_time
        if limit is None:
            return {}
        found: dict[str, str] = {}
        now = time.monotonic()
        for worker in (self._groups.keys() & set(training)) - self._excessive:
            group = self._groups[worker]
            for part in group:
                part.since = now if part.since is None else part.since
                if now - part.since > limit:
                    part.is_excessive = len(group) == 1
                    found[worker] = f"it took longer than limits.trial_time, {duration(limit)}"
        self._excessive.update(found)
        return found

    def oversized(self, memory: Mapping[str, int]) -> dict[str, str]:
        """Find the workers that take too much memory; they are to be killed.

        Args:
            memory: Worker -> bytes that its process takes up, of those that are up.

        Returns:
            Worker -> why it is to be killed, each worker once.
        """
        limit = self._limits.trial_memory
        if limit is None:
            return {}
        found: dict[str, str] = {}
        for worker in (self._groups.keys() & memory.keys()) - self._excessive:
            if memory[worker] > limit:
                for part in self._groups[worker]:
                    part.is_excessive = self._n_given[worker] == 1
                    part.wants_new = True
                said = size_in_words(limit)
                found[worker] = f"it took more memory than limits.trial_memory, {said}"
        self._excessive.update(found)
        return found

    def lose(self, worker: str, reason: str) -> bool:
        """Take a dead worker's runs back; those that lost too many workers have failed.

        So has a trial for which it took too long or too much memory. Which of several is to blame
        cannot be told: each goes on alone.

        Args:
            worker: The worker that died.
            reason: Why, as far as it is known.

        Returns:
            Whether some of its runs go on with another worker.

        Raises:
            UserError: What the ledger met.
        """
        lost = self._groups.pop(worker, [])
        del self._n_given[worker]
        self._excessive.discard(worker)
        self._seen.pop(worker, None)
        lost = [part for part in lost if self._is_wanted(part)]
        for part in lost:
            part.n_deaths += 1
            part.since = None
            if part.goes_on:
                self._orphans.append(part)
                continue
            died = f"{LOST_WORKER} {part.n_deaths} times: {reason}"
            for run_id in part.open_runs:
                self._ledger.fail(run_id, reason if part.is_excessive else died)
            part.delete_checkpoints()
        return any(part.goes_on for part in lost)

    def _is_wanted(self, part: _Part) -> bool:
        """Whether there is something left to train of a part."""
        part.open_runs = {i for i in part.open_runs if self._ledger.is_open(i)}
        if not part.open_runs:
            part.delete_checkpoints()
        return bool(part.open_runs)

    def _fill(
        self, worker: str, group: list[_Part], *, is_new: bool = False
    ) -> tuple[dict[str, Any], ...]:
        """Add what there is room for, and say it as the worker is told."""
        messages: list[dict[str, Any]] = []
        while self._has_room(group):
            part = self._next(group, is_new=is_new)
            if part is None:
                break
            group.append(part)
            self._n_given[worker] += 1
            messages += part.messages(together=self._size(part.config) > 1)
        return tuple(messages)

    def _has_room(self, group: Sequence[_Part]) -> bool:
        if not group:
            return True
        if group[0].n_deaths or group[0].assignment.in_turn:
            return False
        n_runs = sum(len(part.open_runs) for part in group)
        return n_runs + len(group[0].assignment.runs) <= self._size(group[0].config)

    def _next(self, group: Sequence[_Part], *, is_new: bool) -> _Part | None:
        if self._orphans and not group:
            if self._orphans[0].wants_new and not is_new:
                return None  # This worker ends, and a new one takes it.
            return self._orphans.popleft()
        now = time.monotonic()
        if self._groups and now < self._dry_until.get(bool(group), 0.0):
            return None
        assignment = self._ledger.next_assignment(group[0].config if group else None)
        if assignment is None:
            self._dry_until[bool(group)] = now + PATIENCE_SECONDS
            return None
        for uid in assignment.lineage.outlived if assignment.lineage else ():
            delete_checkpoint(self._files(uid).checkpoint)
        return _Part(assignment=assignment, files=self._files)


def _text(place: Place | None) -> str | None:
    return None if place is None else str(place)
