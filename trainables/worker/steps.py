"""A worker's side of a search where runs are trained together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

from trainables.failures import first_line, is_device_lost
from trainables.tracebacks import describe
from trainables.worker.assigned import AssignedRun

if TYPE_CHECKING:
    from trainables.loop.batch import TrainingBatch
    from trainables.loop.training import Training

__all__ = ["BatchedSteps"]


class BatchedSteps:
    """Steps assigned runs: those that may be trained together and fit as one batch, others in turn.

    Each run reports, is saved and is evaluated as if it were alone.
    """

    def __init__(self) -> None:
        """No run is known yet."""
        self._batches: dict[Hashable, TrainingBatch] = {}
        self._unfit: set[Hashable] = set()
        self._warned: set[Hashable] = set()

    def step(self, runs: Sequence[AssignedRun]) -> list[dict[str, Any]]:
        """Train every run for an epoch and report it.

        Args:
            runs: The open runs. Those that a step leaves out leave their batch, which goes on
                without them; new ones join.

        Returns:
            One report for each run, as `AssignedRun.step` would give it.
        """
        reports = []
        together: defaultdict[Hashable, list[tuple[AssignedRun, Training]]] = defaultdict(list)
        for run in runs:
            report = run.prepare()
            if report is None and run.together and run.training is not None:
                from trainables.loop.batch import batch_key

                together[batch_key(run.training)].append((run, run.training))
            else:
                reports.append(run.step() if report is None else report)
        self._leave_out_others(together)
        for key, members in together.items():
            reports += self._step_together(key, members)
        return reports

    def _leave_out_others(
        self, together: dict[Hashable, list[tuple[AssignedRun, Training]]]
    ) -> None:
        """Drop from the batches whatever is not to be trained in this step, or not in a batch."""
        for key, batch in list(self._batches.items()):
            members = [training for _, training in together.get(key, [])]
            for training in batch.runs:
                if len(members) < 2 or training not in members:
                    batch.drop(training)
            if not batch.runs:
                del self._batches[key]

    def _step_together(
        self, key: Hashable, members: Sequence[tuple[AssignedRun, Training]]
    ) -> list[dict[str, Any]]:
        if len(members) > 1 and key not in self._unfit:
            failure = None
            try:
                outcomes = self._batch(key, members).run_epoch()
            except Exception as error:  # what fails together may succeed alone
                if is_device_lost():
                    raise
                failure = first_line(describe(error))
            if failure is None:
                self._pass_on_warnings(key, members[0][0])
                return [run.conclude(outcomes[training]) for run, training in members]
            # Here the error is gone, and with it the device's memory that its traceback held.
            self._batches.pop(key, None)
            for run, _ in members:
                run.start_over()
            reports = [run.step() for run, _ in members]
            if not any(run.failed for run, _ in members):  # Else it may have been that one alone.
                self._unfit.add(key)
                said = "runs like it are trained alone, since they cannot be trained as one"
                known = reports[0]["warning"]
                reports[0]["warning"] = f"{f'{known}; ' if known else ''}{said}: {failure}"
            return reports
        return [run.step() for run, _ in members]

    def _pass_on_warnings(self, key: Hashable, run: AssignedRun) -> None:
        """Say the first of a batch's warnings with a run's next report: later ones say the same."""
        warnings = self._batches[key].warnings
        if warnings and key not in self._warned:
            self._warned.add(key)
            run.warn(warnings[0])

    def _batch(
        self, key: Hashable, members: Sequence[tuple[AssignedRun, Training]]
    ) -> TrainingBatch:
        """The batch of exactly these runs."""
        from trainables.loop.batch import TrainingBatch

        if key not in self._batches:
            self._batches[key] = TrainingBatch([training for _, training in members])
        batch = self._batches[key]
        for _, training in members:
            if training not in batch.runs:
                batch.add(training)
        return batch
