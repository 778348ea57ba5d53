"""A trial in a worker's hands: what its runs have made known, as the numbers Optuna is to hear."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.trial import FrozenTrial

from search.trials.observer import TrialView
from space import Space
from storage import EpochRecord, RunRecord
from storage.kept_epoch import RunProgress
from storage.tables.attributes import BASELINE

__all__ = ["OpenTrial"]


@dataclass(kw_only=True)
class OpenTrial:
    """A trial that is being trained, with the progress of its runs.

    Its steps are what the pruner compares: epochs that every run has, or, where the runs are
    trained in turn, runs that have all their epochs.
    """

    trial_id: int
    view: TrialView
    """What observers see of it."""
    runs: dict[int, RunProgress]
    """Run -> its progress, in the order of the replicates."""
    epochs: int
    """Epochs of a run that is complete."""
    in_turn: bool
    """Whether one run is trained after the other."""
    n_steps: int = 0
    """Steps taken in so far."""
    undecided: bool = False
    """Whether the pruner has not yet judged the last of them."""

    @classmethod
    def of(
        cls,
        trial: FrozenTrial,
        params: dict[str, Any],
        runs: Sequence[RunRecord],
        recorded: Mapping[int, Sequence[EpochRecord]],
        space: Space,
        n_parameters: int,
    ) -> OpenTrial:
        """A trial as it is taken up.

        Args:
            trial: As the study has it.
            params: Its parameters.
            runs: Its runs, in the order of the replicates; none where it cannot become any.
            recorded: Run -> the epochs that it has recorded, in order.
            space: The search space.
            n_parameters: Trainable parameters of its network.
        """
        metrics: list[str] = [objective.metric for objective in space.objectives]
        return cls(
            trial_id=trial._trial_id,
            view=TrialView(
                number=trial.number,
                params=params,
                is_baseline=BASELINE in trial.user_attrs,
                n_epochs=min((run.n_epochs for run in runs), default=0),
                resumed=any(run.n_epochs for run in runs),
            ),
            runs={
                run.run_id: RunProgress(
                    metrics, n_parameters=n_parameters, epochs=recorded.get(run.run_id, ())
                )
                for run in runs
            },
            epochs=space.training.epochs,
            in_turn=space.pruner.name == "wilcoxon",
            n_steps=len(trial.intermediate_values) if len(metrics) == 1 else 0,
        )

    @property
    def is_complete(self) -> bool:
        """Whether every run has all its epochs."""
        return self.view.n_epochs >= self.epochs

    def take_in(self) -> range:
        """Look at what the runs have by now.

        Returns:
            The steps that are new, counted from 1.
        """
        self.view.n_epochs = min(run.n_epochs for run in self.runs.values())
        before = self.n_steps
        if self.in_turn:
            self.n_steps = sum(run.n_epochs >= self.epochs for run in self.runs.values())
        else:
            self.n_steps = self.view.n_epochs
        if self.n_steps != before:
            self.undecided = True
            self.view.values = self.step_values(self.n_steps)
        return range(before + 1, self.n_steps + 1)

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
