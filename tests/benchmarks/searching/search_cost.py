"""What samplers and pruners find in the same number of epochs, over recorded curves.

    python -m tests.benchmarks.searching.search_cost [--curves FILE ...] [--seeds 20] [--workers 2]
        [--json FILE]

`search.simulate` for every file of curves beside this one, as a benchmark's result: the standard
list of samplers and pruners, a full grid in random order, and random search without a pruner.
Nothing is trained; the files were made by the commands that they name.
"""

from __future__ import annotations

from pathlib import Path

from search.simulate.cost import CostTable, Row, measure
from search.simulate.cost_sheet import notes
from search.simulate.curves_file import LearningCurves, read_curves
from search.simulate.ways import choose_ways
from space.terminal.command import EXIT_DONE, Parser, positive_int, run_command
from storage.commands.kit import configure_logging
from tests.benchmarks.results import Cell, Table, add_json_option, publish

MODULE = "tests.benchmarks.searching.search_cost"
CURVES = Path(__file__).parents[1] / "curves"
COLUMNS = [
    "sampler",
    "pruner",
    "good at the end %",
    "behind the best",
    "a quarter by (epochs)",
    "half by (epochs)",
    "trials",
]


def as_table(curves: LearningCurves, table: CostTable) -> Table:
    """The rows as numbers."""
    return Table(
        title=f"{curves.space.study}: winners within {table.tolerance:g} of the best of "
        f"{table.n_points} points, on seeds left out of the search",
        columns=COLUMNS,
        rows=[_cells(row) for row in table.rows],
    )


def _cells(row: Row) -> list[Cell]:
    return [
        row.sampler,
        row.pruner,
        round(100 * row.good_share),
        row.behind,
        row.quarter_by,
        row.half_by,
        round(sum(row.trials.values())),
    ]


def main(argv: list[str]) -> int:
    """Simulate, print and, if asked to, keep the result."""
    parser = Parser(prog=f"python -m {MODULE}", description=__doc__)
    parser.add_argument("--curves", type=Path, nargs="+", default=sorted(CURVES.glob("*.json")))
    parser.add_argument("--seeds", type=positive_int, default=20)
    parser.add_argument("--workers", type=positive_int, default=2)
    add_json_option(parser)
    options = parser.parse_args(argv)
    configure_logging(verbose=False)
    tables, said = [], []
    for path in options.curves:
        curves = read_curves(path)
        table = measure(
            curves,
            choose_ways(curves),
            n_seeds=options.seeds,
            n_workers=options.workers,
            tolerance=0.01,
        )
        tables.append(as_table(curves, table))
        said += [f"{path.name}: {note}." for note in notes(curves, table)]
    publish(
        title="Search cost",
        module=MODULE,
        argv=argv,
        tables=tables,
        notes=said,
        json_file=options.json,
    )
    return EXIT_DONE


if __name__ == "__main__":
    run_command(main)
