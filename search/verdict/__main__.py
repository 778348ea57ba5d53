"""Compare runs that were trained elsewhere: ``python -m search.verdict --csv runs.csv``.

A row of the file is a run: its config, its seed, what was measured. The table, the tests, the
figures and the document are those of a benchmark.
"""

from __future__ import annotations

import math
import sys
from argparse import ArgumentTypeError, Namespace
from pathlib import Path

from space.files.reader import file_name
from space.files.writing import write_output
from space.terminal.command import Command, Option, local_path
from space.terminal.printing import paper_of, say, write

__all__ = ["main"]


def margin(text: str) -> float:
    """An option's margin.

    Raises:
        argparse.ArgumentTypeError: If it is no finite number above 0.
    """
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 < found < math.inf:
        raise ArgumentTypeError(f"'{text}' is not a number above 0")
    return found


@Command.of(
    "search.verdict",
    "Compare configs by runs that were trained elsewhere, seed by seed.",
    Option(
        "--csv",
        required=True,
        metavar="FILE",
        help="a line a run, below a line of headings: a table of one's own, MLflow's exported "
        "runs, or those of W&B's pages",
    ),
    Option(
        "--config",
        nargs="+",
        metavar="COLUMN",
        help="which config a run is of; several columns say it together; default: the first of "
        "config, model, method, algorithm, group and name that does not differ in every row",
    ),
    Option("--seed", metavar="COLUMN", help="the run's seed; default: seed"),
    Option(
        "--metric",
        nargs="+",
        metavar="COLUMN",
        help="what was measured, and beside it what else to show; default: the one column of "
        "numbers that is left",
    ),
    Option(
        "--direction",
        choices=("minimize", "maximize"),
        help="which values of the metric are better; default: as its name says (error, loss, "
        "accuracy, ...)",
    ),
    Option("--unit", default="", help="of the metric, such as s, %% or fraction; default: none"),
    Option("--reference", metavar="NAME", help="that others are compared with; default: the first"),
    Option(
        "--margin",
        type=margin,
        metavar="M",
        help="differences below it, in the numbers of the file, do not matter: configs may be "
        "called equivalent; default: none",
    ),
    Option("--title", default="", help="what heads the table; default: nothing"),
    Option("--latex", type=local_path, metavar="FILE", help="write the tables for LaTeX, too"),
    Option("--json", type=local_path, metavar="FILE", help="write every number as JSON, too"),
    Option(
        "--report",
        type=local_path,
        metavar="FILE",
        help="write tables and figures as one HTML file that works offline, too",
    ),
    examples=(
        "--csv runs.csv",
        "--csv mlflow.csv --config model --metric test_accuracy --reference resnet --margin 0.005",
        "--csv wandb.csv --config model lr --metric test/loss --report verdict.html",
    ),
    epilog="Runs are paired by their seeds, so a seed should have fixed the same things for every "
    "config.",
)
def main(options: Namespace) -> None:
    """Print the tables and what they say, and write the files."""
    from dashboards.report import html_file
    from dashboards.story import benchmark_outcome
    from dashboards.tables.formats import render
    from search.verdict.compare import compared, document_of
    from search.verdict.rows import Asked, read_table

    table = read_table(Path(options.csv))
    asked = Asked(
        config=options.config,
        seed=options.seed,
        metrics=options.metric,
        direction=options.direction,
        unit=options.unit,
    )
    view = compared(
        table, asked, reference=options.reference, margin=options.margin, title=options.title
    )
    write(render(view.table, "text", paper_of(sys.stdout)))
    say()
    say(benchmark_outcome(view))
    for option in ("latex", "json"):
        if getattr(options, option):
            _write(option, getattr(options, option), render(view.table, option))
    if options.report:
        text = html_file([document_of(view)], view.record.data_source)
        _write("report", options.report, text)


def _write(option: str, name: str, text: str) -> None:
    write_output(f"--{option}", Path(name), text)
    say(f"{option}: {file_name(name)}")


if __name__ == "__main__":
    main.run()
