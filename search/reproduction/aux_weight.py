"""The grid search over the auxiliary weight, as the reproduction shows it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from dashboards.numbers.study.grid import GridReport, read_grid
from dashboards.tables.drawing import Sheet, draw, escape_markdown
from dashboards.words import show_interval, show_mean
from search.grid_report import render
from search.reproduction.charts import grid_curve_svg
from space.errors import UsageError
from space.words import NOTHING, capitalised, joined
from storage import RunRecord, Store
from storage.connect.engine import translated

__all__ = ["GRID_STUDY", "grid_runs", "grid_section", "is_grid"]

GRID_STUDY = "aux-weight-grid"
"""Name of the study, and beginning of the names of those at other widths."""
PARAMETER, REPORTED, REPORTED_WIDTH = "aux_weight", 0.6, 128
"""What the grid is over, the report's choice, and the width of the report's networks."""


def grid_section(store: Store) -> tuple[str, dict[str, str]]:
    """What the grid searches found, or that there are none yet.

    Args:
        store: The store.

    Returns:
        The section, in Markdown, and its figures: file name -> SVG; the same for the same store.
    """
    blocks = ["## Weight of the auxiliary losses\n"]
    runs = grid_runs(store)
    if not any(runs.values()):
        missing = f"Not yet run: no run of a study `{GRID_STUDY}` is complete.\n"
        return "\n".join([*blocks, missing]), {}
    blocks.append(
        f"The report chose {REPORTED:g} by a grid search. Ours is on validation errors, every "
        "point on the same seeds; differences are the point's error minus that of "
        f"{REPORTED:g}, paired seed by seed.\n"
    )
    figures: dict[str, str] = {}
    reports: list[tuple[int, GridReport]] = []
    of_studies: list[str] = []
    for study, complete in runs.items():
        if complete:
            of_studies += _study(store, study, complete, figures, reports)
    blocks += [draw(_by_width(reports), "markdown")] if len(reports) > 1 else []
    return "\n".join([*blocks, *of_studies]), figures


def is_grid(study: str) -> bool:
    """Whether a study's name is that of a grid search over the auxiliary weight."""
    return study == GRID_STUDY or study.startswith(f"{GRID_STUDY}-")


def grid_runs(store: Store) -> dict[str, list[RunRecord]]:
    """The complete runs of every grid search over the auxiliary weight, by study."""
    with translated(store.url):
        studies = {
            study.study_name: study._study_id for study in store.optuna_storage.get_all_studies()
        }
    return {
        name: [run for run in store.runs(number, "search") if run.state == "complete"]
        for name, number in sorted(studies.items())
        if is_grid(name)
    }


def _by_width(reports: Sequence[tuple[int, GridReport]]) -> Sheet:
    """What the grids say side by side, so that a trend with the width is seen.

    Args:
        reports: Grids, each with the width of its networks.
    """
    rows = []
    for width, report in sorted(reports, key=lambda each: each[0]):
        notation = report.notation
        for curve in report.curves:
            points = {point.value: point for point in curve.points}
            lowest = min(points, key=lambda value: report.metric.rank(points[value].summary.mean))
            without = points[0.0].comparison if 0.0 in points else None
            worse = [
                f"{point.value:g}"
                for point in curve.points
                if point.comparison is not None and point.comparison.answer == "worse"
            ]
            rows.append(
                (
                    ", ".join(map(str, curve.group.values())) or NOTHING,
                    str(width),
                    show_mean(points[REPORTED].summary, notation)
                    if REPORTED in points
                    else NOTHING,
                    f"{lowest:g}",
                    NOTHING if without is None else notation.signed(without.paired.mean_difference),
                    show_interval(None if without is None else without.paired.interval, notation),
                    joined(worse) if worse else "none",
                )
            )
    return Sheet(
        title=f"{capitalised(reports[0][1].metric.heading)} by the width of the networks",
        columns=(
            *("network", "width", f"at {REPORTED:g}", "lowest mean at"),
            *(f"without (0) minus {REPORTED:g}", "95 % interval", f"worse than {REPORTED:g}"),
        ),
        left=frozenset({0, 6}),
        rows=sorted(rows, key=lambda row: row[0]),
        notes=["worse: chance is ruled out with all points of a curve counted"],
    )


def _study(
    store: Store,
    study: str,
    runs: list[RunRecord],
    figures: dict[str, str],
    reports: list[tuple[int, GridReport]],
) -> list[str]:
    """A study's blocks; its drawings are added to the figures, its numbers to the reports."""
    widths = sorted({run.config["model"]["width"] for run in runs})
    epochs = sorted({run.config["training"]["epochs"] for run in runs})
    terms = f"width {' or '.join(map(str, widths))}, {' or '.join(map(str, epochs))} epochs"
    heading = f"**Study {escape_markdown(study)}: {terms}**\n"
    try:
        report = read_grid(store, study, parameter=PARAMETER, reference=REPORTED)
    except UsageError:
        # Its words are those of a command that the document's reader did not give.
        missing = (
            f"Not shown: a curve takes two complete trials that differ in {PARAMETER} alone, and "
            f"one at {REPORTED:g} to compare with."
        )
        return [heading, f"{escape_markdown(missing)}\n"]
    reports.append((widths[0], report))
    blocks = [heading]
    if widths != [REPORTED_WIDTH]:
        blocks.append(
            f"The report's networks have width {REPORTED_WIDTH}"
            + (f", {REPORTED_WIDTH / widths[0]:g} times this" if len(widths) == 1 else "")
            + ": the answer is for these networks, not for the report's.\n"
        )
    # Where the store lies is no part of the result.
    blocks += [render(dataclasses.replace(report, storage="the store"), "markdown")]
    for curve in report.curves:
        title = ", ".join([study, *(str(value) for value in curve.group.values())])
        file = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") + ".svg"
        figures[file] = grid_curve_svg(
            curve, title, parameter=report.parameter, metric=report.metric
        )
        blocks.append(f"![Error of {escape_markdown(title)}](figures/{file})\n")
    return blocks
