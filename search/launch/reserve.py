"""How much of a launch's time limit its confirmation needs, told from the launch's own epochs."""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection

from search.launch.confirm import candidates, confirm_queue
from search.runs.protocol import Report
from search.trials.open_trial import Observer, OpenTrial
from search.trials.study import OpenedStudy
from search.workers.ray_session import Slots
from storage.tables.attributes import BASELINE
from trainables.finding.find import trainable_of

__all__ = ["Reserve", "confirmation_seconds"]

MARGIN = 1.25
"""On the time that the runs are expected to take: epochs differ, and the machine has other work."""
MEASURING_SECONDS = 5.0
"""For each config, to measure how many of its runs pay to be trained together."""
LOOK_SECONDS = 1.0
"""Trials that end are looked at no more often than this."""
MOST = 0.5
"""The largest share of the time limit: each launch searches for the rest at the least."""


def confirmation_seconds(
    runs: Collection[tuple[int, float]], *, n_workers: int, n_together: int, start_seconds: float
) -> float:
    """How long it takes to train some configs' runs.

    Args:
        runs: For each config, how many runs there are and a worker's seconds for one of them.
        n_workers: Workers at once.
        n_together: How many runs a worker takes at a time, whatever the others have; where it is
            measured what pays, 1, since that leaves every worker its share.
        start_seconds: Seconds before the first run begins.

    Returns:
        The seconds until the last has ended, with a margin; 0 where there are no runs.
    """
    busy = 0.0
    for n_runs, seconds in runs:
        n_groups = math.ceil(n_runs / n_together)
        busy += math.ceil(n_groups / n_workers) * min(n_together, n_runs) * seconds
    return start_seconds + MARGIN * busy if any(n_runs for n_runs, _ in runs) else 0.0


class Reserve:
    """Hears of a launch's epochs, passes the events on, and says what to keep for the verdict."""

    def __init__(
        self,
        opened: OpenedStudy,
        slots: Slots,
        observer: Observer,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """The first worker is about to be started.

        Args:
            opened: The study.
            slots: Where workers run.
            observer: Whom the events are for.
            clock: Tells the time, in seconds.
        """
        self._opened = opened
        self._n_workers = slots.concurrency
        self._observer = observer
        self._clock = clock
        self._begun = clock()
        self._first: float | None = None
        self._start_seconds = 0.0
        self._seconds: defaultdict[int, list[float]] = defaultdict(list)
        self._busy = 0.0
        self._kept = 0.0
        self._is_stale, self._looked = True, -math.inf

    def on_trial_start(self, trial: OpenTrial) -> None:
        """Nothing to learn."""
        self._observer.on_trial_start(trial)

    def on_trial_report(self, trial: OpenTrial, report: Report) -> None:
        """Learn how long an epoch of a trial takes."""
        self._observer.on_trial_report(trial, report)
        if report.epoch is None:
            return
        seconds = report.epoch.seconds
        self._seconds[trial.number].append(seconds)
        if self._first is None:
            self._first = self._clock()
            self._start_seconds = max(0.0, self._first - self._begun - seconds)
        else:
            self._busy += seconds

    def on_trial_end(self, trial: OpenTrial) -> None:
        """What is to be confirmed may be another trial now."""
        self._observer.on_trial_end(trial)
        self._is_stale = True

    def seconds(self, left: float) -> float:
        """Seconds before the time limit at which the search must end; 0 while it must not.

        As long as a baseline has not ended, or nothing is complete and better than the baselines,
        it goes on: there would be no verdict.

        Args:
            left: Seconds until the time limit.
        """
        limit = self._opened.space.budget.time_limit
        if not self._opened.space.confirm.top or limit is None or left > MOST * limit:
            return 0.0
        if self._is_stale and self._clock() >= self._looked + LOOK_SECONDS:
            self._is_stale, self._looked = False, self._clock()
            with self._opened.store.guarded():
                self._kept = min(self._needed(), MOST * limit)
        return self._kept

    def _needed(self) -> float:
        space = self._opened.space
        chosen = candidates(self._opened).trials
        awaited = [
            trial
            for trial in self._opened.trials()
            if BASELINE in trial.user_attrs and not trial.state.is_finished()
        ]
        if awaited or all(BASELINE in trial.user_attrs for trial in chosen):
            return 0.0
        n_runs = Counter(run.trial_id for run in confirm_queue(self._opened))
        asked = space.resources.together
        is_measured = asked == "auto" and trainable_of(space.config).batched
        return confirmation_seconds(
            [
                (n_runs[trial._trial_id], space.training.epochs * self._epoch_seconds(trial.number))
                for trial in chosen
            ],
            n_workers=self._n_workers,
            n_together=1 if asked == "auto" else asked,
            start_seconds=self._start_seconds + is_measured * len(n_runs) * MEASURING_SECONDS,
        )

    def _epoch_seconds(self, number: int) -> float:
        """A worker's seconds for an epoch of a trial, as this launch went.

        A trial that an earlier launch trained, on another machine perhaps, is taken for the
        slowest kind that this one has seen.
        """
        means = {trial: sum(each) / len(each) for trial, each in self._seconds.items()}
        seconds = means.get(number, max(means.values(), default=0.0))
        if self._first is None or not self._busy:
            return seconds
        # What workers wait for between epochs is part of how long these take.
        held = self._n_workers * (self._clock() - self._first)
        return seconds * max(1.0, held / self._busy)
