"""What the two states of a run give: that kept by metric, and that kept by loss."""

from __future__ import annotations

from dashboards.numbers.tables import BenchmarkTable
from dashboards.statistics.means import summarise
from dashboards.tables.drawing import Sheet
from dashboards.words import show_interval, show_mean
from space.words import capitalised

__all__ = ["selections_sheet"]


def selections_sheet(table: BenchmarkTable) -> Sheet | None:
    """What the table compares by, of both states of each run, which are of one training.

    Args:
        table: The table.

    Returns:
        A row a config, over the seeds of which both are known; None where there is none, as where
        the state is kept by loss anyway.
    """
    metric, notation, rule = table.metric, table.notation(), table.measured.rule
    rows = []
    for row in table.rows:
        by_metric, by_loss = row.result.by_selection(metric.name)
        if not by_metric:
            continue
        difference = summarise([by_loss[seed] - by_metric[seed] for seed in by_metric])
        rows.append(
            (
                row.name,
                str(len(by_metric)),
                show_mean(summarise(list(by_metric.values())), notation),
                show_mean(summarise(list(by_loss.values())), notation),
                notation.signed(difference.mean),
                show_interval(difference.interval, notation),
            )
        )
    if not rows or rule[0].of == "loss":
        return None
    by = rule[0].of
    return Sheet(
        title=f"{capitalised(metric.heading)}, by what the state is kept",
        columns=("config", "n", f"by {by}", "by loss", "difference", "95 % interval"),
        rows=rows,
        notes=[
            f"by {by}: of the epoch with the {rule[0].extreme} {rule[0].words}; by loss: of that "
            "with the lowest validation loss, of the same training; n: the seeds of which both "
            "are known, as they are of no run of releases before this table"
        ],
    )
