"""Run configs over seeds and compare them: ``python -m search.benchmark --config FILE --seeds 10``.

The only place where the test split is read. Seed i fixes the data draw, the split, the
initialisation and the order of a run, for every config alike, so that comparisons are paired. Each
run is stored when it finishes, and the same command later runs only what is missing.
"""

from __future__ import annotations

from typing import Any

from dashboards.tables.formats import FORMATS
from search.benchmark.request import read_request
from storage.commands.cli import (
    Parser,
    add_cluster_options,
    add_format,
    add_storage_option,
    configure_logging,
    positive_int,
    run_command,
)

__all__ = ["build_parser", "main"]

_TOGETHER = "runs that a worker trains together; default: auto, as many as were measured to pay"


def build_parser() -> Parser:
    """The command's options."""
    parser = Parser(
        prog="python -m search.benchmark",
        description="Train configs on several seeds and compare their test errors.",
        examples=(
            "--config best/siamese.yaml --seeds 10",
            "--config space/paper/table1.yaml --table-only --format markdown",
        ),
        epilog="The same command later runs only the seeds that are missing.",
    )
    add = parser.add_argument
    several: dict[str, Any] = {"nargs": "+", "action": "extend"}
    add("--config", **several, required=True, metavar="FILE", help="config files")
    add("--only", **several, metavar="NAME", help="of their configs, these alone; default: all")
    add("--seeds", type=positive_int, default=10, metavar="N", help="seeds 0 to N - 1; default: 10")
    add("--reference", metavar="NAME", help="that others are compared with; default: the first")
    add_storage_option(parser)
    add("--epochs", type=positive_int, metavar="N", help="epochs of every config; default: its own")
    add("--augment", action="store_true", help="pair augmentation for every config")
    add(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override in every config; default: none",
    )
    add("--time-limit", metavar="TIME", help="stop after e.g. 90s, 10m or 1h30m; default: never")
    add("--cpus", default="1", metavar="N", help="CPUs for a worker; default: 1")
    add("--gpus", default="auto", metavar="N", help="GPUs for a worker; default: auto")
    add("--runs-per-trainable", default="auto", metavar="N", help=_TOGETHER)
    add(
        "--concurrency",
        type=positive_int,
        metavar="N",
        help="workers at once, at the most; default: as many as fit",
    )
    add_cluster_options(parser)
    add("--table-only", action="store_true", help="train nothing; show what the store has")
    add_format(parser, "of the table on stdout", FORMATS)
    add("-v", "--verbose", action="store_true", help="let the libraries' own messages through")
    return parser


def main(argv: list[str]) -> int:
    """Run the command.

    Args:
        argv: Its arguments.

    Returns:
        The exit status.

    Raises:
        UserError: What the user can mend.
    """
    options = build_parser().parse_args(argv)
    request = read_request(options, argv)
    configure_logging(verbose=options.verbose)
    # PyTorch and Ray take seconds to load, which neither help nor a mistake in a file waits for.
    from search.benchmark.run import benchmark

    return benchmark(request)


if __name__ == "__main__":
    run_command(main)
