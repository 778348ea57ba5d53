"""Which baseline of several counts: one rule for the terminal, the pages, reports and exports."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["in_order"]

_RANKS = {"COMPLETE": 0, "PRUNED": 1}


def in_order(baselines: Mapping[int, str]) -> list[int]:
    """A study's baselines, the one that counts first.

    That is the first that the space file names, if it is complete: settled before any value was
    seen, as the best of them would not be. Where it is not, the next that is complete counts, then
    one that was pruned.

    Args:
        baselines: Trial number -> Optuna's state, of the trials that are baselines.

    Returns:
        The trials' numbers.
    """
    return sorted(baselines, key=lambda number: (_RANKS.get(baselines[number], 2), number))
