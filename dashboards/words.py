"""What numbers of a few seeds are written like, in tables, pages, figures and reports alike."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from dashboards.statistics.means import Summary
from dashboards.statistics.sign_flips import Interval
from space.words import NOTHING, count

__all__ = [
    "KEPT_EPOCH",
    "show_changes",
    "show_interval",
    "show_mean",
    "show_seeds",
    "show_signed",
]

KEPT_EPOCH = (
    "a validation error is optimistic: it is the lowest of all epochs, chosen on the same pairs"
)
"""To be said wherever validation errors stand."""


def show_mean(summary: Summary | None) -> str:
    """A mean and its standard deviation, as far as there are any."""
    if summary is None:
        return NOTHING
    return f"{summary.mean:.4f}" + ("" if summary.std is None else f" ± {summary.std:.4f}")


def show_interval(interval: Interval | None) -> str:
    """An interval to four decimals, where there is one."""
    if interval is None:
        return NOTHING
    # Adding zero turns a rounded -0.0 into 0.0.
    return f"[{round(interval.low, 4) + 0.0:.4f}, {round(interval.high, 4) + 0.0:.4f}]"


def show_signed(number: float) -> str:
    """A difference to four decimals, with its sign but where it is zero."""
    rounded = round(number, 4)
    return f"{rounded:+.4f}" if rounded else "0.0000"


def show_changes(changes: Iterable[str]) -> str:
    """What a launch changed; keys and words inside of lists without their quotation marks."""
    return re.sub(r"'([^']*)'", r"\1", "; ".join(changes))


def show_seeds(seeds: Sequence[int]) -> str:
    """Seeds in ascending order, runs of them as ranges: ``0-3, 7``."""
    ranges: list[list[int]] = []
    for seed in sorted(seeds):
        if ranges and seed == ranges[-1][1] + 1:
            ranges[-1][1] = seed
        else:
            ranges.append([seed, seed])
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in ranges) or count(0, "seed")
