"""Run a search: ``python -m search.launch --space space/siamese.yaml``."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

from search.dry_run import print_dry_run
from search.estimate import measure
from search.plan import Plan, make_plan
from search.progress import LineProgress, LiveProgress
from search.provenance import collect_provenance
from search.result import print_result, read_result, result_as_json
from space import Override
from space.errors import UsageError, UserError
from storage import Store, open_store
from storage.cli import (
    EXIT_DONE,
    EXIT_INTERRUPTED,
    EXIT_NOTHING,
    Parser,
    add_storage_option,
    configure_logging,
    positive_int,
    run_command,
    seed,
    stop_signals,
    storage_arguments,
)
from storage.command_line import command_line
from storage.terminal import console_for

__all__ = ["build_parser", "main"]

logger = logging.getLogger(__name__)

_EPILOG = """\
The same command goes on with a study that was stopped, however it was stopped.

exit status: 0 done; 1 nothing finished; 2 something you can mend; 130 interrupted
environment: SEARCH_STORAGE stands in for --storage, SEARCH_DATA_ROOT for data.root
"""


def build_parser() -> Parser:
    """The command's options."""
    parser = Parser(
        prog="python -m search.launch",
        description="Search the hyperparameters of a model, or go on with a search.",
        epilog=_EPILOG,
    )
    add = parser.add_argument
    add("--space", required=True, metavar="FILE", help="the search-space file")
    add("--study", metavar="NAME", help="the study's name, over the file's")
    add_storage_option(parser)
    add("--trials", type=positive_int, metavar="N", help="trials of the study in all")
    add("--time-limit", metavar="TIME", help="stop this launch after e.g. 90s, 10m or 1h30m")
    add("--seed", type=seed, metavar="N", help="seed of the sampler")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="override any setting")
    add("--concurrency", type=positive_int, metavar="N", help="workers at once, at the most")
    add("--confirm", type=positive_int, metavar="K", help="confirm the K best configs at the end")
    add("--confirm-seeds", type=positive_int, metavar="R", help="on R fresh seeds each")
    add("--ray-address", metavar="ADDRESS", help="join a Ray cluster: auto or HOST:PORT")
    add("--checkpoints", metavar="DIR", help="where unfinished runs lie; shared in a cluster")
    add("--dry-run", action="store_true", help="show the plan and an estimate; run nothing")
    add("--format", choices=("text", "json"), default="text", help="of the result on stdout")
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
    plan = make_plan(
        options.space,
        overrides=_overrides(options),
        storage=options.storage,
        command=command_line("search.launch", argv),
        provenance=collect_provenance(),
        ray_address=options.ray_address,
        checkpoints=options.checkpoints,
        verbose=options.verbose,
    )
    _refuse_idle(plan, options)
    if options.dry_run:
        return _dry_run(plan, options.format)
    return _run(plan, options.format)


def _refuse_idle(plan: Plan, options: Any) -> None:
    """Refuse an option that would do nothing.

    Raises:
        UsageError: If there is one.
    """
    if options.confirm_seeds is not None and not plan.space.confirm.top:
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


def _run(plan: Plan, output_format: str) -> int:
    # Imported late: Ray takes its time, and a mistake in the file should not wait for it.
    from search.study import open_study, run_study

    errors = console_for(sys.stderr)
    progress = LiveProgress(plan, errors) if errors.is_terminal else LineProgress(plan, errors)
    store = open_store(plan.storage)
    try:
        with stop_signals() as stop:
            try:
                outcome = run_study(plan, store, progress, stop_requested=stop)
            finally:
                progress.close()
        result = read_result(store, plan, open_study(plan, store), outcome)
        if output_format == "json":
            json.dump(result_as_json(result), sys.stdout, indent=2)
            sys.stdout.write("\n")
        else:
            print_result(result, console_for())
        if result.snapshot.n_finished:
            _publish(store, plan.space.study)
    finally:
        store.close()
    if outcome.status == "interrupted":
        return EXIT_INTERRUPTED
    return EXIT_DONE if result.snapshot.n_finished else EXIT_NOTHING


def _publish(store: Store, study: str) -> None:
    """Put the study's figures and note into Optuna Dashboard; a search never fails by that."""
    from dashboards.publish import publish

    try:
        publish(store, study)
    except Exception as error:  # What was searched is stored and said already.
        logger.warning(
            "the figures were not published (%s); try `%s`",
            str(error) or type(error).__name__,
            command_line("dashboards.publish", ["--study", study, *storage_arguments(store.name)]),
            exc_info=not isinstance(error, UserError),
        )


def _dry_run(plan: Plan, output_format: str) -> int:
    from search.cluster import ray_session

    with ray_session(plan.ray_address, verbose=plan.verbose):
        slots = plan.slots()
    print_dry_run(plan, slots, measure(plan, slots), output_format)
    return EXIT_DONE


if __name__ == "__main__":
    run_command(main)
