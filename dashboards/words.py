"""What numbers of a few seeds are written like, in tables, pages, figures and reports alike."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from dashboards.statistics.means import Summary
from dashboards.statistics.sign_flips import Interval
from space.metrics import Measured
from space.words import NOTHING, count

__all__ = [
    "kept_epoch_note",
    "show_changes",
    "show_code",
    "show_interval",
    "show_mean",
    "show_seeds",
    "show_signed",
]


def kept_epoch_note(measured: Measured, shown: Iterable[str]) -> list[str]:
    """What to bear in mind of the metric that decides which epoch is kept, where it is shown.

    Args:
        measured: What is measured, and by what the epoch is chosen.
        shown: The names of the metrics that are shown.

    Returns:
        A sentence without a capital, or nothing.
    """
    return [
        f"the {metric.words} is optimistic: it is the {metric.extreme} of all epochs, chosen on "
        "the same samples"
        for metric in measured.rule[:1]
        if metric.name in set(shown)
    ]


def show_mean(summary: Summary | None, decimals: int) -> str:
    """A mean and its standard deviation, as far as there are any; see `Metric.decimals`."""
    if summary is None:
        return NOTHING
    spread = "" if summary.std is None else f" ± {summary.std:.{decimals}f}"
    return f"{summary.mean:.{decimals}f}{spread}"


def show_interval(interval: Interval | None, decimals: int) -> str:
    """An interval, where there is one; see `Metric.decimals`."""
    if interval is None:
        return NOTHING
    # Adding zero turns a rounded -0.0 into 0.0.
    low, high = (f"{round(end, decimals) + 0.0:.{decimals}f}" for end in interval)
    return f"[{low}, {high}]"


def show_signed(number: float, decimals: int) -> str:
    """A difference with its sign but where it is zero; see `Metric.decimals`."""
    rounded = round(number, decimals) + 0.0
    return f"{rounded:{'+' if rounded else ''}.{decimals}f}"


def show_code(commit: str | None, is_dirty: bool | None) -> str:
    """Which code ran: a commit, and whether files differed from it."""
    if commit is None:
        return "no git checkout"
    return commit[:12] + (" with uncommitted changes" if is_dirty else "")


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
