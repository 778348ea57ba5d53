"""From a space's typed sampler, pruner and parameters to Optuna's objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial

from search.trials.proposals import QUEUED, Proposer, distribution, queued_values
from space import Space
from storage.optuna_rows.trial_cache import TrialCache

__all__ = ["make_pruner", "make_sampler", "propose"]

_GRID_ID = "grid_id"
"""Optuna's attribute of a trial: the number of its point."""


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
    if new and isinstance(trial.storage, TrialCache):
        trial.storage.set_trial_params(trial._trial_id, new)
    else:
        for name, (internal, wanted) in new.items():
            trial.storage.set_trial_param(trial._trial_id, name, internal, wanted)
    return params


class AskedGridSampler(optuna.samplers.GridSampler):
    """Optuna's grid sampler for studies that are asked and told, and that begin with baselines.

    Optuna's own ends `Study.optimize` when the grid is used up, which raises where no such loop
    runs; here the budget, which is the size of the grid, ends the search. And it knows nothing of
    enqueued trials: a baseline's point would be trained twice.
    """

    def __init__(self, grid: Mapping[str, Sequence[Any]], *, seed: int) -> None:
        """
        Args:
            grid: Parameter -> its values.
            seed: Of the order in which points are taken.
        """
        super().__init__(grid, seed=seed)
        self._number_of = {_key(values): n for n, values in enumerate(self._all_grids)}

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Give a trial the first point that no trial before it has.

        What trials before it have is known, whichever launch asked for them: two launches that ask
        at the same time give their trials different points.
        """
        if _GRID_ID in trial.system_attrs or QUEUED in trial.system_attrs:
            return
        trials = study._storage.get_all_trials(study._study_id, deepcopy=False)
        taken: set[int] = set()
        for other in sorted(trials, key=lambda other: other.number):
            if other.number < trial.number:
                point = self._point(other, taken)
                if point is not None:
                    taken.add(point)
        point = self._first_free(taken)
        if point is None:
            super().before_trial(study, trial)
            return
        for key, value in (("search_space", self._search_space), (_GRID_ID, point)):
            study._storage.set_trial_system_attr(trial._trial_id, key, value)

    def _point(self, trial: FrozenTrial, taken: set[int]) -> int | None:
        """The number of the point that a trial has, or will have; None: none of the grid's."""
        is_whole = len(trial.params) == len(self._param_names)
        values = trial.params if is_whole else trial.system_attrs.get(QUEUED)
        if values is not None:
            return self._number_of.get(_key([values.get(name) for name in self._param_names]))
        number: int | None = trial.system_attrs.get(_GRID_ID)
        return self._first_free(taken) if number is None else number

    def _first_free(self, taken: set[int]) -> int | None:
        return next((n for n in range(len(self._all_grids)) if n not in taken), None)

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: optuna.trial.TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Nothing: the driver's budget ends the search."""


def _key(values: Sequence[Any]) -> tuple[Any, ...]:
    """Equal for the same point, though 0.1 times 6 is not 0.6 and True is not 1."""
    return tuple(
        (isinstance(value, bool), f"{value:.9g}" if isinstance(value, float) else value)
        for value in values
    )


def make_sampler(space: Space, *, n_existing_trials: int, n_earlier_launches: int = 0) -> Proposer:
    """The sampler that a space asks for.

    Args:
        space: The search space.
        n_existing_trials: How many trials the study holds. A relaunched search must not repeat the
            proposals of its first launch, so this number enters the seed; but for the samplers that
            keep their place in one seeded sequence in the store (grid, QMC).
        n_earlier_launches: How many launches the study has seen, so that two at a time differ.

    Returns:
        Optuna's sampler, every option spelled out, as a `Proposer` of whole points.
    """
    config = space.sampler
    entropy = np.random.SeedSequence([config.seed, n_existing_trials, n_earlier_launches])
    fresh = int(entropy.generate_state(1)[0])
    seed = fresh
    if config.name in ("grid", "qmc"):
        # A generator of theirs takes 32 bits.
        own = np.random.SeedSequence(config.seed)
        seed = config.seed if config.seed < 2**32 else int(own.generate_state(1)[0])
    return Proposer(space, _sampler(space, seed), seed=fresh)


def _sampler(space: Space, seed: int) -> optuna.samplers.BaseSampler:
    samplers, config = optuna.samplers, space.sampler
    options = config.model_dump(exclude={"name", "seed"})
    match config.name:
        case "tpe":
            return samplers.TPESampler(**options, seed=seed)
        case "random":
            return samplers.RandomSampler(seed=seed)
        case "grid":
            return AskedGridSampler(space.grid(), seed=seed)
        case "qmc":
            return samplers.QMCSampler(**options, seed=seed)
        case "cmaes":
            return samplers.CmaEsSampler(**options, seed=seed)
        case "gp":
            return samplers.GPSampler(**options, seed=seed)
        case "nsga2":
            return samplers.NSGAIISampler(**options, seed=seed)


def make_pruner(space: Space) -> optuna.pruners.BasePruner:
    """The pruner that a space asks for, every option spelled out."""
    return _pruner(space.pruner, space.training.epochs)


def _pruner(config: Any, epochs: int) -> optuna.pruners.BasePruner:
    options: Mapping[str, Any] = config.model_dump(exclude={"name", "max_resource", "pruner"})
    pruners = optuna.pruners
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
