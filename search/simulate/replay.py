"""One search in simulated time: the real ledger, sampler and pruner over recorded curves.

Nothing is trained. A trial is answered with the recorded curve of the point nearest to what the
sampler proposed, and each of its epochs takes as long as it took when it was recorded. Workers are
entries of a queue ordered by simulated time; asking and deciding take none of it.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.trial import TrialState

from search.runs.protocol import Report
from search.runs.provenance import Provenance
from search.runs.seeds import replicate_config
from search.simulate.curves_file import LearningCurves, RecordedRun, Surrogate
from search.trials.ledger import Ledger
from search.trials.open_trial import OpenTrial
from search.trials.study import open_study
from search.trials.warm_start import EarlierTrial
from space import RunConfig, Space
from space.metrics import rank
from storage import Store
from trainables.contract.run_data import RunData

__all__ = ["Incumbent", "Replay", "SimulatedSearch"]

_WORKER = "simulated"
_NOWHERE = Provenance(git_commit=None, git_dirty=None, versions={}, hardware={}, host="", pid=0)


@dataclass(frozen=True, kw_only=True)
class Incumbent:
    """A trial that was the best complete one when it completed.

    Attributes:
        n_epochs: Epochs that the study had trained by then, in all trials.
        seconds: Simulated wall time by then.
        point: The recorded point that it was answered with.
        value: Its objective's value.
    """

    n_epochs: int
    seconds: float
    point: int
    value: float


@dataclass(frozen=True, kw_only=True)
class SimulatedSearch:
    """A search from its beginning to its budget.

    Attributes:
        incumbents: The best trial so far, each time that it changed.
        n_epochs: Epochs trained.
        seconds: Simulated wall time.
        trials: State -> trials.
    """

    incumbents: tuple[Incumbent, ...]
    n_epochs: int
    seconds: float
    trials: dict[str, int]


class Replay:
    """Replays searches over the same curves."""

    def __init__(self, curves: LearningCurves, *, n_workers: int) -> None:
        """Prepare the points.

        Args:
            curves: What trials are answered with.
            n_workers: Trials at a time.
        """
        self._curves = curves
        self._n_workers = n_workers
        points = [point.params for point in curves.points]
        self._surrogate = Surrogate(curves.space, points)
        self._configs = [curves.space.resolve(params) for params in points]
        self._point_of = {
            replicate_config(config, replicate).config_hash(): index
            for index, config in enumerate(self._configs)
            for replicate in range(curves.n_seeds)
        }

    def run(
        self,
        space: Space,
        store: Store,
        *,
        recorded_seed: int,
        max_epochs: int,
        earlier: Sequence[EarlierTrial] = (),
    ) -> SimulatedSearch:
        """Search until the budget of epochs is spent, or there is nothing left to propose.

        Args:
            space: The curves' space with the sampler, its seed and the pruner to try; its study's
                name is new to the store.
            store: A store to fill; nothing of it is needed afterwards.
            recorded_seed: Which run of a point its trials are answered with; a trial's further
                replicates with those that follow, counted round.
            max_epochs: Epochs of the whole study.
            earlier: The trials of its warm start.

        Returns:
            How it went.
        """
        unlimited = space.model_copy(
            update={"budget": space.budget.model_copy(update={"epochs": None})}
        )
        opened = open_study(store, unlimited, RunData(), self._resolve, earlier)
        observer = _Watch(self, minimize=space.objectives[0].direction == "minimize")
        launch = _NOWHERE.new_launch(
            opened.id, command="", config=space.model_dump(mode="json"), data=RunData()
        )
        ledger = Ledger(opened, store.begin_launch(launch), observer)
        events = _Events(self._n_workers)
        while ledger.n_epochs < max_epochs:
            while events.has_room:
                assignment = ledger.next_assignment()
                if assignment is None:
                    break
                events.begin(
                    {
                        run.run_id: self._curve(run.config_hash, recorded_seed + run.replicate)
                        for run, _ in assignment.runs
                    }
                )
            if not events:
                break
            reports = events.next_reports()
            observer.n_epochs, observer.seconds = ledger.n_epochs + len(reports), events.now
            if ledger.report(reports):
                events.go_on()
            else:
                events.leave()
        return SimulatedSearch(
            incumbents=tuple(observer.incumbents),
            n_epochs=ledger.n_epochs,
            seconds=events.now,
            trials=dict(observer.states),
        )

    def _curve(self, config_hash: str, recorded_seed: int) -> RecordedRun:
        runs = self._curves.points[self._point_of[config_hash]].runs
        return runs[recorded_seed % len(runs)]

    def _resolve(self, params: Mapping[str, Any]) -> RunConfig:
        return self._configs[self.point(params)]

    def point(self, params: Mapping[str, Any]) -> int:
        """The index of the point that a trial with these parameters is answered with."""
        return self._surrogate.nearest(params)


class _Events:
    """The workers' next reports in the order of simulated time; a tie goes to the first begun.

    A worker trains an epoch of each of its trial's replicates in turn, then reports all of them.

    Attributes:
        now: Simulated seconds since the search began.
    """

    def __init__(self, n_workers: int) -> None:
        self.now = 0.0
        self._n_workers = n_workers
        self._n_begun = 0
        self._queue: list[tuple[float, int, int, dict[int, RecordedRun]]] = []
        """When, the how-manieth trial, the epoch that ends then, and its runs' curves."""

    def __bool__(self) -> bool:
        return bool(self._queue)

    @property
    def has_room(self) -> bool:
        """Whether a worker is free."""
        return len(self._queue) < self._n_workers

    def begin(self, curves: dict[int, RecordedRun]) -> None:
        """A free worker begins a trial's runs now."""
        self._n_begun += 1
        heapq.heappush(self._queue, (self.now + _seconds(curves), self._n_begun, 1, curves))

    def next_reports(self) -> list[Report]:
        """Go on to the moment of the next reports; their worker then goes on or leaves."""
        self.now, _, number, curves = self._queue[0]
        return [_report(run_id, curve, number) for run_id, curve in curves.items()]

    def go_on(self) -> None:
        """The worker that reported trains another epoch."""
        when, begun, number, curves = self._queue[0]
        heapq.heapreplace(self._queue, (when + _seconds(curves), begun, number + 1, curves))

    def leave(self) -> None:
        """The worker that reported is free."""
        heapq.heappop(self._queue)


