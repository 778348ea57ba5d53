"""From a space's typed sampler, pruner and parameters to Optuna's objects."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna

from search.trials.history import whole_of
from search.trials.own import make_own
from search.trials.population import Population
from search.trials.proposals import Proposer, distribution, queued_values
from space import Pruner, Sampler, Space
from space.study.own import OwnClass
from space.study.pruners import (
    AshaPruner,
    HyperbandPruner,
    MedianPruner,
    PatientPruner,
    PercentilePruner,
)
from space.study.samplers import PBTSampler, TPESampler
from storage.optuna_rows.trial_cache import TrialCache

__all__ = [
    "N_PROBES",
    "history_of",
    "make_pruner",
    "make_sampler",
    "propose",
    "random_points",
    "require_own",
]

N_PROBES = 64
"""Random points that are looked at before the first trial."""


def propose(trial: optuna.Trial, space: Space) -> dict[str, Any]:
    """Give a trial the value of every parameter that is active.

    Args:
        trial: What a study with a `Proposer` was asked for; what it holds already (a baseline's
            values, those of an interrupted trial) stays.
        space: The search space, its parameters in an order where conditions precede.

    Returns:
        Parameter -> value, the active ones alone.

    Raises:
        SpaceError: If what it holds is none of the space's.
    """
    frozen = trial.storage.get_trial(trial._trial_id)
    point = queued_values(frozen, space)
    if any(name not in point for name in space.active(point)):
        point = trial.relative_params
    params = {name: point[name] for name in space.active(point)}
    new = {
        name: (wanted.to_internal_repr(value), wanted)
        for name, value in params.items()
        if name not in frozen.params
        for wanted in [distribution(space.parameters[name])]
    }
    storage = whole_of(trial.storage)
    if new and isinstance(storage, TrialCache):
        storage.set_trial_params(trial._trial_id, new)
    else:
        for name, (internal, wanted) in new.items():
            storage.set_trial_param(trial._trial_id, name, internal, wanted)
    return params


def make_sampler(space: Space, *, n_existing_trials: int, n_earlier_launches: int = 0) -> Proposer:
    """The sampler that a space asks for.

    Args:
        space: The search space.
        n_existing_trials: How many trials the study holds. A relaunched search must not repeat the
            proposals of its first launch, so this number enters the seed; but for the samplers that
            keep their place in one seeded sequence in the store (grid, QMC, PBT).
        n_earlier_launches: How many launches the study has seen, so that two at a time differ.

    Returns:
        Optuna's sampler, every option spelled out, as a `Proposer` of whole points.
    """
    config = space.sampler
    if isinstance(config, PBTSampler):
        return Population(space, config)
    entropy = np.random.SeedSequence([config.seed, n_existing_trials, n_earlier_launches])
    fresh = int(entropy.generate_state(1)[0])
    seed = fresh
    if config.name in ("grid", "qmc"):
        # A generator of theirs takes 32 bits.
        own = np.random.SeedSequence(config.seed)
        seed = config.seed if config.seed < 2**32 else int(own.generate_state(1)[0])
    return Proposer(space, _sampler(space, seed), seed=fresh, grid=_grid(space, seed))


def _grid(space: Space, seed: int) -> list[dict[str, Any]] | None:
    """The points of a grid search in the order of Optuna's own sampler; None for other samplers.

    Its sampler is for `Study.optimize`, which it ends, and knows nothing of enqueued trials: a
    baseline's point would be trained twice.
    """
    if space.sampler.name != "grid":
        return None
    axes = sorted(space.grid().items())
    points = [
        dict(zip((name for name, _ in axes), values, strict=True))
        for values in itertools.product(*(values for _, values in axes))
    ]
    np.random.RandomState(seed).shuffle(points)  # type: ignore[arg-type]
    return points


def random_points(space: Space) -> list[dict[str, Any]]:
    """Some points of a space, parameter -> value, different where it has as many."""
    sampler = Proposer(space, optuna.samplers.RandomSampler(seed=0), seed=0)
    study = optuna.create_study(sampler=sampler)
    return [propose(study.ask(), space) for _ in range(N_PROBES)]


def _sampler(space: Space, seed: int) -> optuna.samplers.BaseSampler:
    samplers, config = optuna.samplers, space.sampler
    if isinstance(config, OwnClass):
        sampler: optuna.samplers.BaseSampler = make_own(
            "sampler", samplers.BaseSampler, config, seed=seed
        )
        return sampler
    options = config.model_dump(exclude={"name", "seed", "history"})
    match config.name:
        case "tpe":
            return samplers.TPESampler(**options, seed=seed)
        case "qmc":
            return samplers.QMCSampler(**options, seed=seed)
        case "cmaes":
            return samplers.CmaEsSampler(**options, seed=seed)
        case "gp":
            return samplers.GPSampler(**options, seed=seed)
        case "nsga2":
            return samplers.NSGAIISampler(**options, seed=seed)
        case "random" | "grid" | "pbt":
            return samplers.RandomSampler(seed=seed)


def make_pruner(space: Space) -> optuna.pruners.BasePruner:
    """The pruner that a space asks for, every option spelled out."""
    return _pruner(space.pruner, space.training.epochs)


def history_of(config: Sampler | Pruner | None) -> int | None:
    """How many trials a sampler or a pruner sees; None: all.

    Among them must be as many as either waits for before it begins.
    """
    match config:
        case PatientPruner():
            return history_of(config.pruner)
        case TPESampler() | MedianPruner() | PercentilePruner():
            return max(config.history, 10 * config.n_startup_trials)
        case AshaPruner() | HyperbandPruner() if not config.bootstrap_count:
            return config.history
        case _:
            return None


def require_own(space: Space) -> None:
    """Refuse a sampler or a pruner by import path that cannot be made.

    Raises:
        SpaceError: If there is one.
    """
    if isinstance(space.sampler, OwnClass):
        make_sampler(space, n_existing_trials=0)
    make_pruner(space)


def _pruner(config: Any, epochs: int) -> optuna.pruners.BasePruner:
    options: Mapping[str, Any] = config.model_dump(
        exclude={"name", "max_resource", "pruner", "history"}
    )
    pruners = optuna.pruners
    if isinstance(config, OwnClass):
        pruner: optuna.pruners.BasePruner = make_own("pruner", pruners.BasePruner, config)
        return pruner
    match config.name:
        case "asha":
            halving = _BoundedHalving(**options)
            halving.last_epoch = config.max_resource or epochs
            return halving
        case "hyperband":
            last_epoch = config.max_resource or epochs
            hyperband = _BoundedHyperband(**options, max_resource=last_epoch)
            hyperband.last_epoch = last_epoch
            return hyperband
        case "median":
            return pruners.MedianPruner(**options)
        case "percentile":
            return pruners.PercentilePruner(**options)
        case "threshold":
            return pruners.ThresholdPruner(**options)
        case "patient":
            wrapped = None if config.pruner is None else _pruner(config.pruner, epochs)
            return pruners.PatientPruner(wrapped, **options)
        case "wilcoxon":
            return pruners.WilcoxonPruner(**options)
        case _:
            return pruners.NopPruner()


class _Bounded:
    """Decides only before the highest resource; Optuna's halving knows no such bound."""

    last_epoch: int

    def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
        step = trial.last_step
        if step is None or step >= self.last_epoch:
            return False
        decision: bool = super().prune(study, trial)  # type: ignore[misc]
        return decision


class _BoundedHalving(_Bounded, optuna.pruners.SuccessiveHalvingPruner):
    pass


class _BoundedHyperband(_Bounded, optuna.pruners.HyperbandPruner):
    pass
