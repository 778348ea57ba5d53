"""Compare runs that were trained elsewhere: ``python -m search.verdict --csv runs.csv``.

A row of the file is a run: its config, its seed, what was measured. The table, the tests, the
figures and the document are those of a benchmark.
"""

from __future__ import annotations

import math
import sys
from argparse import ArgumentTypeError, Namespace
from pathlib import Path

from dashboards.numbers.benchmark import BenchmarkView
from dashboards.pages.benchmark_page import described
from dashboards.pages.documents import Document
from dashboards.report import html_file
from dashboards.story import benchmark_outcome
from dashboards.tables.formats import render
from search.verdict.foreign import foreign_benchmark
from search.verdict.rows import Asked, Table, foreign_runs, read_table
from space.errors import UsageError
from space.files.reader import file_name
from space.files.writing import write_output
from space.terminal.command import Command, Option, local_path
from space.terminal.printing import paper_of, say, write
from space.words import count, show_seeds

__all__ = ["compared", "document_of", "main"]


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


def compared(
    table: Table,
    asked: Asked,
    *,
    reference: str | None = None,
    margin: float | None = None,
    title: str = "",
) -> BenchmarkView:
    """Compare the configs of a table.

    Args:
        table: The table.
        asked: How it is to be read.
        reference: See `foreign_benchmark`, as for the others.
        margin: Likewise.
        title: Likewise.

    Raises:
        UsageError: If it cannot be read so, or nothing of it is finished.
    """
    runs, metrics = foreign_runs(table, asked)
    if not any(run.state == "complete" for run in runs):
        raise UsageError(f"{table.name}: no run in it has a value of {metrics[0].name}.")
    return foreign_benchmark(
        runs,
        metrics,
        source=table.name,
        fingerprint=table.fingerprint,
        reference=reference,
        margin=margin,
        title=title,
    )


def document_of(view: BenchmarkView) -> Document:
    """What the document and notebooks show of it."""
    rows = view.table.rows
    terms = (
        f"{count(view.n_done, 'run')} of {view.record.data_source} (fingerprint "
        f"{view.record.data_fingerprint}) with a result: {count(len(rows), 'config')} on the "
        f"seeds {show_seeds(view.record.seeds)}. They were trained elsewhere: which samples and "
        "which state a value is of, and what a seed fixed, only their author knows. Runs of one "
        "seed are paired."
    )
    return described(view, terms=terms)


if __name__ == "__main__":
    main.run()
