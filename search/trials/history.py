"""What a sampler sees of a study with many trials, the newest and the best; and what a pruner does.

What either computes grows with every trial it looks at. Of a study with no more trials than it may
see, it sees all.
"""

from __future__ import annotations

import bisect
import copy
import itertools
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from space.metrics import rank
from storage.optuna_rows.trial_cache import TrialCache

__all__ = ["N_BEST", "for_pruner", "for_sampler", "trials_from", "whole_of"]

N_BEST = 25
"""Of one objective so many: what TPE takes for good trials at the most."""

_ENDED = [state for state in TrialState if state.is_finished()]


def for_sampler(
    storage: BaseStorage, n_newest: int | None, maximize: Sequence[bool]
) -> BaseStorage:
    """Optuna's storage as a sampler is to see it.

    Args:
        storage: The whole.
        n_newest: Trials that are seen, the newest ones, and the best of the older ones; None: all.
        maximize: Of the objectives, in order, whether large values are good.
    """
    if n_newest is None:
        return storage
    return cast("BaseStorage", Newest(storage, n_newest, maximize))


def for_pruner(storage: BaseStorage, n_most: int | None) -> BaseStorage:
    """Optuna's storage as a pruner is to see it.

    Args:
        storage: The whole.
        n_most: Trials that are seen at the most, an even sample; None: all are.
    """
    return storage if n_most is None else cast("BaseStorage", Sample(storage, n_most))


def whole_of(storage: BaseStorage) -> BaseStorage:
    """The whole that a storage shows a part of; else the storage."""
    return storage.whole if isinstance(storage, Part) else storage


def trials_from(storage: BaseStorage, study_id: int, place: int) -> list[FrozenTrial]:
    """A study's trials from a place on, also those that a sampler does not see.

    Args:
        storage: The whole, or what shows a part of it.
        study_id: The study.
        place: Of the first trial that is wanted among all of them.

    Returns:
        The trials by their numbers: as they are, not to be changed.
    """
    whole = whole_of(storage)
    if isinstance(whole, TrialCache):
        return whole.get_trials_from(study_id, place)
    return whole.get_all_trials(study_id, deepcopy=False)[place:]


class Part(ABC):
    """Optuna's storage with some of a study's trials, which are the same in every launch."""

    def __init__(self, whole: BaseStorage) -> None:
        """Show a part of the whole."""
        self.whole = whole

    def __getattr__(self, name: str) -> Any:
        """All else is the whole's."""
        return getattr(self.whole, name)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """The trials that are seen, by their numbers."""
        if states is not None and not any(state in states for state in _ENDED):
            return self.whole.get_all_trials(study_id, deepcopy, states)
        wanted = frozenset(each for each in TrialState if states is None or each in states)
        found = self.seen(study_id, wanted)
        return copy.deepcopy(found) if deepcopy else found

    @abstractmethod
    def seen(self, study_id: int, states: frozenset[TrialState]) -> list[FrozenTrial]:
        """The trials in some states that are seen, by their numbers: not to be changed."""


class Newest(Part):
    """The newest trials; of the older ones those that have not ended, and the best.

    The best are of one objective the `N_BEST`, of several those that no other one of them
    dominates.
    """

    def __init__(self, whole: BaseStorage, n_newest: int, maximize: Sequence[bool]) -> None:
        """See `for_sampler`."""
        super().__init__(whole)
        self._n_newest = n_newest
        self._maximize = tuple(maximize)
        self._n_old = 0
        self._pending: list[int] = []
        """Places of older trials that had not ended when they were looked at."""
        self._best: list[tuple[tuple[float, ...], int, FrozenTrial]] = []

    def seen(self, study_id: int, states: frozenset[TrialState]) -> list[FrozenTrial]:
        """See `Part`."""
        first = min([self._n_old, *self._pending])
        trials = trials_from(self.whole, study_id, first)
        n_old = max(first + len(trials) - self._n_newest, self._n_old)
        places = itertools.chain(self._pending, range(self._n_old, n_old))
        self._n_old, self._pending = n_old, []
        for place, trial in [(place, trials[place - first]) for place in places]:
            if not trial.state.is_finished():
                self._pending.append(place)
            elif trial.state == TrialState.COMPLETE:
                self._consider(trial)
        old = [trials[place - first] for place in self._pending] + [
            trial for *_, trial in self._best
        ]
        found = sorted(old, key=_number) + trials[n_old - first :]
        return [trial for trial in found if trial.state in states]

    def _consider(self, trial: FrozenTrial) -> None:
        """Keep an older trial if it is among the best."""
        values = tuple(map(rank, trial.values, self._maximize))
        if len(values) == 1:
            bisect.insort(self._best, (values, trial.number, trial))
            del self._best[N_BEST:]
        elif not any(_dominates(other, values) for other, *_ in self._best):
            self._best = [each for each in self._best if not _dominates(values, each[0])]
            self._best.append((values, trial.number, trial))


class Sample(Part):
    """Of the trials that are asked for, an even sample.

    They are those whose number is a multiple of a power of two, the smallest one that leaves no
    more than there may be. A pruner that compares with the newest trials alone would grow stricter
    and stricter: it has let the better ones through, and forgets what they were better than.
    """

    def __init__(self, whole: BaseStorage, n_most: int) -> None:
        """See `for_pruner`."""
        super().__init__(whole)
        self._n_most = n_most
        self._sampled: defaultdict[frozenset[TrialState], _Sampled] = defaultdict(_Sampled)

    def seen(self, study_id: int, states: frozenset[TrialState]) -> list[FrozenTrial]:
        """See `Part`."""
        sampled = self._sampled[states]
        new = trials_from(self.whole, study_id, sampled.n_ended)
        wanted = {trial.number: trial for trial in new if trial.state in states}
        found = sampled.thinned({**sampled.trials, **wanted})
        while len(found) > self._n_most:
            sampled.stride *= 2
            found = sampled.thinned(found)
        sampled.trials = {n: trial for n, trial in found.items() if trial.state.is_finished()}
        for trial in new:
            if not trial.state.is_finished():
                break
            sampled.n_ended += 1
        return sorted(found.values(), key=_number)


@dataclass
class _Sampled:
    """A sample of the trials in some states.

    Attributes:
        stride: The power of two.
        trials: Number -> trial, of those that have ended.
        n_ended: So many of the study's first trials have all ended.
    """

    stride: int = 1
    trials: dict[int, FrozenTrial] = field(default_factory=dict)
    n_ended: int = 0

    def thinned(self, trials: Mapping[int, FrozenTrial]) -> dict[int, FrozenTrial]:
        """Those of the trials that the stride leaves."""
        return {number: trial for number, trial in trials.items() if number % self.stride == 0}


def _number(trial: FrozenTrial) -> int:
    return trial.number


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
