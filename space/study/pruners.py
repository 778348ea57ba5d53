"""The pruners that may stop a trial early, with Optuna's names for their options.

Resources and steps are epochs; a trial reports one value after each, the first after epoch 1.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from space.config import FrozenModel
from space.messages import refusal
from space.study.own import OwnClass, imported
from space.words import describe

__all__ = [
    "AshaPruner",
    "HyperbandPruner",
    "MedianPruner",
    "NoPruner",
    "OwnPruner",
    "PatientPruner",
    "PercentilePruner",
    "Pruner",
    "PrunerName",
    "ThresholdPruner",
    "WilcoxonPruner",
]

_Count = Annotated[int, Field(ge=0)]
_Positive = Annotated[int, Field(ge=1)]
_History = Annotated[int, Field(ge=100)]


class NoPruner(FrozenModel):
    """Every trial runs to its last epoch."""

    name: Literal["none"] = "none"
    """The pruner."""


class _Halving(FrozenModel):
    min_resource: _Positive = 1
    """Epochs before the first decision."""
    max_resource: _Positive | None = None
    """Decisions fall only before this epoch; default: training.epochs."""
    reduction_factor: Annotated[int, Field(ge=2)] = 3
    """One in so many trials goes on at each rung; rungs are this factor apart."""
    bootstrap_count: _Count = 0
    """Trials that a rung must hold before one may pass it."""
    history: _History = 1_000
    """A trial is compared with so many others at the most, an even sample of the study's; with
    bootstrap_count with all."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max_resource is not None and self.min_resource > self.max_resource:
            raise refusal(
                f"found {self.min_resource}; expected at most max_resource, {self.max_resource}",
                "min_resource",
            )
        return self


class AshaPruner(_Halving):
    """Asynchronous successive halving: at each rung only the best go on."""

    name: Literal["asha"]
    """The pruner."""
    min_early_stopping_rate: Annotated[int, Field(ge=0, le=64)] = 0
    """Leave out this many of the first rungs."""


class HyperbandPruner(_Halving):
    """Several successive halvings side by side, which begin at different rungs."""

    name: Literal["hyperband"]
    """The pruner."""


class _Stepwise(FrozenModel):
    n_warmup_steps: _Count = 0
    """No decision before this epoch."""
    interval_steps: _Positive = 1
    """Epochs between decisions."""


class _Comparing(_Stepwise):
    n_startup_trials: _Count = 5
    """Trials that run in full before the first decision."""
    n_min_trials: _Positive = 1
    """Trials to compare with at an epoch."""
    history: _History = 1_000
    """A trial is compared with so many complete ones at the most, an even sample of the study's;
    never fewer than ten times n_startup_trials."""


class MedianPruner(_Comparing):
    """Stop a trial that is worse than the median of the others at its epoch."""

    name: Literal["median"]
    """The pruner."""


class PercentilePruner(_Comparing):
    """Stop a trial that is not among the best so many percent at its epoch."""

    name: Literal["percentile"]
    """The pruner."""
    percentile: Annotated[float, Field(ge=0, le=100)]
    """Percent of the trials that go on."""


class ThresholdPruner(_Stepwise):
    """Stop a trial whose value leaves a range."""

    name: Literal["threshold"]
    """The pruner."""
    lower: float | None = None
    """Stop below this value."""
    upper: float | None = None
    """Stop above this value."""

    @model_validator(mode="after")
    def _a_range(self) -> Self:
        if self.lower is None and self.upper is None:
            raise refusal("expected 'lower' or 'upper' or both")
        if self.lower is not None and self.upper is not None and self.lower > self.upper:
            raise refusal(
                f"found {describe(self.lower)}; expected at most upper, {describe(self.upper)}",
                "lower",
            )
        return self


class OwnPruner(OwnClass):
    """A class that derives from Optuna's `BasePruner`; its steps are epochs. In a file: `{name:
    "package.module:Class", ...}` with its options."""


class PatientPruner(FrozenModel):
    """Let another pruner decide only once a trial has ceased to improve."""

    name: Literal["patient"]
    """The pruner."""
    patience: _Count
    """Epochs without improvement that are put up with."""
    min_delta: Annotated[float, Field(ge=0)] = 0.0
    """What counts as an improvement."""
    pruner: Annotated[
        Annotated[
            AshaPruner
            | HyperbandPruner
            | MedianPruner
            | PercentilePruner
            | ThresholdPruner
            | OwnPruner,
            Field(discriminator="name"),
        ]
        | None,
        BeforeValidator(imported),
    ] = None
    """The other pruner; default: stop the trial."""


class WilcoxonPruner(FrozenModel):
    """Train a trial's replicates in turn, and stop one that is significantly worse than the best.

    Steps are replicates here, not epochs: every replicate is trained to its last epoch.
    """

    name: Literal["wilcoxon"]
    """The pruner."""
    p_threshold: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Stop below this p value of Wilcoxon's signed-rank test against the best trial."""
    n_startup_steps: Annotated[int, Field(ge=2)] = 2
    """Replicates before the first decision."""


Pruner = Annotated[
    NoPruner
    | AshaPruner
    | HyperbandPruner
    | MedianPruner
    | PercentilePruner
    | PatientPruner
    | ThresholdPruner
    | WilcoxonPruner
    | OwnPruner,
    Field(discriminator="name"),
]
PrunerName = Literal["none", "asha", "hyperband", "median", "wilcoxon"]
"""Pruners whose options all have defaults."""


def rungs(pruner: Pruner, epochs: int) -> list[int]:
    """The epochs at which ASHA or Hyperband decide, ascending; empty for other pruners.

    Args:
        pruner: The pruner.
        epochs: Of a run that is complete.
    """
    if not isinstance(pruner, AshaPruner | HyperbandPruner):
        return []
    rung, factor = pruner.min_resource, pruner.reduction_factor
    if isinstance(pruner, AshaPruner):
        rung *= factor**pruner.min_early_stopping_rate
    end = pruner.max_resource or epochs
    found = []
    while rung < end:
        found.append(rung)
        rung *= factor
    return found
