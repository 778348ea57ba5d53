"""The samplers that may propose trials, with Optuna's names for their options.

Every option that decides what is proposed is spelled out with its value, so that a study does not
change with the library's defaults.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from space.config import FrozenModel, Seed
from space.messages import refusal
from space.study.own import OwnClass

__all__ = [
    "CmaEsSampler",
    "GPSampler",
    "GridSampler",
    "NSGA2Sampler",
    "OwnSampler",
    "PBTSampler",
    "QMCSampler",
    "RandomSampler",
    "Sampler",
    "SamplerName",
    "TPESampler",
]

_Count = Annotated[int, Field(ge=0)]
_Share = Annotated[float, Field(ge=0, le=1)]


class _Sampler(FrozenModel):
    seed: Seed = 0
    """The sampler's seed; the model's and the data's have their own."""


class TPESampler(_Sampler):
    """Tree-structured Parzen estimator: good with few trials and with conditions."""

    name: Literal["tpe"] = "tpe"
    """The sampler."""
    n_startup_trials: _Count = 10
    """Trials drawn at random before the estimator is used."""
    n_ei_candidates: Annotated[int, Field(ge=1, le=10_000)] = 24
    """Candidates among which the expected improvement is maximised."""
    multivariate: bool = True
    """Model the parameters together instead of one by one."""
    group: bool = False
    """With conditions: model together the parameters that are active together."""
    constant_liar: bool = True
    """Keep concurrent trials apart."""
    history: Annotated[int, Field(ge=100)] = 1_000
    """Of a study with more trials the estimator sees the newest so many, never fewer than ten times
    n_startup_trials; of those before them the 25 best, of several objectives all that none
    dominates, and what has not ended."""

    @model_validator(mode="after")
    def _grouped(self) -> Self:
        if self.group and not self.multivariate:
            raise refusal("found true; expected false, since multivariate is false", "group")
        return self


class RandomSampler(_Sampler):
    """Independent draws."""

    name: Literal["random"]
    """The sampler."""


class GridSampler(_Sampler):
    """Every combination once, in an order that the seed decides."""

    name: Literal["grid"]
    """The sampler."""
    cells: dict[str, Annotated[int, Field(ge=1, le=10_000)]] = Field(default_factory=dict)
    """Continuous parameter -> the equal cells that its range is cut into, on its own scale; their
    centres are its points."""


class QMCSampler(_Sampler):
    """A low-discrepancy sequence: random search that covers the space evenly."""

    name: Literal["qmc"]
    """The sampler."""
    qmc_type: Literal["sobol", "halton"] = "sobol"
    """The sequence."""
    scramble: bool = True
    """Randomise the sequence with the seed; without, it begins in a corner of the space."""


class CmaEsSampler(_Sampler):
    """Covariance matrix adaptation: one objective, numbers, many trials."""

    name: Literal["cmaes"]
    """The sampler."""
    n_startup_trials: _Count = 1
    """Trials drawn at random before the strategy is used."""
    popsize: Annotated[int, Field(ge=2, le=10_000)] | None = None
    """Trials a generation; default: 4 + 3 ln(number of parameters)."""
    consider_pruned_trials: bool = False
    """Learn from pruned trials too."""
    use_separable_cma: bool = False
    """Keep the covariance diagonal."""
    with_margin: bool = False
    """Keep parameters with steps from being stuck on one value."""
    lr_adapt: bool = False
    """Adapt the strategy's own learning rate, for noisy objectives."""

    @model_validator(mode="after")
    def _one_variant(self) -> Self:
        chosen = [
            key for key in ("use_separable_cma", "with_margin", "lr_adapt") if getattr(self, key)
        ]
        if len(chosen) > 1:
            raise refusal(f"found true; expected false beside {chosen[0]}", chosen[1])
        return self


class GPSampler(_Sampler):
    """Gaussian-process optimisation: few, expensive trials."""

    name: Literal["gp"]
    """The sampler."""
    n_startup_trials: _Count = 10
    """Trials drawn at random before the process is used."""
    deterministic_objective: bool = False
    """Take the objective to be free of noise."""


class NSGA2Sampler(_Sampler):
    """A genetic algorithm, mostly for several objectives and many trials."""

    name: Literal["nsga2"]
    """The sampler."""
    population_size: Annotated[int, Field(ge=2)] = 50
    """Trials a generation."""
    mutation_prob: _Share | None = None
    """Chance that a parameter is drawn anew; default: 1 / number of parameters."""
    crossover_prob: _Share = 0.9
    """Chance that a child has two parents."""
    swapping_prob: _Share = 0.5
    """Chance that a parameter comes from the second parent."""


class PBTSampler(_Sampler):
    """Population-based training: trials of a few epochs in rounds, each of which goes on with the
    network of a trial of the round before, and the parameters change on the way.

    Source:
        Jaderberg et al., Population Based Training of Neural Networks, 2017, arXiv:1711.09846:
        truncation selection, and perturbing or resampling (section 4.1.1), in rounds.
    """

    name: Literal["pbt"]
    """The sampler."""
    population: Annotated[int, Field(ge=2, le=10_000)] = 8
    """Trials a round, which begins once the one before has ended; of training.epochs epochs each.
    The first round's have their parameters at random, after baselines and a warm start."""
    quantile: Annotated[float, Field(gt=0, le=0.5)] = 0.25
    """The share of a round, one trial at the least, whose places go on from one of as many of the
    best instead, with changed parameters. All others go on as they are."""
    perturb: Annotated[float, Field(gt=1)] = 1.2
    """What a number is multiplied with or divided by when it is changed; a choice stays."""
    resample: _Share = 0.25
    """Chance that a parameter is drawn anew instead."""


class OwnSampler(OwnClass, _Sampler):
    """A class that derives from Optuna's `BaseSampler`, which is given the seed if it takes one. In
    a file: `{name: "package.module:Class", ...}` with its options."""


Sampler = Annotated[
    TPESampler
    | RandomSampler
    | GridSampler
    | QMCSampler
    | CmaEsSampler
    | GPSampler
    | NSGA2Sampler
    | PBTSampler
    | OwnSampler,
    Field(discriminator="name"),
]
SamplerName = Literal["tpe", "random", "grid", "qmc", "cmaes", "gp", "nsga2", "pbt"]
"""Samplers whose options all have defaults."""
