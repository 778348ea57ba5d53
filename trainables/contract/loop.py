"""A training loop of one's own, in any framework: a class whose instances are runs."""

from __future__ import annotations

import pickle
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from space.config import Options
from space.metrics import Metric

__all__ = ["Loop", "RunInfo"]


@dataclass
class RunInfo:
    """What a run is told of itself."""

    epochs: int
    """How many epochs it trains."""
    training_seed: int
    """Draws all that is random but the data; 0 <= seed < 2**63, below 2**32 in practice."""
    data_seed: int
    """Draws what the run sees of the data, and what of it is held out for validation."""
    device: Literal["auto", "cpu", "cuda"]
    """Where to compute; auto: on the GPU where the process sees one, else on the CPU."""
    with_test: bool = False
    """Whether the test split may be used: in a benchmark alone."""


class Loop(ABC):
    """A training loop of one's own: a subclass trains an epoch when it is asked to.

    An instance is one run. Which epochs there are, which of them is kept, seconds, checkpoints,
    reports and seeds are looked after. The methods are called in this order: `load`, in the process
    that starts everything and on an instance that is never trained; then, in a worker, `begin`,
    `load_state_dict` if the run goes on from a checkpoint, `train_epoch` again and again with
    `state_dict` between, and at the end of a benchmark `load_state_dict` and `evaluate`.

    The same options and seeds must give the same numbers, in whatever process.

    Attributes:
        metrics: What is measured, without a split in the names; the first decides which epoch is
            kept, and is what is searched for unless a file says otherwise.
        options: The options. A subclass says of which type they are, one derived from
            `space.Options`: ``options: MyOptions``. Every field can be set and searched by name.
        run: The run's epochs, seeds and device.
        notice: What does not stop the run but should be known, to be said with its next epoch.
    """

    metrics: ClassVar[tuple[Metric, ...]] = ()
    run_type: ClassVar[type[RunInfo]] = RunInfo
    options: Options
    run: RunInfo
    notice: str | None = None

    def __init__(self, options: Options) -> None:
        """
        Args:
            options: The run's.

        Raises:
            ValueError: If no run can be made with them, because they do not go together, say: a
                trial of theirs fails for that reason, and the search goes on.
        """
        self.options = options

    @property
    def source(self) -> str:
        """Where the data come from: part of their fingerprint."""
        return type(self).__name__

    @property
    def n_parameters(self) -> int:
        """The numbers that these options make a run train; 0 where that means nothing."""
        return 0

    def load(self, split: Literal["train", "test"]) -> Any:
        """The data of a split, once for all runs. Default: None, for what needs none.

        Args:
            split: "train", from which the run itself holds out what it validates with; or "test",
                which is asked for by benchmarks alone.

        Returns:
            Arrays, tensors, bytes, text or numbers, in mappings or lists; or an object with an
            attribute ``fingerprint``, a text that is another for other data. It is sent to the
            workers, shared by all runs and not to be changed.

        Raises:
            DataError: If the data cannot be had.
        """
        return None

    def begin(self, data: Any) -> None:
        """Make what is trained, at its beginning.

        Args:
            data: What `load` gave for the training split.
        """
        return None

    @abstractmethod
    def train_epoch(self) -> Mapping[str, float]:
        """Train one epoch, and measure.

        Returns:
            Metric with its split -> value: for each of `metrics` that of ``val_``, and that of
            ``train_`` where it is known.
        """

    def evaluate(self, test: Any) -> Mapping[str, float]:
        """Measure the state as it is on the test split; needed for benchmarks alone.

        Args:
            test: What `load` gave for the test split.

        Returns:
            For each of `metrics`, with ``test_`` before its name, a value.
        """
        raise NotImplementedError

    def state_dict(self) -> Mapping[str, Any]:
        """All that the epochs to come and `evaluate` depend on. Default: all attributes.

        Returns:
            What pickle can write.
        """
        return {
            key: value
            for key, value in vars(self).items()
            if key not in ("options", "run", "notice")
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to a state.

        Args:
            state: What `state_dict` gave, in this process or in another.
        """
        vars(self).update(state)

    def go_on_from(self, state: Mapping[str, Any]) -> None:
        """Begin where another run ended, with options of one's own. Default: as any state.

        Args:
            state: What `state_dict` gave there, after its last epoch.
        """
        self.load_state_dict(state)


def packed(state: Any) -> bytes:
    """A state as bytes, a copy of it as it is now."""
    return pickle.dumps(state, protocol=pickle.HIGHEST_PROTOCOL)
