"""A launch as it was asked for: its plan, its course on the terminal, and its result."""

from __future__ import annotations

import logging

from search.launch.dry_run import print_dry_run
from search.launch.estimate import measure
from search.launch.plan import Plan, make_plan
from search.launch.progress import LineProgress, LiveProgress
from search.launch.result import print_result, read_result, result_as_json
from search.launch.study import open_study, run_study
from search.runs.provenance import collect_provenance
from search.workers.ray_session import ray_session
from space import SpaceFile
from space.errors import UserError
from space.terminal.command import EXIT_DONE, EXIT_INTERRUPTED, EXIT_NOTHING
from space.terminal.printing import error_console, say_json
from storage import Store, open_store
from storage.commands.command_line import command_line
from storage.commands.kit import stop_signals, storage_arguments

__all__ = ["launch"]

logger = logging.getLogger(__name__)


def launch(
    file: SpaceFile,
    *,
    storage: str | None,
    command: str,
    ray_address: str | None,
    checkpoints: str | None,
    dry_run: bool,
    output_format: str,
    verbose: bool,
) -> int:
    """Run a launch and print its result, or print what it would be.

    Args:
        file: The space file with the command line laid over it.
        storage: ``--storage``, if given.
        command: The command line, for the record.
        ray_address: ``--ray-address``, if given.
        checkpoints: ``--checkpoints``, if given.
        dry_run: Print the plan and an estimate, and run nothing.
        output_format: ``"text"`` or ``"json"``.
        verbose: Let the libraries' own messages through.

    Returns:
        The exit status.

    Raises:
        UserError: What the user can mend.
    """
    plan = make_plan(
        file,
        storage=storage,
        command=command,
        provenance=collect_provenance(),
        ray_address=ray_address,
        checkpoints=checkpoints,
        verbose=verbose,
    )
    return _dry_run(plan, output_format) if dry_run else _run(plan, output_format)


def _run(plan: Plan, output_format: str) -> int:
    progress = LiveProgress(plan) if error_console().is_terminal else LineProgress(plan)
    store = open_store(plan.storage)
    try:
        with stop_signals() as stop:
            try:
                outcome = run_study(plan, store, progress, stop_requested=stop)
            finally:
                progress.close()
        result = read_result(store, plan, open_study(plan, store), outcome)
        if output_format == "json":
            say_json(result_as_json(result))
        else:
            print_result(result)
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
    with ray_session(plan.ray_address, verbose=plan.verbose):
        slots = plan.slots()
    print_dry_run(plan, slots, measure(plan, slots), output_format)
    return EXIT_DONE
