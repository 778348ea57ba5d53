"""What a sampler or a pruner sees of a study with many trials: the newest of them and the best.

What either computes grows with every trial it looks at. Of a study with no more trials than it may
see, it sees all.
"""

from __future__ import annotations

import bisect
import copy
import itertools
from collections.abc import Container, Sequence
from typing import Any, cast

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from space.metrics import rank

__all__ = ["N_BEST", "History", "all_trials", "bounded", "whole_of"]

N_BEST = 25
"""Of one objective so many: what TPE takes for good trials at the most."""

_ENDED = [state for state in TrialState if state.is_finished()]


def bounded(
    storage: BaseStorage, n_newest: int | None, maximize: Sequence[bool] = ()
) -> BaseStorage:
    """Optuna's storage as a sampler or a pruner is to see it.

    Args:
        storage: The whole.
        n_newest: Trials that are seen, the newest ones; None: all are.
        maximize: Of the objectives, in order, whether large values are good: then the best of the
            older trials are seen, too.
    """
    if n_newest is None:
        return storage
    return cast("BaseStorage", History(storage, n_newest, maximize))


def whole_of(storage: BaseStorage) -> BaseStorage:
    """The whole that a storage shows a part of; else the storage."""
    return storage.whole if isinstance(storage, History) else storage


def all_trials(study: optuna.Study) -> list[FrozenTrial]:
    """A study's trials, also those that its sampler does not see: as they are, by their numbers."""
    return whole_of(study._storage).get_all_trials(study._study_id, deepcopy=False)


class History:
    """Optuna's storage with some of a study's trials, which are the same in every launch.

    They are the newest; of the older ones those that have not ended and, if asked for, the best: of
    one objective the `N_BEST`, of several those that no other one of them dominates.
    """

    def __init__(self, whole: BaseStorage, n_newest: int, maximize: Sequence[bool]) -> None:
        """See `bounded`."""
        self.whole = whole
        self._n_newest = n_newest
        self._maximize = tuple(maximize)
        self._n_old = 0
        self._pending: list[int] = []
        """Places of older trials that had not ended when they were looked at."""
        self._best: list[tuple[tuple[float, ...], int, FrozenTrial]] = []

    def __getattr__(self, name: str) -> Any:
        """All else is the whole's."""
        return getattr(self.whole, name)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """The trials that are seen, by their numbers."""
        if states is not None and not any(state in states for state in _ENDED):
            return self.whole.get_all_trials(study_id, deepcopy, states)
        seen = self._seen(self.whole.get_all_trials(study_id, deepcopy=False))
        found = [trial for trial in seen if states is None or trial.state in states]
        return copy.deepcopy(found) if deepcopy else found

    def _seen(self, trials: list[FrozenTrial]) -> list[FrozenTrial]:
        n_old = max(len(trials) - self._n_newest, 0)
        places = itertools.chain(self._pending, range(self._n_old, n_old))
        self._n_old, self._pending = n_old, []
        for place, trial in [(place, trials[place]) for place in places]:
            if not trial.state.is_finished():
                self._pending.append(place)
            elif trial.state == TrialState.COMPLETE and self._maximize:
                self._consider(trial)
        old = [trials[place] for place in self._pending] + [trial for *_, trial in self._best]
        return sorted(old, key=lambda trial: trial.number) + trials[n_old:]

    def _consider(self, trial: FrozenTrial) -> None:
        """Keep an older trial if it is among the best."""
        values = tuple(map(rank, trial.values, self._maximize))
        if len(values) == 1:
            bisect.insort(self._best, (values, trial.number, trial))
            del self._best[N_BEST:]
        elif not any(_dominates(other, values) for other, *_ in self._best):
            self._best = [each for each in self._best if not _dominates(values, each[0])]
            self._best.append((values, trial.number, trial))


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
