"""What of a benchmark is not finished, as a sheet."""

from __future__ import annotations

from dashboards.numbers.benchmark import BenchmarkView
from dashboards.tables.drawing import NOTHING, Sheet

__all__ = ["unfinished_sheet"]


def unfinished_sheet(view: BenchmarkView) -> Sheet:
    """The latest run of each seed that was begun and has no result, with why, where it failed."""
    return Sheet(
        title="Begun, without a result yet",
        columns=("model", "seed", "state", "epochs", "last heard of (UTC)", "reason"),
        left=frozenset({0, 2, 4, 5}),
        rows=[
            (
                each.name,
                str(each.seed),
                each.run.state,
                f"{each.run.n_epochs} of {each.n_epochs_asked}",
                f"{each.heard_at:%Y-%m-%d %H:%M}",
                " ".join((each.run.reason or NOTHING).split()),
            )
            for each in view.unfinished
        ],
    )
