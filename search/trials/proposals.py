"""Between a sampler and a study: whole points, in the space's own spelling, none of them twice.

A library's sampler knows nothing of conditions, may raise in the midst of a search, writes 0.7 as
0.7000000000000001 and proposes again what was tried. None of that reaches a trial: a point is
complete before anything of it is stored.
"""

from __future__ import annotations

import copy
import json
import logging
import random
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, RandomSampler
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from search.trials.feasible import breaks
from search.trials.foreign import brief, safely
from search.trials.history import trials_from
from space import CategoricalParameter, FloatParameter, IntParameter, Space
from space.study.checks import MOST_GRID_POINTS
from space.study.own import title
from space.study.queued import spelled_values
from storage.tables.attributes import QUEUED

__all__ = ["Proposer", "Tried", "distribution", "queued_values"]

logger = logging.getLogger(__name__)

MOST_REPEATS = 2
"""A sampler that proposes what was tried or breaks a constraint is asked anew so many times."""
MOST_DRAWS = 100
"""Random points that are looked at then."""


def distribution(
    parameter: FloatParameter | IntParameter | CategoricalParameter,
) -> BaseDistribution:
    """Optuna's distribution of a parameter."""
    match parameter:
        case FloatParameter():
            return FloatDistribution(
                parameter.low, parameter.high, log=parameter.log, step=parameter.step
            )
        case IntParameter():
            return IntDistribution(
                parameter.low, parameter.high, log=parameter.log, step=parameter.step or 1
            )
        case CategoricalParameter():
            return CategoricalDistribution(parameter.choices)


def queued_values(trial: FrozenTrial, space: Space) -> dict[str, Any]:
    """What a trial was given before any sampler was asked, as the space spells it.

    Args:
        trial: A trial that a baseline, a person or an earlier launch put into the queue.
        space: The search space.

    Returns:
        Parameter -> value. What the trial has stored already stays as it is, since a run may have
        begun with it.

    Raises:
        SpaceError: If it names what is not searched, or a value is none of its parameter's.
    """
    queued = trial.system_attrs.get(QUEUED, {})
    stored = trial.params
    unknown = {name: value for name, value in stored.items() if name not in space.parameters}
    new = {name: value for name, value in queued.items() if name not in stored}
    return {**spelled_values({**new, **unknown}, space.parameters), **stored}


class Tried:
    """The points that a study's trials have, or are about to have."""

    def __init__(self, space: Space) -> None:
        """Know none yet."""
        self._space = space
        self._n_first = 0
        """So many of the study's first trials are known or will never have a point."""
        self._seen: set[int] = set()
        self._known: set[str] = set()
        self._left: dict[str, dict[str, Any]] | None = None
        self._is_listed = False

    def look(self, storage: BaseStorage, study_id: int) -> None:
        """Take in what a study's trials have by now, also those that its sampler does not see."""
        trials = trials_from(storage, study_id, self._n_first)
        for trial in trials:
            if trial.number in self._seen:
                continue
            params = trial.params
            if not trial.state.is_finished():
                params = {**trial.system_attrs.get(QUEUED, {}), **params}
            active = self._space.active(params)
            if all(name in params for name in active):
                self._known.add(self._key({name: params[name] for name in active}))
                self._seen.add(trial.number)
            elif trial.state.is_finished():
                self._seen.add(trial.number)
        for trial in trials:
            if trial.number not in self._seen:
                break
            self._seen.discard(trial.number)
            self._n_first += 1

    def holds(self, params: Mapping[str, Any]) -> bool:
        """Whether a trial has this point: trained, being trained, failed or waiting."""
        return self._key(params) in self._known

    def left(self) -> Sequence[dict[str, Any]] | None:
        """The points that no trial has; None where the space has too many to list them."""
        if not self._is_listed:
            self._is_listed = True
            points = self._space.points(MOST_GRID_POINTS)
            if points is not None:
                self._left = {self._key(params): params for params in points}
        if self._left is None:
            return None
        for key in self._left.keys() & self._known:
            del self._left[key]
        return list(self._left.values())

    def _key(self, params: Mapping[str, Any]) -> str:
        return json.dumps(self._space.point(params), sort_keys=True)


