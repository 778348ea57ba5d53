"""A trial in a worker's hands: what its runs have made known, as the numbers Optuna is to hear."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import optuna
from optuna.trial import TrialState

from search.runs.protocol import Report
from space import Space
from space.epochs import Epoch
from space.metrics import Measured
from storage import RunRecord, TrialStep
from storage.kept_epoch import RunProgress
from storage.tables.attributes import BASELINE, warm_start_of

__all__ = ["Observer", "OpenTrial"]


@dataclass(kw_only=True)
class OpenTrial:
    """A trial that is being trained, with the progress of its runs.

    Its steps are what the pruner compares: epochs that every run has, or, where the runs are
    trained in turn, runs that have all their epochs.
    """

    asked: optuna.Trial
    """Optuna's own."""
    params: dict[str, Any]
    """Parameter -> value."""
    is_baseline: bool
    """Whether the space file asked for it."""
    warm_start: str | None
    """Which trial of an earlier study it was queued from, in words."""
    runs: dict[int, RunProgress]
    """Run -> its progress, in the order of the replicates."""
    epochs: int
    """Epochs of a run that is complete."""
    in_turn: bool
    """Whether one run is trained after the other."""
    resumed: bool
    """Whether it goes on from an earlier launch."""
    n_steps: int = 0
    """Steps taken in so far."""
    undecided: bool = False
    """Whether the pruner has not yet judged the last of them."""
    values: list[float] | None = None
    """The objectives' values so far."""
    state: TrialState = TrialState.RUNNING
    reason: str | None = None
    """Why it failed or was stopped."""
    traceback: str | None = None
    """Of the error that it failed with."""

    @classmethod
    def of(
        cls,
        asked: optuna.Trial,
        params: dict[str, Any],
        runs: Sequence[RunRecord],
        recorded: Mapping[int, Sequence[Epoch]],
        space: Space,
        measured: Measured,
        n_parameters: int,
    ) -> OpenTrial:
        """A trial as it is taken up.

        Args:
            asked: As Optuna gave it.
            params: Its parameters.
            runs: Its runs, in the order of the replicates; none where it cannot become any.
            recorded: Run -> the epochs that it has recorded, in order.
            space: The search space.
            measured: What is measured of its runs.
            n_parameters: Trainable parameters of its network.
        """
        trial = asked.storage.get_trial(asked._trial_id)
        metrics: list[str] = [objective.metric for objective in space.objectives]
        return cls(
            asked=asked,
            params=params,
            is_baseline=BASELINE in trial.user_attrs,
            warm_start=warm_start_of(trial.user_attrs),
            runs={
                run.run_id: RunProgress(
                    measured,
                    metrics,
                    selection=run.selection,
                    n_parameters=n_parameters,
                    epochs=recorded.get(run.run_id, ()),
                )
                for run in runs
            },
            epochs=space.training.epochs,
            in_turn=space.pruner.name == "wilcoxon",
            resumed=any(run.n_epochs for run in runs),
            n_steps=len(trial.intermediate_values) if len(metrics) == 1 else 0,
        )

    @property
    def trial_id(self) -> int:
        """Optuna's number of it in the store."""
        return self.asked._trial_id

    @property
    def number(self) -> int:
        """Optuna's number of it in its study."""
        return self.asked.number

    @property
    def n_epochs(self) -> int:
        """Epochs behind it; of several replicates, those that each of them has."""
        return min((run.n_epochs for run in self.runs.values()), default=0)

    @property
    def is_complete(self) -> bool:
        """Whether every run has all its epochs."""
        return self.n_epochs >= self.epochs

    def take_in(self) -> list[TrialStep]:
        """Look at what the runs have by now.

        Returns:
            What Optuna is to hear of it: the values of the steps that are new, which count from 1.
            Nothing of a trial of several objectives, which Optuna has no pruner for.
        """
        before = self.n_steps
        if self.in_turn:
            self.n_steps = sum(run.n_epochs >= self.epochs for run in self.runs.values())
        else:
            self.n_steps = self.n_epochs
        if self.n_steps == before:
            return []
        self.undecided = True
        self.values = self.step_values(self.n_steps)
        if len(self.values) > 1:
            return []
        return [
            TrialStep(trial_id=self.trial_id, step=step, value=self.step_values(step)[0])
            for step in range(before + 1, self.n_steps + 1)
        ]

    def step_values(self, step: int) -> list[float]:
        """The objectives' values at a step, from 1."""
        if self.in_turn:
            return list(self.runs.values())[step - 1].values(self.epochs)
        return _mean([run.values(step) for run in self.runs.values()])

    def final_values(self) -> tuple[list[float], list[float] | None]:
        """The objectives' values of a complete trial.

        Returns:
            Their means over the runs, and the standard errors of these; None for a single run.
        """
        finals = [run.values(self.epochs) for run in self.runs.values()]
        if len(finals) == 1:
            return finals[0], None
        n_root = math.sqrt(len(finals))
        return _mean(finals), [
            statistics.stdev(column) / n_root for column in zip(*finals, strict=True)
        ]


def _mean(values: list[list[float]]) -> list[float]:
    return [statistics.fmean(column) for column in zip(*values, strict=True)]


class Observer(Protocol):
    """Hears of every event of the launch; changes nothing."""

    def on_trial_start(self, trial: OpenTrial) -> None:
        """A trial began, or went on."""

    def on_trial_report(self, trial: OpenTrial, report: Report) -> None:
        """An epoch of a trial was recorded."""

    def on_trial_end(self, trial: OpenTrial) -> None:
        """A trial reached a final state, or was interrupted."""
