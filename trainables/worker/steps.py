"""A worker's side of a search where runs are trained together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

from trainables.failures import OutOfMemoryFailure, first_line, is_device_lost
from trainables.tracebacks import describe
from trainables.worker.assigned import AssignedRun

if TYPE_CHECKING:
    from trainables.loop.batch import TrainingBatch
    from trainables.loop.training import Training

__all__ = ["BatchedSteps"]

_Member = tuple[AssignedRun, "Training"]
_Members = defaultdict[Hashable, list[_Member]]
"""Runs, those that may be one batch under one key."""


class BatchedSteps:
    """Steps assigned runs: those that may be trained together and fit as one batch, others in turn.

    Each run reports, is saved and is evaluated as if it were alone. Runs that take more memory than
    there is go on in batches half as large.
    """

    def __init__(self) -> None:
        """No run is known yet."""
        self._batches: defaultdict[Hashable, list[TrainingBatch]] = defaultdict(list)
        self._most: dict[Hashable, int] = {}
        """How many runs of a kind may be in a batch, where it is known that more cannot."""
        self._warned: set[Hashable] = set()

    def step(self, runs: Sequence[AssignedRun]) -> list[dict[str, Any]]:
        """Train every run for an epoch and report it.

        Args:
            runs: The open runs. Those that a step leaves out leave their batch, which goes on
                without them; new ones join.

        Returns:
            One report for each run, as `AssignedRun.step` would give it.
        """
        reports, together = self._prepared(runs)
        self._leave_out_others(together)
        return reports + self._step_all(together)

    def _prepared(self, runs: Sequence[AssignedRun]) -> tuple[list[dict[str, Any]], _Members]:
        """The reports of those to be stepped in turn, or with nothing to train; and the others."""
        reports = []
        together: _Members = defaultdict(list)
        for run in runs:
            report = run.prepare()
            if report is None and run.together and run.training is not None:
                from trainables.loop.batch import batch_key

                together[batch_key(run.training)].append((run, run.training))
            else:
                reports.append(run.step() if report is None else report)
        return reports, together

    def _leave_out_others(self, together: _Members) -> None:
        """Drop from the batches whatever is not to be trained in this step, or not in a batch."""
        for key, batches in list(self._batches.items()):
            members = [training for _, training in together.get(key, [])]
            for batch in batches:
                for training in batch.runs:
                    if len(members) < 2 or training not in members:
                        batch.drop(training)
            if len(members) < 2:
                del self._batches[key]

    def _step_all(self, together: _Members) -> list[dict[str, Any]]:
        """Train prepared runs for an epoch."""
        reports = []
        for key, members in together.items():
            if len(members) > 1 and self._most.get(key) != 1:
                for batch in self._batches_of(key, members):
                    of_batch = [each for each in members if each[1] in batch.runs]
                    reports += self._step_together(key, batch, of_batch)
            else:
                reports += [run.step() for run, _ in members]
        return reports

    def _batches_of(self, key: Hashable, members: Sequence[_Member]) -> list[TrainingBatch]:
        """The batches that hold exactly these runs: those that come take the places of others."""
        from trainables.loop.batch import TrainingBatch

        batches, most = self._batches[key], self._most.get(key, len(members))
        there = {training for batch in batches for training in batch.runs}
        for training in (training for _, training in members if training not in there):
            with_room = next((batch for batch in batches if len(batch.runs) < most), None)
            if with_room is None:
                batches.append(TrainingBatch([training]))
            else:
                with_room.add(training)
        batches[:] = [batch for batch in batches if batch.runs]
        return list(batches)

    def _step_together(
        self, key: Hashable, batch: TrainingBatch, members: Sequence[_Member]
    ) -> list[dict[str, Any]]:
        """Train the runs of a batch; what fails together is tried in smaller ones."""
        try:
            outcomes = batch.run_epoch()
        except OutOfMemoryFailure as error:
            most, why = max(1, len(members) // 2), f"more do not fit in memory: {error}"
        except Exception as error:  # what fails together may succeed alone
            if is_device_lost():
                raise
            most, why = 1, f"they cannot be trained as one: {first_line(describe(error))}"
        else:
            self._pass_on_warnings(key, batch, members[0][0])
            return [run.conclude(outcomes[training]) for run, training in members]
        # Here the error is gone, and with it the device's memory that its traceback held.
        self._batches[key].remove(batch)
        return self._start_over(key, [run for run, _ in members], most, why)

    def _start_over(
        self, key: Hashable, runs: Sequence[AssignedRun], most: int, why: str
    ) -> list[dict[str, Any]]:
        """Train runs that failed together for an epoch, in batches of so many."""
        from trainables.device import free_memory
        from trainables.loop.batch import TrainingBatch

        for run in runs:
            run.start_over()
        free_memory()
        known = self._most.get(key)
        most = self._most[key] = most if known is None else min(most, known)
        reports, together = self._prepared(runs)
        members = together[key]
        while members:
            size = self._most[key]  # It may have become less.
            some, members = members[:size], members[size:]
            if size == 1:
                reports.append(some[0][0].step())
                continue
            batch = TrainingBatch([training for _, training in some])
            self._batches[key].append(batch)
            reports += self._step_together(key, batch, some)
        if any(run.failed for run in runs):  # It may have been that one alone.
            self._most.pop(key)
            if known is not None:
                self._most[key] = known
        elif self._most[key] == most != known:  # No less, as the next attempt would have said.
            how = "alone" if most == 1 else f"{most} at a time"
            said = f"runs like it are trained {how}, since {why}"
            before = reports[0]["warning"]
            reports[0]["warning"] = said if before is None else f"{before}; {said}"
        return reports

    def _pass_on_warnings(self, key: Hashable, batch: TrainingBatch, run: AssignedRun) -> None:
        """Say the first of a batch's warnings with a run's next report: later ones say the same."""
        if batch.warnings and key not in self._warned:
            self._warned.add(key)
            run.warn(batch.warnings[0])