class Proposer(BaseSampler):
    """A sampler around another one, which proposes whole points of a space.

    What the other proposes takes the spelling of the parameters' own points. Where it proposes a
    point that the study has tried or that breaks a constraint, it is asked anew, and at last a
    point that is left is drawn at random; one that breaks a constraint is proposed only where no
    other was found. Where it raises, the point is drawn at random with a notice.
    """

    def __init__(
        self,
        space: Space,
        sampler: BaseSampler,
        *,
        seed: int,
        grid: Sequence[dict[str, Any]] | None = None,
    ) -> None:
        """
        Args:
            space: The search space.
            sampler: Who proposes.
            seed: Of the draws that stand in for it.
            grid: Points that are to be tried in their order; whoever proposes has the rest.
        """
        self._grid = grid or ()
        self._space = space
        self._sampler = sampler
        self._distributions = {
            name: distribution(parameter) for name, parameter in space.parameters.items()
        }
        self._stand_in = RandomSampler(seed=seed % 2**32)
        self._random = random.Random(seed)
        self._tried = Tried(space)
        self._said = ""

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """All parameters: a point is proposed as a whole."""
        return self._distributions

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """A point, its active parameters alone; what the trial was queued with stays."""
        given = queued_values(trial, self._space)
        trial = copy.copy(trial)  # It is older than what a sampler has noted of it.
        trial.system_attrs = study._storage.get_trial_system_attrs(trial._trial_id)
        point = self._draw(study, trial, given)
        if given:  # A person's wish, or a trial that goes on.
            return point
        self._tried.look(study._storage, study._study_id)
        for _ in range(MOST_REPEATS):
            if self._is_wanted(point):
                return point
            point = self._draw(study, trial, given)
        left = self._tried.left()
        if left:
            drawn = self._random.sample(left, min(MOST_DRAWS, len(left)))
            return next((each for each in drawn if self._is_wanted(each)), drawn[0])
        n_draws = MOST_DRAWS if left is None else 0
        while n_draws and not self._is_wanted(point):
            point, n_draws = self._complete(study, trial, given, self._stand_in, {}), n_draws - 1
        return point

    def _is_wanted(self, point: Mapping[str, Any]) -> bool:
        return not self._tried.holds(point) and not breaks(self._space, point)

    def _draw(
        self, study: optuna.Study, trial: FrozenTrial, given: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Ask the sampler for a point."""

        def ask() -> dict[str, Any]:
            wanted = self._sampler.infer_relative_search_space(study, trial)
            related = self._sampler.sample_relative(study, trial, wanted)
            return self._complete(study, trial, given, self._sampler, related)

        def stand_in(error: Exception) -> dict[str, Any]:
            self._say(f"could not propose trial {trial.number}, which is drawn at random", error)
            return self._complete(study, trial, given, self._stand_in, {})

        return safely(ask, stand_in)

    def _complete(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        given: Mapping[str, Any],
        sampler: BaseSampler,
        related: Mapping[str, Any],
    ) -> dict[str, Any]:
        """A point from what is given, what was sampled together, and the rest one by one."""
        point: dict[str, Any] = {}
        for name, parameter in self._space.parameters.items():
            if not parameter.is_active(point):
                continue
            wanted = self._distributions[name]
            if name in given:
                point[name] = given[name]
                continue
            if wanted.single():
                point[name] = parameter.points()[0]
                continue
            spelled = parameter.spell(related.get(name))
            if spelled is None:
                value = sampler.sample_independent(study, trial, name, wanted)
                spelled = parameter.spell(value)
                if spelled is None:
                    raise ValueError(f"it proposed {name} {value!r}")
            point[name] = spelled
        return point

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """A single value at random; points are proposed as a whole."""
        return self._stand_in.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Let the sampler prepare; of a grid, queue the first point that no other trial has.

        That is said in the store at once: launches that ask at the same time get different points.
        """
        if self._grid and QUEUED not in trial.system_attrs and not trial.params:
            self._tried.look(study._storage, study._study_id)
            point = next((each for each in self._grid if not self._tried.holds(each)), None)
            if point is not None:
                study._storage.set_trial_system_attr(trial._trial_id, QUEUED, point)
            return
        safely(
            lambda: self._sampler.before_trial(study, trial),
            lambda error: self._say(f"could not prepare trial {trial.number}", error),
        )

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Let the sampler hear of the end."""
        safely(
            lambda: self._sampler.after_trial(study, trial, state, values),
            lambda error: self._say(f"could not take in trial {trial.number}", error),
        )

    def reseed_rng(self) -> None:
        """Draw on from other seeds."""
        self._sampler.reseed_rng()
        self._stand_in.reseed_rng()

    def _say(self, what: str, error: Exception) -> None:
        if what == self._said:
            return  # It was asked anew for the same trial.
        self._said = what
        logger.warning("the %s sampler %s (%s)", title(self._space.sampler), what, brief(error))
