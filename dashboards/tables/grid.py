"""A grid search's curves as tables, each with what it says of the value that is asked about."""

from __future__ import annotations

from dashboards.numbers.study.grid import GridPoint, GridReport
from dashboards.story import grid_outcome
from dashboards.tables.drawing import Sheet
from dashboards.words import kept_epoch_note, show_interval
from space.words import NOTHING, count

__all__ = ["grid_sheets"]


def grid_sheets(report: GridReport) -> list[Sheet]:
    """A table a curve, of a grid search with a value that is asked about."""
    title = (
        f"study '{report.study}' on {report.data_source}: {report.metric.heading} against "
        f"{report.parameter}, mean over seeds"
    )
    columns = (
        report.parameter,
        "mean",
        "std",
        "n",
        "95 % interval",
        f"minus {report.reference:g}",
        "95 % interval",
        "p",
        "p (Holm)",
        "verdict",
    )
    return [
        Sheet(
            title=", ".join([title, *(f"{name} {value}" for name, value in curve.group.items())]),
            columns=columns,
            left=frozenset({len(columns) - 1}),
            rows=[_row(report, point) for point in curve.points],
            notes=[
                grid_outcome(report, curve),
                *(_notes(report) if curve is report.curves[-1] else []),
            ],
        )
        for curve in report.curves
    ]


def _row(report: GridReport, point: GridPoint) -> list[str]:
    summary, notation = point.summary, report.notation
    row = [
        f"{point.value:g}",
        notation.value(summary.mean),
        notation.value(summary.std),
        str(summary.n),
        show_interval(summary.interval, notation),
    ]
    if point.comparison is None:
        is_reference = point.value == report.reference
        return [*row, *[NOTHING] * 4, "reference" if is_reference else "not compared"]
    paired = point.comparison.paired
    return [
        *row,
        notation.signed(paired.mean_difference),
        show_interval(paired.interval, notation),
        f"{paired.p_value:.2g}",
        f"{point.comparison.adjusted_p_value:.2g}",
        point.comparison.verdict,
    ]


def _notes(report: GridReport) -> list[str]:
    others = {state: n for state, n in report.trials.items() if state != "COMPLETE"}
    counted = f"{count(report.trials['COMPLETE'], 'complete trial')} in {report.storage}"
    if others:
        counted += "; not counted: " + ", ".join(f"{n} {state}" for state, n in others.items())
    return [
        counted,
        "p and the second interval are of one comparison alone, p (Holm) and the verdict count all "
        "of a table; the intervals are what a sign-flip test does not reject",
        *kept_epoch_note(report.measured, [report.metric.name], report.selections),
    ]
