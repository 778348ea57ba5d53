"""Print a grid search's curves: ``python -m search.grid_report --study NAME --reference X``.

The objective against a parameter with mean, standard deviation and interval of every point, and
whether a reference value is the best point, within noise of it, or worse.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from dataclasses import asdict
from typing import TYPE_CHECKING

from space.errors import UsageError
from space.terminal.command import Option
from space.terminal.layout import Paper
from space.terminal.printing import as_json, paper_of, write
from storage.commands.kit import STORAGE, STUDY, VERBOSE, StoreCommand, format_of, opened

if TYPE_CHECKING:
    from dashboards.numbers.study.grid import GridReport

__all__ = ["main", "render"]

FORMATS = ("text", "markdown", "json")


@StoreCommand.of(
    "search.grid_report",
    "Show a grid search as its objective against a parameter, and judge one value of it.",
    STUDY.but(help="the study of the grid search"),
    STORAGE,
    Option("--parameter", metavar="NAME", help="default: the one whose values are numbers"),
    Option("--reference", type=float, metavar="X", help="default: the baseline's"),
    format_of("the report on stdout", FORMATS),
    VERBOSE,
    examples=(
        "--study widths --reference 64",
        "--study widths --parameter width --format markdown",
    ),
)
def main(options: Namespace) -> None:
    """Print the report."""
    from dashboards.numbers.study.grid import read_grid

    with opened(options.storage) as store:
        report = read_grid(
            store, options.study, parameter=options.parameter, reference=options.reference
        )
    if report.reference is None:
        raise UsageError(
            f"--reference: study '{options.study}' has no baseline; name the value of "
            f"{report.parameter} that the others are compared with."
        )
    write(render(report, options.format, paper_of(sys.stdout)))


def render(report: GridReport, output_format: str, paper: Paper | None = None) -> str:
    """A report as text (laid out for a paper), Markdown or JSON."""
    from dashboards.tables.drawing import draw
    from dashboards.tables.grid import grid_sheets

    if output_format == "json":
        return as_json(_as_json(report))
    return "\n".join(draw(sheet, output_format, paper) for sheet in grid_sheets(report))


def _as_json(report: GridReport) -> dict[str, object]:
    from dashboards.story import grid_outcome

    tree = {**asdict(report), "metric": report.metric.name}
    for curve, drawn in zip(report.curves, tree["curves"], strict=True):
        drawn["sentence"] = grid_outcome(report, curve)
    return tree


if __name__ == "__main__":
    main.run()
