"""The confirmation as it is printed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from dashboards.numbers.study.confirmation import Confirmation
from dashboards.statistics.means import summarise
from dashboards.story import confirmation_outcome
from dashboards.tables.drawing import draw
from dashboards.tables.study import confirmation_sheet
from dashboards.words import show_mean
from search.launch.confirm import Unconfirmed
from space.metrics import Metric
from space.terminal.printing import paper_of, say, say_table, write
from space.words import count

__all__ = ["confirmation_as_json", "print_confirmation", "print_unconfirmed"]


def print_confirmation(found: Confirmation) -> None:
    """Print the confirmed trials, the verdict on the winner and what to bear in mind of it."""
    sheet = replace(confirmation_sheet(found), title="confirmed on fresh seeds:")
    say()
    write(draw(sheet, "text", paper_of(sys.stdout)))
    say(confirmation_outcome(found))


def print_unconfirmed(lacking: Sequence[Unconfirmed], metric: Metric) -> None:
    """Print which trials lack fresh seeds, and what those say that are there.

    Args:
        lacking: The trials, at least one.
        metric: The objective that decides.
    """
    means = [summarise(each.values) if each.values else None for each in lacking]
    notation = metric.notation(found.mean for found in means if found is not None)
    say()
    say("not ranked yet, as not every fresh seed is there:")
    say_table(
        ("trial", "seeds there", "missing", f"{metric.heading} so far"),
        [
            (
                str(each.trial_number),
                str(len(each.values)),
                str(each.n_missing),
                show_mean(found, notation),
            )
            for each, found in zip(lacking, means, strict=True)
        ],
        left=frozenset(),
        n_keys=1,
    )
    n = sum(each.n_missing for each in lacking)
    say(
        f"{count(n, 'run')} on fresh seeds {'is' if n == 1 else 'are'} still to be trained to "
        "confirm it"
    )


def confirmation_as_json(found: Confirmation | None) -> Any:
    """The confirmation for `--format json`."""
    if found is None:
        return None
    return {
        "metric": found.metric.name,
        "winner": found.winner.trial_number,
        "baseline": found.baseline,
        "optimism": None if found.optimism is None else asdict(found.optimism),
        "search_best": None if found.search_best is None else found.search_best.trial_number,
        "failed": found.failed,
        "trials": [asdict(trial) for trial in found.trials],
        "comparisons": {number: asdict(each) for number, each in found.comparisons.items()},
    }
