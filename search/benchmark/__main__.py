"""Run configs over seeds and compare them: ``python -m search.benchmark --config FILE``.

The only place where the test split is read. Seed i fixes the data draw, the split, the
initialisation and the order of a run, for every config alike, so that comparisons are paired. Each
run is stored when it finishes, and the same command later runs only what is missing.
"""

from __future__ import annotations

from argparse import Namespace

from dashboards.tables import FORMATS
from space.sources import SOURCES
from space.terminal.command import SET, Option, count_of
from storage.commands.kit import (
    CALLBACKS,
    CHECKPOINTS,
    CONCURRENCY,
    RAY_ADDRESS,
    STORAGE,
    TIME_LIMIT,
    VERBOSE,
    StoreCommand,
    format_of,
)

__all__ = ["main"]

_TOGETHER = "runs that a worker trains together; default: auto, as many as were measured to pay"


@StoreCommand.of(
    "search.benchmark",
    "Train configs on several seeds and compare them on the test split.",
    Option(
        "--config",
        nargs="+",
        action="extend",
        required=True,
        metavar="FILE",
        help="config files",
    ),
    Option(
        "--only",
        nargs="+",
        action="extend",
        metavar="NAME",
        help="of their configs, these alone; default: all",
    ),
    count_of("--seeds", "seeds 0 to N - 1; default: 10"),
    Option(
        "--until-decided",
        action="store_true",
        help="instead of --seeds: add seeds, config by config, until it has a verdict",
    ),
    count_of("--max-seeds", "with --until-decided, the most seeds of a config; default: 30"),
    Option(
        "--fresh-seeds",
        action="store_true",
        help="so many seeds that no run of the store was trained on instead; the same command "
        "goes on with them",
    ),
    Option(
        "--margin",
        type=float,
        metavar="M",
        help="differences of the mean below it do not matter, in the unit of what is compared; "
        "registered before any test sample is read; default: none",
    ),
    Option("--reference", metavar="NAME", help="that others are compared with; default: the first"),
    STORAGE,
    count_of("--epochs", "epochs of every config; default: its own"),
    Option("--augment", action="store_true", help="augmentation for every config"),
    SET.but(help="override in every config; default: none"),
    TIME_LIMIT.but(help="stop after e.g. 90s, 10m or 1h30m; default: never"),
    Option("--cpus", default="1", metavar="N", help="CPUs for a worker; default: 1"),
    Option("--gpus", default="auto", metavar="N", help="GPUs for a worker; default: auto"),
    Option("--runs-per-trainable", default="auto", metavar="N", help=_TOGETHER),
    Option(
        "--strategy",
        metavar="NAME",
        help="ddp: each run by several processes, one for each GPU or as many as --processes says; "
        "default: by one",
    ),
    Option("--processes", metavar="N", help="how many; default: one for each GPU"),
    CONCURRENCY,
    CALLBACKS.but(help=f"{CALLBACKS.settings['help']}; default: none"),
    RAY_ADDRESS,
    CHECKPOINTS,
    Option(
        "--keep-weights",
        action="store_true",
        help="keep every run's weights, in benchmark/weights/ below the checkpoints",
    ),
    Option(
        "--vary",
        nargs="*",
        action="extend",
        choices=tuple(SOURCES),
        metavar="SOURCE",
        help="train as well runs that differ from those of the seeds in one source of randomness, "
        "to see where the variance comes from: data, weights, order, augmentation, dropout, or "
        "training for all but the data; none named: data, weights and order; default: no such runs",
    ),
    Option("--table-only", action="store_true", help="train nothing; show what the store has"),
    format_of("the table on stdout", FORMATS),
    VERBOSE,
    examples=(
        "--config best/mlp.yaml --fresh-seeds",
        "--config best/mlp.yaml --until-decided --max-seeds 30 --margin 0.005",
    ),
    epilog="The same command later runs only the seeds that are missing.",
)
def main(options: Namespace) -> int:
    """Run the benchmark, and return the exit status."""
    from search.benchmark.request import read_request

    request = read_request(options)
    # PyTorch and Ray take seconds to load, which neither help nor a mistake in a file waits for.
    from search.benchmark.run import benchmark, say_outcome

    return say_outcome(request, benchmark(request))


if __name__ == "__main__":
    main.run()
