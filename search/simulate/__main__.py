"""Replay searches over recorded curves: ``python -m search.simulate --study NAME``.

Which sampler and which pruner finds a good setting with the fewest epochs? The launch's own ledger,
samplers and pruners search in simulated time, where nothing is trained, over the curves of a
finished study's trials, or of a file that they were saved in. Trials that the pruner stopped are
replayed as well: `search.simulate.curves_of_study` says what is assumed of them, and the table too.
"""

from __future__ import annotations

import argparse
import logging
import math
import sys
from argparse import Namespace
from pathlib import Path

from search.simulate import BUDGET_TRIALS
from space.errors import UsageError
from space.files.writing import write_output
from space.study.terms import WarmStart
from space.terminal.command import OneOf, Option, count_of, local_path
from space.terminal.printing import paper_of, write
from storage.commands.kit import STORAGE, STUDY, VERBOSE, StoreCommand, format_of, opened

__all__ = ["main"]

logger = logging.getLogger("search.simulate")  # As a command, this module is __main__.

FORMATS = ("text", "markdown", "json")


def _tolerance(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of at least 0")
    return value


def _tried(name: str) -> Option:
    """The option that names samplers or pruners to try."""
    return Option(
        f"--{name}",
        action="append",
        default=[],
        metavar="SETTING",
        help=f"a {name} to try, as a space file has it: a name, or {{name: ..., ...}}; may be "
        "given several times. Given samplers are tried with all given pruners, else with the "
        "space's own; default: a standard list",
    )


@StoreCommand.of(
    "search.simulate",
    "Replay searches over recorded curves, and show what each would have cost.",
    OneOf(
        Option("--curves", type=Path, metavar="FILE", help="curves that were saved"),
        STUDY.but(
            required=False,
            help="a finished study: its complete trials, and those that were stopped",
        ),
        required=True,
    ),
    STORAGE,
    Option(
        "--save",
        type=local_path,
        metavar="FILE",
        help="write the curves to a file, for --curves; default: none",
    ),
    _tried("sampler"),
    _tried("pruner"),
    Option(
        "--warm-start",
        metavar="NAME",
        help="try every setting a second time with the best trials of this study, of --storage, "
        "as its first ones; default: none",
    ),
    count_of(
        "--top", f"so many of its trials; default: {WarmStart.model_fields['top'].default}"
    ).but(metavar="K"),
    count_of("--seeds", "searches each; default: 20", default=20),
    count_of("--replicates", "seeds a trial; default: 1", default=1),
    count_of("--workers", "trials at once; default: 2", default=2),
    count_of(
        "--epochs",
        "epochs of a search; default: a third of those of every point to its end; of a study with "
        f"stopped trials at least those of {BUDGET_TRIALS} whole trials",
    ),
    Option(
        "--tolerance",
        type=_tolerance,
        default=0.01,
        metavar="X",
        help="how much worse than the best point is good enough; default: 0.01",
    ),
    format_of("the table on stdout", FORMATS),
    VERBOSE,
    examples=(
        "--study mlp --save curves.json",
        "--curves curves.json --sampler tpe --sampler random --pruner none",
    ),
)
def main(options: Namespace) -> None:
    """Simulate, and print the table."""
    from search.simulate.cost import measure
    from search.simulate.cost_sheet import check_telling, render, same_rows
    from search.simulate.curves_file import read_curves
    from search.simulate.curves_of_study import study_curves
    from search.simulate.ways import check_tolerance, choose_ways, warm_too

    if options.curves is not None:
        curves = read_curves(options.curves)
    else:
        with opened(options.storage) as store:
            curves = study_curves(store, options.study)
    if options.save is not None:
        write_output("--save", Path(options.save), curves.to_text())
    if options.replicates > curves.n_seeds:
        raise UsageError(
            f"--replicates {options.replicates}: a point has curves of {curves.n_seeds} seeds."
        )
    check_tolerance(curves, options.tolerance)
    ways = choose_ways(curves, options.sampler, options.pruner, replicates=options.replicates)
    if options.warm_start is not None:
        ways = warm_too(curves, ways, options)
    elif options.top is not None:
        raise UsageError(f"--top {options.top}: of no study; name one with --warm-start.")
    table = measure(
        curves,
        ways,
        n_seeds=options.seeds,
        n_workers=options.workers,
        max_epochs=options.epochs,
        tolerance=options.tolerance,
    )
    check_telling(table)
    for group in same_rows(table):
        alike = "; ".join(f"{row.sampler} with {row.pruner}" for row in group)
        logger.warning("these came out alike, which tells none from another: %s", alike)
    paper = paper_of(sys.stdout)
    write(render(curves, table, options.format, command=options.typed, paper=paper))


if __name__ == "__main__":
    main.run()
