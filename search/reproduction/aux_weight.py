"""The grid search over the auxiliary weight, as the reproduction shows it."""

from __future__ import annotations

import dataclasses
import re

from dashboards.tables.drawing import escape_markdown
from search.reproduction.charts import grid_curve_svg
from space.errors import UsageError
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
    for study, complete in runs.items():
        if complete:
            blocks += _study(store, study, complete, figures)
    return "\n".join(blocks), figures


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


def _study(store: Store, study: str, runs: list[RunRecord], figures: dict[str, str]) -> list[str]:
    """A study's blocks; its drawings are added to the figures."""
    # Imported late: only a store with such a study needs it.
    from dashboards.numbers.study.grid import read_grid
    from search.grid_report import render

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
