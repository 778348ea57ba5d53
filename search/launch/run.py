"""A launch as it was asked for: its plan, its course, and its result."""

from __future__ import annotations

import contextlib
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path

import sqlalchemy as sa

from search.callbacks.messages import Messages, sender
from search.launch.dry_run import measure, print_dry_run
from search.launch.plan import Plan, known_study, make_plan
from search.launch.result import Result, read_result, tell_result
from search.launch.study import LaunchObserver, run_study
from search.runs.provenance import collect_provenance
from search.trials.study import open_study
from search.trials.warm_start import earlier_trials
from search.workers.workplace import Workplace
from space import SpaceFile
from space.errors import NoStudiesError
from storage import Store, open_store
from storage.commands.checkpoints import checkpoint_directory
from storage.commands.kit import default_storage, stop_signals
from storage.connect.engine import parse_url, redact

__all__ = ["dry_run", "launch", "open_existing"]


def launch(
    file: SpaceFile,
    options: Namespace,
    *,
    display: Callable[[Plan], LaunchObserver],
    up: Path | None = None,
) -> Result:
    """Run a launch.

    Args:
        file: The space file with the command line laid over it.
        options: The command line's.
        display: Shows its course.
        up: See `Workplace`.

    Returns:
        The result.

    Raises:
        UserError: What the user can mend.
    """
    send = sender()
    with _planned(file, options, up=up) as (url, plan, there), contextlib.ExitStack() as stack:
        store = there
        if store is None:
            store = open_store(url.render_as_string(hide_password=False))
            stack.callback(store.close)
        opened = open_study(store, plan.space, plan.place.data)
        messages = Messages(
            store=store,
            name=f"study '{plan.space.study}'",
            address=lambda: f"/study/{opened.id}",
            launches=lambda: store.launches(opened.id),
            send=send,
        )
        progress = display(plan)
        with stop_signals() as stop, messages.failing():
            try:
                outcome = run_study(plan, opened, progress, stop_requested=stop)
            finally:
                progress.close()
        with store.holding(outcome.launch_id, tuple):
            # Another program may have deleted the study.
            store.require_runs(outcome.launch_id, ())
            result = read_result(opened, plan, outcome)
        tell_result(result, messages)
        return result


def dry_run(file: SpaceFile, options: Namespace) -> None:
    """Print what a launch would be.

    Args:
        file: The space file with the command line laid over it.
        options: The command line's.

    Raises:
        UserError: What the user can mend.
    """
    with _planned(file, options, look=True) as (url, plan, _):
        with plan.place.open() as place:
            slots = place.slots
        print_dry_run(plan, redact(url), slots, measure(plan, slots), options.format)


@contextlib.contextmanager
def _planned(
    file: SpaceFile, options: Namespace, *, look: bool = False, up: Path | None = None
) -> Iterator[tuple[sa.URL, Plan, Store | None]]:
    """Where the store is, the plan, and the store where it is there already."""
    url = parse_url(default_storage(options.storage))
    store = open_existing(url, look=look)
    with contextlib.nullcontext() if store is None else contextlib.closing(store):
        plan = make_plan(
            file,
            known_study(store, file.forms()[0].study),
            Workplace(
                checkpoints=checkpoint_directory(url, options.checkpoints),
                ray_address=options.ray_address,
                verbose=options.verbose,
                up=up,
            ),
            command=options.typed,
            provenance=collect_provenance(),
        )
        earlier_trials(store, plan.space)  # What is refused is said before a study is made.
        yield url, plan, store


def open_existing(url: sa.URL, *, look: bool) -> Store | None:
    """The store that is there; None where there is none yet: what is refused makes none.

    Args:
        url: The store's.
        look: Only read.

    Raises:
        StorageError: If it is there, but cannot be opened or is not of this release.
    """
    text = url.render_as_string(hide_password=False)
    if look:
        try:
            return open_store(text, look=True)
        except NoStudiesError:
            return None
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        return None
    return open_store(text)
