"""What can be trained, whatever it is: what a search asks of it."""

from __future__ import annotations

import math
from typing import Any, Generic, NamedTuple, TypeVar

from space.config import RunConfig
from space.errors import CheckpointError
from trainables.contract.group_speed import GroupSpeed
from trainables.contract.own_code import OwnCode
from trainables.contract.run import Run
from trainables.contract.run_data import RunData

__all__ = ["EpochCost", "Trainable"]

C = TypeVar("C", bound=RunConfig)


class EpochCost(NamedTuple):
    """What an epoch costs."""

    step_seconds: float
    """Of an optimizer step; of a whole epoch where there are no such steps."""
    n_steps: float
    """Steps that an epoch takes, the validation counted in."""


class Trainable(Generic[C]):
    """Something that can be trained an epoch at a time, as searches and benchmarks see it.

    It knows nothing of studies, stores and workers, and is the same in every process; what belongs
    to a run is in the run. Loading the module that defines it must be quick: what takes a second to
    import is imported by the method that needs it.

    Attributes:
        name: What files call it.
        own: Its text, where it is a user's own.
        about: What it is, in a sentence.
        written: The class that somebody wrote, whose `data` or `load` loads a split.
        batched: Whether its runs can be trained many as one, as many as `measure_together` finds
            to pay.
    """

    name: str = ""
    own: OwnCode | None = None
    about: str = ""
    written: type | None = None
    batched: bool = False
    config_type: type[C]

    @property
    def pinned(self) -> str:
        """Its name with the digits of its text behind it, where it is a user's own."""
        return self.name if self.own is None else f"{self.name}@{self.own.fingerprint}"

    def settle(
        self, config: C, *, source: str | None = None, with_test: bool = False
    ) -> tuple[C, RunData]:
        """Load the data, and say in the config what they were found to be.

        Args:
            config: A config.
            source: What ``data.source`` was settled to before, if it was.
            with_test: Whether the test split is loaded too, which only a benchmark may.

        Returns:
            The config, and what its runs are trained on.

        Raises:
            DataError: If the data cannot be had or do not suffice.
        """
        raise NotImplementedError

    def resolve(self, config: C) -> C:
        """The same config with nothing left to a default that may change.

        Args:
            config: A config; a resolved one comes back equal.

        Raises:
            DataError: If the data cannot be had.
            ModelError: If the model's name or an option is wrong.
            TrainingError: If a training setting cannot be honoured.
        """
        raise NotImplementedError

    def open_run(self, config: C, data: RunData) -> Run:
        """A run at its beginning.

        Args:
            config: A resolved config.
            data: What it is trained on.

        Raises:
            TrainingError: If the config's device is not there or cannot honour its settings.
        """
        raise NotImplementedError

    def network(self, config: C) -> Any:
        """A network of this config with any weights, for those of a finished run to be put in.

        Raises:
            CheckpointError: If its runs are of no network.
        """
        raise CheckpointError(f"the runs of '{self.name}' are of no network that weights fit")

    def predict(self, config: C, network: Any, inputs: Any) -> Any:
        """What a network says of some inputs.

        Args:
            config: The network's.
            network: From `network`, with weights.
            inputs: (N, ...) tensor.

        Returns:
            (N, ...) tensor.
        """
        return network(inputs)

    def n_parameters(self, config: C) -> int:
        """What a run of this config trains: the numbers in it; 0 for what has none.

        Raises:
            ModelError: If the model's name or an option is wrong.
        """
        raise NotImplementedError

    def weight(self, config: C) -> tuple[float, ...]:
        """What grows with the memory that a run takes."""
        return ()

    def measure_epoch(self, config: C, data: RunData) -> EpochCost:
        """What an epoch costs here and now. Default: the first is trained.

        Args:
            config: A resolved config.
            data: What its runs are trained on.
        """
        return EpochCost(self.open_run(config, data).run_epoch().seconds, 1.0)

    def measure_together(
        self, config: C, data: RunData, *, most: int, n_runs: float = math.inf
    ) -> GroupSpeed:
        """How fast runs of one config are trained together; only asked where they are `batched`.

        Args:
            config: A resolved config.
            data: What its runs are trained on.
            most: The most to try together, at least 1.
            n_runs: How many a worker is to train in all.
        """
        raise NotImplementedError
