"""Run a search: ``python -m search.launch --space space/siamese.yaml``."""

from __future__ import annotations

from typing import Any

from space import Override, Space, read_space_file
from space.errors import UsageError
from storage.commands.cli import (
    Parser,
    add_cluster_options,
    add_format,
    add_storage_option,
    configure_logging,
    positive_int,
    run_command,
    seed,
)
from storage.commands.command_line import command_line

__all__ = ["build_parser", "main"]

_EXAMPLES = (
    "--space space/siamese.yaml --time-limit 10m",
    "--space space/mlp.yaml --trials 20 --set training.epochs=10",
)
_EPILOG = """\
The same command goes on with a study that was stopped, however it was stopped.

exit status: 0 done; 1 nothing finished; 2 yours to mend; 130 interrupted
environment: SEARCH_STORAGE for --storage, SEARCH_DATA_ROOT for data.root
"""


def build_parser() -> Parser:
    """The command's options."""
    parser = Parser(
        prog="python -m search.launch",
        description="Search the hyperparameters of a model, or go on with a search.",
        examples=_EXAMPLES,
        epilog=_EPILOG,
    )
    add = parser.add_argument
    add("--space", required=True, metavar="FILE", help="the search-space file")
    add("--study", metavar="NAME", help="the study's name; default: the file's")
    add_storage_option(parser)
    add(
        "--trials",
        type=positive_int,
        metavar="N",
        help="trials in all; default: the file's",
    )
    add(
        "--time-limit",
        metavar="TIME",
        help="stop this launch after e.g. 90s, 10m or 1h30m; default: the file's",
    )
    add("--seed", type=seed, metavar="N", help="seed of the sampler; default: the file's")
    add(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override any setting; default: none",
    )
    add(
        "--concurrency",
        type=positive_int,
        metavar="N",
        help="workers at once, at the most; default: the file's, else as many as fit",
    )
    add(
        "--confirm",
        type=positive_int,
        metavar="K",
        help="confirm the K best configs at the end; default: the file's, else none",
    )
    add(
        "--confirm-seeds",
        type=positive_int,
        metavar="R",
        help="on R fresh seeds each; default: the file's",
    )
    add_cluster_options(parser)
    add("--dry-run", action="store_true", help="show the plan and an estimate; run nothing")
    add_format(parser, "of the result on stdout")
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
    configure_logging(verbose=options.verbose)
    file = read_space_file(options.space, _overrides(options))
    _refuse_idle(file.forms(), options)
    # PyTorch and Ray take seconds to load, which neither help nor a mistake in the file waits for.
    from search.launch.run import launch

    return launch(
        file,
        storage=options.storage,
        command=command_line("search.launch", argv),
        ray_address=options.ray_address,
        checkpoints=options.checkpoints,
        dry_run=options.dry_run,
        output_format=options.format,
        verbose=options.verbose,
    )


def _refuse_idle(forms: list[Space], options: Any) -> None:
    """Refuse an option that would do nothing.

    Raises:
        UsageError: If there is one.
    """
    if options.confirm_seeds is not None and not any(form.confirm.top for form in forms):
        raise UsageError(
            f"--confirm-seeds {options.confirm_seeds}: nothing is confirmed; say with --confirm K "
            "how many of the best configs are."
        )


def _overrides(options: Any) -> list[str | Override]:
    """The options that stand for settings of the file, after `--set` and so over it."""
    given = {
        "--study": ("study", options.study),
        "--trials": ("budget.trials", options.trials),
        "--time-limit": ("budget.time_limit", options.time_limit),
        "--seed": ("sampler.seed", options.seed),
        "--concurrency": ("concurrency", options.concurrency),
        "--confirm": ("confirm.top", options.confirm),
        "--confirm-seeds": ("confirm.seeds", options.confirm_seeds),
    }
    return [
        *options.set,
        *(
            Override(key=key, value=value, label=f"{option} {value}")
            for option, (key, value) in given.items()
            if value is not None
        ),
    ]


if __name__ == "__main__":
    run_command(main)
