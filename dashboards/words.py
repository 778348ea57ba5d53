"""What numbers of a few seeds are written like, in tables, pages, figures and reports alike."""

from __future__ import annotations

import re
from collections.abc import Iterable

from dashboards.statistics.means import Summary
from dashboards.statistics.sign_flips import Interval
from dashboards.statistics.verdicts import Comparison, seeds_needed
from space.metrics import Measured, Metric
from space.notation import Notation
from space.words import NOTHING, count

__all__ = [
    "kept_epoch_note",
    "show_changes",
    "show_code",
    "show_interval",
    "show_mean",
    "verdict_sentence",
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


def show_mean(summary: Summary | None, notation: Notation) -> str:
    """A mean and its standard deviation, as far as there are any."""
    return NOTHING if summary is None else notation.mean(summary.mean, summary.std)


def show_interval(interval: Interval | None, notation: Notation) -> str:
    """An interval, where there is one."""
    return NOTHING if interval is None else notation.interval(*interval)


def verdict_sentence(comparison: Comparison, metric: Metric, notation: Notation) -> str:
    """What a comparison shows, in one sentence; in one word it is the comparison's `answer`.

    Args:
        comparison: The comparison.
        metric: What is compared.
        notation: How its values are written.
    """
    paired, name, reference = comparison.paired, comparison.name, comparison.reference
    seeds = f"on {count(paired.n, 'seed')}"
    unit, difference = notation.of_difference, notation.signed(paired.mean_difference)
    if paired.interval is not None:
        difference += f" {show_interval(paired.interval, notation)}"
    by = f"the difference in the mean {metric.words} is {difference}{unit} {seeds}"
    within = "" if paired.margin is None else f"{notation.quoted(paired.margin)}{unit}"
    match comparison.answer:
        case "equivalent":
            return f"{name} and {reference} are equivalent within {within}: {by}."
        case "better" | "worse":
            return f"{name} is {comparison.answer} than {reference}: {by}."
        case "not ranked":
            return f"{name} and {reference} are {comparison.verdict}; on the seeds of both, {by}."
    needed = seeds_needed(paired.n_comparisons + 1, margin=paired.margin)
    equivalent = "" if paired.margin is None else f", or equivalent within {within},"
    said = f"Whether {name} is better or worse than {reference}{equivalent} is undecided: {by}"
    if paired.n < needed:
        return f"{said}, and an answer takes {needed} or more."
    if paired.detectable_difference is None:
        return f"{said}."
    found = f"{notation.value(paired.detectable_difference)}{unit}"
    return f"{said}, which find a true difference of {found} 4 times in 5."


def show_code(commit: str | None, is_dirty: bool | None) -> str:
    """Which code ran: a commit, and whether files differed from it."""
    if commit is None:
        return "no git checkout"
    return commit[:12] + (" with uncommitted changes" if is_dirty else "")


def show_changes(changes: Iterable[str]) -> str:
    """What a launch changed; keys and words inside of lists without their quotation marks."""
    return re.sub(r"'([^']*)'", r"\1", "; ".join(changes))