def _seconds(curves: Mapping[int, RecordedRun]) -> float:
    return math.fsum(curve.epoch_seconds for curve in curves.values())


def _report(run_id: int, curve: RecordedRun, number: int) -> Report:
    """What a worker says of a run's epoch, or that it lost its finite loss in it."""
    epoch = failure = None
    if number > curve.n_epochs:
        failure = f"the loss is not finite in epoch {number}"
    else:
        epoch = curve.epochs[number - 1]
    return Report(
        run_id=run_id, epoch=epoch, evaluation=None, failure=failure, warning=None, worker=_WORKER
    )


class _Watch:
    """Hears of the trials, and notes each that is the best so far."""

    def __init__(self, replay: Replay, *, minimize: bool) -> None:
        self.incumbents: list[Incumbent] = []
        self.states: Counter[str] = Counter()
        self.n_epochs = 0
        self.seconds = 0.0
        self._replay = replay
        self._maximize = not minimize

    def on_trial_start(self, trial: OpenTrial) -> None:
        """Nothing."""

    def on_trial_report(self, trial: OpenTrial, report: Report) -> None:
        """Nothing."""

    def on_trial_end(self, trial: OpenTrial) -> None:
        """Compare a complete trial with the best so far."""
        self.states[trial.state.name] += 1
        if trial.state != TrialState.COMPLETE or trial.values is None:
            return
        [value] = trial.values
        best = self.incumbents[-1].value if self.incumbents else None
        if best is None or rank(value, self._maximize) < rank(best, self._maximize):
            self.incumbents.append(
                Incumbent(
                    n_epochs=self.n_epochs,
                    seconds=self.seconds,
                    point=self._replay.point(trial.params),
                    value=value,
                )
            )
