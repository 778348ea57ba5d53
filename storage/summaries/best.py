"""Which trial is better than which: one order for the terminal, the pages, reports and exports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from optuna.trial import TrialState

from space.metrics import rank

__all__ = ["best_first"]


class _Trial(Protocol):
    """Optuna's own, or what is shown of it."""

    @property
    def number(self) -> int: ...

    @property
    def state(self) -> TrialState | str: ...

    @property
    def values(self) -> Sequence[float] | None: ...


T = TypeVar("T", bound=_Trial)


def best_first(trials: Iterable[T], maximize: bool) -> list[T]:
    """Those of some trials that have a value: complete ones first, the best of them first.

    Args:
        trials: The trials; of several objectives the first one decides.
        maximize: Whether larger values of it are better.

    Returns:
        The trials, equal ones in the order of their numbers.
    """
    complete = (TrialState.COMPLETE, TrialState.COMPLETE.name)
    placed = [
        ((trial.state not in complete, rank(trial.values[0], maximize), trial.number), trial)
        for trial in trials
        if trial.values
    ]
    return [trial for _, trial in sorted(placed, key=lambda each: each[0])]
