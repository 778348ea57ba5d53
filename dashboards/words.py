"""What numbers of a few seeds are written like, in tables, pages, figures and reports alike."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from dashboards.statistics.means import Summary
from dashboards.statistics.sign_flips import Interval
from space.metrics import Measured
from space.notation import Notation
from space.words import NOTHING

__all__ = [
    "kept_epoch_note",
    "on_data",
    "show_changes",
    "show_code",
    "show_data",
    "show_interval",
    "show_mean",
]

_NO_DATA = "none"
"""The source of the data of what needs none."""


def kept_epoch_note(
    measured: Measured, shown: Iterable[str], selections: Collection[str]
) -> list[str]:
    """What to bear in mind of the metric that decides which epoch is kept, where it is shown.

    Args:
        measured: What is measured, and by what the epoch is chosen.
        shown: The names of the metrics that are shown.
        selections: By what the runs that are shown keep a state: see `Measured.rules`.

    Returns:
        A sentence without a capital for each such metric.
    """
    names = set(shown)
    deciding = dict.fromkeys(
        metric for each in sorted(selections) for metric in measured.rules(each)[0][:1]
    )
    where = " where the state is kept by it" if len(deciding) > 1 else ""
    return [
        f"the {metric.words} is optimistic{where}: it is the {metric.extreme} of all epochs, "
        "chosen on the same samples"
        for metric in deciding
        if metric.name in names
    ]


def show_mean(summary: Summary | None, notation: Notation) -> str:
    """A mean and its standard deviation, as far as there are any."""
    return NOTHING if summary is None else notation.mean(summary.mean, summary.std)


def show_interval(interval: Interval | None, notation: Notation) -> str:
    """An interval, where there is one."""
    return NOTHING if interval is None else notation.interval(*interval)


def show_code(commit: str | None, is_dirty: bool | None) -> str:
    """Which code ran: a commit, and whether files differed from it."""
    if commit is None:
        return "no git checkout"
    return commit[:12] + (" with uncommitted changes" if is_dirty else "")


def show_data(source: str, fingerprint: str) -> str:
    """Which data were trained on; a trainable may need none."""
    return source if source == _NO_DATA else f"{source}, fingerprint {fingerprint}"


def on_data(source: str | None, word: str = "on") -> str:
    """A word and the source of data, to go on a sentence with; nothing where there are none."""
    return "" if source in (None, _NO_DATA) else f" {word} {source}"


def show_changes(changes: Iterable[str]) -> str:
    """What a launch changed; keys and words inside of lists without their quotation marks."""
    return re.sub(r"'([^']*)'", r"\1", "; ".join(changes))
