"""Population-based training: which trial goes on from which, and with what parameters.

Trials are segments of a few epochs, in rounds as large as the population: trial n goes on from
trial n - P, or, where that one failed or is among the worst of its round, from one of the best of
that round with changed parameters. Whatever is decided follows from the trials that have ended,
the seed and the trial's number alone, and is written to the store before the trial begins: a later
launch decides the same, and goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, TrialState

from search.trials.feasible import breaks
from search.trials.history import trials_from
from search.trials.proposals import MOST_DRAWS, Proposer, queued_values
from space import CategoricalParameter, IntParameter, Parameter, Space, Value
from space.errors import SpaceError
from space.metrics import rank
from space.study.samplers import PBTSampler
from storage.tables.attributes import PARENT, QUEUED
from trainables.finding.find import trainable_of

__all__ = ["Population", "check_states", "may_begin"]


def may_begin(trials: Sequence[FrozenTrial], config: PBTSampler) -> bool:
    """Whether the next trial may begin: all rounds before its own have ended.

    Args:
        trials: A study's trials.
        config: The population.
    """
    waiting = (trial.number for trial in trials if trial.state == TrialState.WAITING)
    first = min(waiting, default=len(trials)) // config.population * config.population
    return all(trial.state.is_finished() for trial in trials if trial.number < first)


def check_states(space: Space, points: Sequence[Mapping[str, Value]]) -> None:
    """Refuse a population whose parameters change what is trained.

    Args:
        space: The search space.
        points: Some of its points, each of which a run can be trained with.

    Raises:
        SpaceError: If a trial of one point cannot go on from the state of another.
    """
    configs = [space.resolve(params) for params in points]
    kinds = {
        (trainable_of(each).n_parameters(each), each.value("training.optimizer"))
        for each in configs
    }
    if len(kinds) > 1:
        raise SpaceError(
            "sampler: under pbt a trial goes on with another's network and optimizer, and these "
            "parameters change them; search what leaves their shape alone, such as learning_rate."
        )


class Population(Proposer):
    """Proposes the trials of a population. See the module's docstring."""

    def __init__(self, space: Space, config: PBTSampler) -> None:
        """
        Args:
            space: The search space.
            config: The population.
        """
        super().__init__(space, RandomSampler(seed=0), seed=0)
        self._config = config

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Decide where a new trial goes on and with what, and write it down."""
        if PARENT in trial.user_attrs or trial.params:
            return
        try:
            given = queued_values(trial, self._space)
        except SpaceError:
            return  # It is refused when it is to begin.
        draws = np.random.default_rng([self._config.seed, trial.number])
        maximize = study.direction == optuna.study.StudyDirection.MAXIMIZE
        parent, is_copied = self._parent(
            trial.number, trials_from(study._storage, study._study_id, 0), draws, maximize
        )
        for _ in range(MOST_DRAWS):
            before = {
                name: value
                for name, value in ({} if parent is None else parent.params).items()
                if name in self._space.parameters and self._space.parameters[name].contains(value)
            }
            if is_copied:
                before = self._changed(before, draws)
            fresh = RandomSampler(seed=int(draws.integers(2**32)))
            point = self._complete(study, trial, {**before, **given}, fresh, {})
            if not breaks(self._space, point):
                break
        storage = study._storage
        storage.set_trial_system_attr(trial._trial_id, QUEUED, point)
        number = None if parent is None else parent.number
        storage.set_trial_user_attr(trial._trial_id, PARENT, number)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Nothing: a trial has its whole point before it is sampled."""
        return {}

    def _parent(
        self,
        number: int,
        trials: Sequence[FrozenTrial],
        draws: np.random.Generator,
        maximize: bool,
    ) -> tuple[FrozenTrial | None, bool]:
        """Where a trial goes on, None for nowhere, and whether in the place of another one."""
        size = self._config.population
        first = number // size * size - size
        ranked = sorted(
            (rank(trial.values[0], maximize), trial.number, trial)
            for trial in trials
            if first <= trial.number < first + size and trial.state == TrialState.COMPLETE
        )
        if not ranked:
            return None, False
        n_replaced = max(1, int(self._config.quantile * size))
        for _, own, trial in ranked[: size - n_replaced]:
            if own == number - size:
                return trial, False
        best = ranked[:n_replaced]
        return best[draws.integers(len(best))][2], True

    def _changed(self, params: Mapping[str, Value], draws: np.random.Generator) -> dict[str, Value]:
        """Parameters as an explorer has them; those that are to be drawn anew are left out."""
        found = {}
        for name, parameter in self._space.parameters.items():
            factor = self._config.perturb ** draws.choice((-1, 1))
            if draws.random() >= self._config.resample and name in params:
                found[name] = _scaled(parameter, params[name], factor)
        return found


def _scaled(parameter: Parameter, value: Any, factor: float) -> Value:
    """A number times a factor, as near as the parameter may come to it; a choice as it is."""
    if isinstance(parameter, CategoricalParameter):
        return parameter.normalise(value)
    scaled = min(max(value * factor, parameter.low), parameter.high)
    if parameter.step is not None:
        step = round((scaled - parameter.low) / parameter.step) * parameter.step
        scaled = parameter.low + step
    elif isinstance(parameter, IntParameter):
        scaled = round(scaled)
    found = parameter.spell(scaled)
    return parameter.normalise(value) if found is None else found
