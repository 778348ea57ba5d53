"""What a person may follow of a launch, trial by trial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from optuna.trial import TrialState

from search.runs.protocol import Report

__all__ = ["Observer", "TrialView"]


@dataclass(kw_only=True)
class TrialView:
    """A trial as the person at the terminal sees it.

    Attributes:
        number: Optuna's number.
        params: Parameter -> value.
        is_baseline: Whether the space file asked for it.
        n_epochs: Epochs behind it; of several replicates, those that each of them has.
        state: Optuna's state.
        values: The objectives' values so far.
        reason: Why it failed or was stopped.
        resumed: Whether it goes on from an earlier launch.
    """

    number: int
    params: dict[str, Any]
    is_baseline: bool
    n_epochs: int
    state: TrialState = TrialState.RUNNING
    values: list[float] | None = None
    reason: str | None = None
    resumed: bool = False


class Observer(Protocol):
    """Hears of every event of the launch; changes nothing."""

    def on_trial_start(self, trial: TrialView) -> None:
        """A trial began, or went on."""

    def on_trial_report(self, trial: TrialView, report: Report) -> None:
        """An epoch of a trial was recorded."""

    def on_trial_end(self, trial: TrialView) -> None:
        """A trial reached a final state, or was interrupted."""
