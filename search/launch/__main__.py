"""Run a search: ``python -m search.launch --space space/mlp.yaml``."""

from __future__ import annotations

from argparse import Namespace

from space.terminal.command import EXIT_DONE, SET, Option, count_of, seed
from storage.commands.kit import (
    CALLBACKS,
    CHECKPOINTS,
    CONCURRENCY,
    RAY_ADDRESS,
    STORAGE,
    STUDY,
    TIME_LIMIT,
    VERBOSE,
    StoreCommand,
    format_of,
)

__all__ = ["main"]

_EPILOG = """\
The same command goes on with a study that was stopped, however it was stopped.

exit status: 0 done; 1 nothing finished; 2 yours to mend; 130 interrupted
environment: SEARCH_STORAGE for --storage, SEARCH_DATA_ROOT for data.root
"""


@StoreCommand.of(
    "search.launch",
    "Search the hyperparameters of a model, or go on with a search.",
    Option("--space", required=True, metavar="FILE", help="the search-space file"),
    STUDY.but(required=False, help="the study's name; default: the file's"),
    STORAGE,
    count_of("--trials", "trials in all; default: the file's"),
    TIME_LIMIT.but(help="stop this launch after e.g. 90s, 10m or 1h30m; default: the file's"),
    Option("--seed", type=seed, metavar="N", help="seed of the sampler; default: the file's"),
    SET.but(help="override any setting; default: none"),
    CONCURRENCY.but(help="workers at once, at the most; default: the file's, else as many as fit"),
    Option(
        "--warm-start",
        metavar="NAME",
        help="try the best trials of this earlier study first; default: the file's, else none",
    ),
    count_of(
        "--confirm", "confirm the K best configs at the end; default: the file's, else none"
    ).but(metavar="K"),
    count_of("--confirm-seeds", "on R fresh seeds each; default: the file's").but(metavar="R"),
    CALLBACKS.but(help=f"{CALLBACKS.settings['help']}; default: the file's, else none"),
    RAY_ADDRESS,
    CHECKPOINTS,
    Option("--dry-run", action="store_true", help="show the plan and an estimate; run nothing"),
    format_of("the result on stdout"),
    VERBOSE,
    examples=(
        "--space space/mlp.yaml --time-limit 10m",
        "--space space/mlp.yaml --trials 20 --set training.epochs=10",
    ),
    epilog=_EPILOG,
)
def main(options: Namespace) -> int:
    """Launch, and return the exit status."""
    from search.launch.request import read_request

    file = read_request(options)
    # PyTorch and Ray take seconds to load, which neither help nor a mistake in the file waits for.
    from search.launch.ahead import ray_ahead

    with ray_ahead(file, options) as up:
        from search.launch.progress import on_terminal
        from search.launch.result import exit_status, say_result
        from search.launch.run import dry_run, launch

        if options.dry_run:
            dry_run(file, options)
            return EXIT_DONE
        result = launch(file, options, display=on_terminal, up=up)
    say_result(result, options.format)
    return exit_status(result)


if __name__ == "__main__":
    main.run()
