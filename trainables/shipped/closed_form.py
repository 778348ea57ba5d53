"""A run whose curve is a formula: for tests of schedulers and for measuring what they cost."""

from __future__ import annotations

import math
import os
import random
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from space.epochs import Epoch, kept_epoch
from trainables.failures import NonFiniteLossError
from trainables.seeds import Stream
from trainables.shipped.digit_pairs.config import DIGIT_PAIRS, DigitPairsConfig, PairTrainingConfig

__all__ = ["CLOSED_FORM", "ClosedForm", "ClosedFormOptions", "final_error"]

CLOSED_FORM = "closed-form"
"""The name of this model in a config."""

_START_ERROR = 0.5
_FLOOR_ERROR = 0.03
_NOISE = 0.005

_Epoch = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class ClosedFormOptions:
    """The model options of ``closed-form``; an epoch of 0 means never."""

    fail_at: _Epoch = 0
    """Epoch that raises RuntimeError, as a bug would."""
    nan_at: _Epoch = 0
    """Epoch whose training loss is not a number."""
    exit_at: _Epoch = 0
    """Epoch in which the process dies at once."""
    exit_marker: str = ""
    """File made before the process dies; where it exists already, the process lives on."""
    sleep: Annotated[float, Field(ge=0)] = 0.0
    """Seconds that an epoch sleeps."""


def final_error(training: PairTrainingConfig) -> float:
    """The validation error that a run's curve tends to, before noise.

    A bowl in log10 of the learning rate (best at 1e-3), in log10 of the weight decay (best at 1e-3)
    and in the auxiliary weight (best at 0.6), levelled off below 0.5:

        z = 0.5 (log10 lr + 3)^2 + 0.05 (log10(wd + 1e-6) + 3)^2 + 0.5 (w - 0.6)^2
        final = 0.03 + 0.47 (1 - exp(-z))

    Args:
        training: A training config whose auxiliary weight is set.

    Returns:
        The error, 0.03 to 0.5.
    """
    z = 0.5 * (math.log10(training.learning_rate) + 3) ** 2
    z += 0.05 * (math.log10(training.weight_decay + 1e-6) + 3) ** 2
    z += 0.5 * ((training.aux_weight or 0.0) - 0.6) ** 2
    return _FLOOR_ERROR + (_START_ERROR - _FLOOR_ERROR) * (1 - math.exp(-z))


class ClosedForm:
    """A run of ``closed-form``: a `Run` that needs no data and takes microseconds an epoch.

    After e epochs the validation error is, clipped to 0..1,

        final + (0.5 - final) exp(-e / tau) + 0.005 g,    tau = 5 (lr / 1e-3)^(-1/4)

    with g a standard normal number drawn from the training seed and e. A low learning rate is slow,
    so curves cross. The losses and the training error are linear in the validation error.
    """

    fingerprint = ""
    """No data."""
    n_parameters = 0
    """No network."""

    def __init__(self, config: DigitPairsConfig) -> None:
        """
        Args:
            config: A resolved config whose model is ``closed-form``.
        """
        self.config = config
        self.history: list[Epoch] = []
        self.kept: Epoch | None = None
        options: dict[str, Any] = dict(config.model.options)
        self._options = ClosedFormOptions(**options)

    @property
    def epoch(self) -> int:
        """Completed epochs."""
        return len(self.history)

    @property
    def finished(self) -> bool:
        """Whether all epochs of the config are completed."""
        return self.epoch >= self.config.training.epochs

    def run_epoch(self) -> Epoch:
        """Runs one epoch.

        Returns:
            Its numbers.

        Raises:
            NonFiniteLossError: In epoch ``nan_at``.
            RuntimeError: In epoch ``fail_at``, or if the run is finished.
        """
        if self.finished:
            raise RuntimeError("the run is finished")
        started = time.perf_counter()
        epoch = self.epoch + 1
        options = self._options
        if options.sleep:
            time.sleep(options.sleep)
        if epoch == options.exit_at:
            _die_unless_marked(options.exit_marker)
        if epoch == options.fail_at:
            raise RuntimeError(f"closed-form fails in epoch {epoch}, as its options ask")
        metrics = self._metrics(epoch, time.perf_counter() - started)
        if not metrics.is_finite():
            raise NonFiniteLossError(metrics)
        if metrics.replaces(self.kept, DIGIT_PAIRS.rule):
            self.kept = metrics
        self.history.append(metrics)
        return metrics

    def _metrics(self, epoch: int, seconds: float) -> Epoch:
        training = self.config.training
        final = final_error(training)
        tau = 5 * (training.learning_rate / 1e-3) ** -0.25
        seed = f"{int(Stream.CLOSED_FORM)}/{training.training_seed}/{epoch}"
        noise = _NOISE * random.Random(seed).gauss(0, 1)
        val_error = final + (_START_ERROR - final) * math.exp(-epoch / tau) + noise
        val_error = min(1.0, max(0.0, val_error))
        return Epoch(
            epoch=epoch,
            metrics={
                "train_loss": math.nan if epoch == self._options.nan_at else 0.05 + val_error,
                "val_loss": 0.1 + 1.2 * val_error,
                "train_error": 0.8 * val_error,
                "val_error": val_error,
            },
            seconds=seconds,
        )

    def evaluate(self, test: Any) -> dict[str, float]:
        """Nothing: a formula has no test split.

        Raises:
            TypeError: Always.
        """
        raise TypeError("only a network can be evaluated, and on test images alone")

    def state_dict(self) -> dict[str, Any]:
        """The state, of plain types.

        Returns:
            What `load_state_dict` takes.
        """
        return {"history": [asdict(metrics) for metrics in self.history]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes back, or on, to a state.

        Args:
            state: What `state_dict` gave in a run of the same config.
        """
        self.history = [Epoch(**metrics) for metrics in state["history"]]
        self.kept = kept_epoch(self.history, DIGIT_PAIRS.rule)


def _die_unless_marked(marker: str) -> None:
    if marker:
        path = Path(marker)
        if path.exists():
            return
        path.touch()
    # Not sys.exit: nothing may be cleaned up, as when a worker is killed.
    os._exit(1)
