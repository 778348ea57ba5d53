"""What trainables share whose runs a `Training` trains, many as one model where it pays."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

from space.config import NetworkConfig
from trainables.contract.run_data import RunData
from trainables.contract.trainable import EpochCost, Trainable

if TYPE_CHECKING:
    from trainables.contract.group_speed import GroupSpeed
    from trainables.loop.training import Training

__all__ = ["BatchedTrainable"]

C = TypeVar("C", bound=NetworkConfig)


class BatchedTrainable(Trainable[C]):
    """See the module's docstring; loading it loads no PyTorch."""

    batched = True

    def open_run(self, config: C, data: RunData) -> Training:
        """See `Trainable.open_run`."""
        raise NotImplementedError

    def measure_epoch(self, config: C, data: RunData) -> EpochCost:
        """A step of the network, measured."""
        from trainables.loop.group_speed import measure_epoch

        long = config.with_values({"training.epochs": 2})
        return measure_epoch(self.open_run(long, data))

    def measure_together(
        self, config: C, data: RunData, *, most: int, n_runs: float = math.inf
    ) -> GroupSpeed:
        """Steps of the network, measured."""
        from trainables.loop.group_speed import MOST_TIMED, measure_group_speed

        long = config.with_values({"training.epochs": MOST_TIMED + 1})
        n_epochs = n_runs * config.training.epochs
        return measure_group_speed(lambda: self.open_run(long, data), most=most, n_epochs=n_epochs)
