"""How many epochs a study has trained and may train, over all its launches."""

from __future__ import annotations

from search.trials.study import OpenedStudy

__all__ = ["EpochBudget"]

COUNTED_AFTER = 100
"""A study's epochs are counted anew after so small a part of what is left of their budget."""


class EpochBudget:
    """A study's epochs, and its budget of them, if it has one.

    Its launches spend it together. To count takes as long as the study is large, so that a launch
    adds its own epochs as they come, and counts all of them anew now and then: the more often, the
    fewer are left.
    """

    def __init__(self, opened: OpenedStudy) -> None:
        """Count what the study has spent."""
        self._opened = opened
        self._most = opened.space.budget.epochs
        self._count()

    @property
    def n_spent(self) -> int:
        """How many epochs the study has trained, as far as they were counted."""
        return self._n_spent

    @property
    def is_spent(self) -> bool:
        """Whether the budget is used up."""
        return self._most is not None and self._n_spent >= self._most

    def spend(self, n_epochs: int) -> None:
        """Take in that the launch has recorded so many epochs."""
        self._n_spent += n_epochs
        self._n_uncounted += n_epochs
        if self._most is not None:
            left = self._most - self._n_spent
            if self._n_uncounted >= max(1, left / COUNTED_AFTER):
                self._count()

    def _count(self) -> None:
        self._n_spent = self._opened.store.n_epochs(self._opened.id)
        self._n_uncounted = 0
