"""A run: what workers step through, an epoch at a time, whoever trains it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from space.config import RunConfig
from space.epochs import Epoch, kept_epoch
from space.errors import TrainingError
from space.metrics import Measured
from trainables.failures import NonFiniteLossError

__all__ = ["Run"]


class Run(ABC):
    """One training run and its books: its epochs, and the state of the one that is kept.

    A run that raised a `TrialFailure` is over.

    Attributes:
        config: The resolved config.
        fingerprint: 16 hexadecimal digits that identify the data; empty where there are none.
        history: The completed epochs.
        kept: The one whose state is kept; None before the first epoch's end.
        other: The one whose state would be kept under the other selection (see `Measured.rules`);
            None before the first epoch's end, and where there is no such selection.
        notice: What did not stop the run but should be known; whoever reports it takes it away.
    """

    def __init__(self, config: RunConfig, measured: Measured, fingerprint: str) -> None:
        """
        Args:
            config: The resolved config.
            measured: What is measured of it; says which epochs' states are kept.
            fingerprint: Identifies the data.
        """
        self.config = config
        self.fingerprint = fingerprint
        self.history: list[Epoch] = []
        self.kept: Epoch | None = None
        self.other: Epoch | None = None
        self.notice: str | None = None
        self._rule, self._other_rule = measured.rules(config.selection)
        self._kept_state: Any = None
        self._other_state: Any = None

    @property
    def n_parameters(self) -> int:
        """Trainable parameters; 0 where there are none."""
        return 0

    @property
    def device_name(self) -> str:
        """What it is trained on, where that is to be known; empty for this process's CPU."""
        return ""

    @property
    def epoch(self) -> int:
        """Completed epochs."""
        return len(self.history)

    @property
    def finished(self) -> bool:
        """Whether all epochs of the config are completed."""
        return self.epoch >= self.config.training.epochs

    @abstractmethod
    def run_epoch(self) -> Epoch:
        """Trains one epoch, and keeps its state if it is the best so far.

        Returns:
            Its numbers.

        Raises:
            RuntimeError: If the run is finished.
            TrialFailure: If the run cannot go on.
        """

    @abstractmethod
    def evaluate(self, test: Any, *, other: bool = False) -> Mapping[str, float]:
        """The kept state's metrics on all parts of the data; only benchmarks ask for them.

        Args:
            test: The test part, as the trainable loaded it.
            other: Whether the other state is meant.

        Returns:
            Metric with its split, such as ``"test_error"`` -> value.

        Raises:
            RuntimeError: If there is no such state.
            TrialFailure: If it cannot be evaluated.
        """

    @abstractmethod
    def _state(self) -> dict[str, Any]:
        """What the next epoch starts from; see `state_dict`."""

    @abstractmethod
    def _load_state(self, state: Mapping[str, Any]) -> None:
        """Goes to what `_state` gave; the epochs and the kept state are there already."""

    @abstractmethod
    def _evaluable_state(self) -> Any:
        """A copy of what `evaluate` needs of the state as it is now."""

    def weights(self) -> Mapping[str, Any]:
        """The kept state's weights.

        Returns:
            Name -> tensor; empty where there are none, or none that are tensors.
        """
        return {}

    def complete_epoch(self, epoch: Epoch) -> None:
        """Records an epoch's numbers, and keeps the state if it is the best so far.

        Args:
            epoch: The epoch that follows the last completed one.

        Raises:
            NonFiniteLossError: If a metric is not finite.
        """
        if not epoch.is_finite():
            raise NonFiniteLossError(epoch)
        is_kept = epoch.replaces(self.kept, self._rule)
        is_other = bool(self._other_rule) and epoch.replaces(self.other, self._other_rule)
        state = self._evaluable_state() if is_kept or is_other else None
        if is_kept:
            self.kept, self._kept_state = epoch, state
        if is_other:
            self.other, self._other_state = epoch, state
        self.history.append(epoch)

    def state_dict(self) -> dict[str, Any]:
        """Everything that the epochs to come depend on besides config and data.

        Returns:
            Tensors and plain types, possibly live: save them before the next epoch.
        """
        return {
            **self._state(),
            "history": [asdict(epoch) for epoch in self.history],
            "kept_model": self._kept_state,
            "other_model": self._other_state,
        }

    def go_on_from(self, state: Mapping[str, Any]) -> None:
        """Begins where another run ended, with none of its epochs.

        Args:
            state: What `state_dict` gave in a finished run of the same shape; left untouched.

        Raises:
            TrainingError: If it does not fit.
        """
        try:
            self._begin_at(state)
        except (KeyError, RuntimeError, ValueError) as error:
            said = " ".join(str(error).split())[:200]
            raise TrainingError(
                f"the state of the run before does not fit this one: {said}"
            ) from error

    def _begin_at(self, state: Mapping[str, Any]) -> None:
        self._load_state({**state, "kept_model": {}, "other_model": {}})

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes back, or on, to a state; what follows is the same to the bit as without it.

        Args:
            state: What `state_dict` gave in a run of the same config; left untouched.
        """
        self.history = [Epoch(**epoch) for epoch in state["history"]]
        self.kept = kept_epoch(self.history, self._rule)
        self._kept_state = state["kept_model"]
        if "other_model" in state:
            self.other = kept_epoch(self.history, self._other_rule) if self._other_rule else None
            self._other_state = state["other_model"]
        else:  # An older release's: the state of an epoch that lies behind is lost.
            self._other_rule = ()
        self._load_state(state)
