"""The confirmation as it is printed."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from typing import Any

from dashboards.numbers.confirmation import Confirmation
from dashboards.story import confirmation_outcome
from dashboards.tables.drawing import draw
from dashboards.tables.study import confirmation_sheet
from space.terminal.printing import paper_of, say, write

__all__ = ["confirmation_as_json", "print_confirmation"]


def print_confirmation(found: Confirmation) -> None:
    """Print the confirmed trials, the verdict on the winner and what to bear in mind of it."""
    sheet = replace(confirmation_sheet(found), title="confirmed on fresh seeds:")
    say()
    write(draw(sheet, "text", paper_of(sys.stdout)))
    say(confirmation_outcome(found))


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
