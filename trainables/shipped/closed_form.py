"""A run whose curve is a formula: for tests of schedulers and for measuring what they cost."""

from __future__ import annotations

import math
import os
import random
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from space.config import Options
from space.metrics import Metric
from trainables.contract.loop import Loop
from trainables.seeds import Stream

__all__ = ["ClosedForm", "ClosedFormOptions", "final_error"]

_START_ERROR = 0.5
_FLOOR_ERROR = 0.03
_NOISE = 0.005

_Epoch = Annotated[int, Field(ge=0)]


class ClosedFormOptions(Options):
    """What a curve depends on; an epoch of 0 means never."""

    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """Best at 1e-3; a low one is slow."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Best at 1e-3."""
    aux_weight: Annotated[float, Field(ge=0, lt=1)] = 0.6
    """Best at 0.6."""
    learning_rate_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Of no effect, as the next two."""
    batch_size: Annotated[int, Field(ge=1)] = 50
    """An integer that does not matter."""
    augment: bool = False
    """A choice that does not matter."""
    fail_at: _Epoch = 0
    """Epoch that raises RuntimeError, as a bug would."""
    nan_at: int = 0
    """Epoch whose training loss is not a number; with a negative one no run can be made."""
    exit_at: _Epoch = 0
    """Epoch in which the process dies at once."""
    exit_marker: str = ""
    """File made before the process dies; where it exists already, the process lives on."""
    sleep: Annotated[float, Field(ge=0)] = 0.0
    """Seconds that an epoch sleeps."""


def final_error(options: ClosedFormOptions) -> float:
    """The validation error that a run's curve tends to, before noise.

    A bowl in log10 of the learning rate (best at 1e-3), in log10 of the weight decay (best at 1e-3)
    and in the auxiliary weight (best at 0.6), levelled off below 0.5:

        z = 0.5 (log10 lr + 3)^2 + 0.05 (log10(wd + 1e-6) + 3)^2 + 0.5 (w - 0.6)^2
        final = 0.03 + 0.47 (1 - exp(-z))

    Args:
        options: The run's.

    Returns:
        The error, 0.03 to 0.5.
    """
    z = 0.5 * (math.log10(options.learning_rate) + 3) ** 2
    z += 0.05 * (math.log10(options.weight_decay + 1e-6) + 3) ** 2
    z += 0.5 * (options.aux_weight - 0.6) ** 2
    return _FLOOR_ERROR + (_START_ERROR - _FLOOR_ERROR) * (1 - math.exp(-z))


class ClosedForm(Loop):
    """A loop that needs no data, and takes microseconds an epoch.

    After e epochs the validation error is, clipped to 0..1,

        final + (0.5 - final) exp(-e / tau) + 0.005 g,    tau = 5 (lr / 1e-3)^(-1/4)

    with g a standard normal number drawn from the training seed and e. A low learning rate is slow,
    so curves cross. The losses and the training error are linear in the validation error; the test
    error is another draw of it.
    """

    options: ClosedFormOptions
    metrics: ClassVar[tuple[Metric, ...]] = (Metric("error", unit="fraction"), Metric("loss"))

    def __init__(self, options: ClosedFormOptions) -> None:
        """See `Loop`."""
        super().__init__(options)
        if options.nan_at < 0:
            raise ValueError(f"options.nan_at is {options.nan_at}, and there is no such epoch")

    def begin(self, data: Any) -> None:
        """No epoch lies behind."""
        self.epoch = 0

    def train_epoch(self) -> Mapping[str, float]:
        """One epoch further on the curve.

        Raises:
            RuntimeError: In epoch ``fail_at``.
        """
        self.epoch += 1
        options = self.options
        if options.sleep:
            time.sleep(options.sleep)
        if self.epoch == options.exit_at:
            _die_unless_marked(options.exit_marker)
        if self.epoch == options.fail_at:
            raise RuntimeError(f"closed-form fails in epoch {self.epoch}, as its options ask")
        error = self._error(self.epoch)
        return {
            "train_loss": math.nan if self.epoch == options.nan_at else 0.05 + error,
            "val_loss": 0.1 + 1.2 * error,
            "train_error": 0.8 * error,
            "val_error": error,
        }

    def evaluate(self, test: Any) -> Mapping[str, float]:
        """The same point of the curve with other noise."""
        error = self._error(self.epoch, "test")
        return {"test_error": error, "test_loss": 0.1 + 1.2 * error}

    def _error(self, *place: Any) -> float:
        final = final_error(self.options)
        tau = 5 * (self.options.learning_rate / 1e-3) ** -0.25
        seed = "/".join(map(str, (int(Stream.CLOSED_FORM), self.run.training_seed, *place)))
        noise = _NOISE * random.Random(seed).gauss(0, 1)
        error = final + (_START_ERROR - final) * math.exp(-self.epoch / tau) + noise
        return min(1.0, max(0.0, error))


def _die_unless_marked(marker: str) -> None:
    if marker:
        path = Path(marker)
        if path.exists():
            return
        path.touch()
    # Not sys.exit: nothing may be cleaned up, as when a worker is killed.
    os._exit(1)
