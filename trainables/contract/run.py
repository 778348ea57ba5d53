"""What a study steps through, whichever trainable it is of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from space.config import RunConfig
from space.epochs import Epoch

__all__ = ["Run"]


class Run(Protocol):
    """One training run, an epoch at a time."""

    history: list[Epoch]
    """The completed epochs."""
    kept: Epoch | None
    """The one whose state is kept."""
    fingerprint: str
    """16 hexadecimal digits that identify the data; empty where there are none."""

    @property
    def config(self) -> RunConfig:
        """The resolved config."""

    @property
    def n_parameters(self) -> int:
        """Trainable parameters."""

    @property
    def epoch(self) -> int:
        """Completed epochs."""

    @property
    def finished(self) -> bool:
        """Whether all epochs of the config are completed."""

    def run_epoch(self) -> Epoch:
        """Runs one epoch.

        Returns:
            Its numbers.

        Raises:
            TrialFailure: If the run cannot go on.
        """

    def evaluate(self, test: Any) -> Mapping[str, float]:
        """The kept state's metrics on all parts of the data; only benchmarks ask for them.

        Args:
            test: The test part, as the trainable loaded it.

        Returns:
            Metric with its split, such as ``"test_error"`` -> value.

        Raises:
            TrialFailure: If it cannot be evaluated.
        """

    def state_dict(self) -> dict[str, Any]:
        """Everything that the epochs to come depend on besides config and data.

        Returns:
            Tensors and plain types, possibly live: save them before the next epoch.
        """

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes back, or on, to a state.

        Args:
            state: What `state_dict` gave in a run of the same config; left untouched.
        """
