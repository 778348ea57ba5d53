"""What grows with a study: asking, reporting, telling, and commands, at 1,000 and 50,000 trials.

    python -m tests.benchmarks.searching.store_scale [--trials 1000 50000] [--repeats 20]
        [--stores sqlite postgresql] [--json FILE]

A store is filled in bulk with a study of trials of up to 25 reports, two thirds of which were
stopped at each rung. Then a launch goes on with it: the ledger of `search.trials.ledger` asks,
hears reports and tells, with nothing of Ray, under a budget of epochs, TPE and halving:

    ask         a trial is asked for, proposed at random, and its run begun
    ask, TPE    the same by the sampler that searches have
    report      an epoch is recorded, reported to Optuna and judged, the budget counted
    tell        the last report, with which the trial and its run end

These are medians over as many trials as `--repeats` says. A whole task is done once, in a process
that has its libraries and has just opened the store:

    list        `storage list`
    answer      the page of the study as a browser first gets it, which says what to ask for next
    page        the document of the study, with all its figures: what its page shows
    rows        the first page of the table of all trials
    check       `storage check`
    resume      the store is opened, the study loaded, what dead launches left looked for, and the
                first trial asked for
    copy        `storage copy` into an empty SQLite store
    export      `search.export` of the best config and the baseline

What counts is the time that the process has the processor, whatever else the machine does; of
PostgreSQL, a server of its own with fsync on, the server's is not in it.
"""

from __future__ import annotations

import argparse
import functools
import os
import resource
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy as sa

from dashboards.pages.site import Site
from dashboards.report import report
from search.export.write import export_study
from search.runs.lease import reclaim_stale
from search.runs.protocol import Report
from search.trials.feasible import resolved
from search.trials.history import for_sampler
from search.trials.ledger import Ledger
from search.trials.sampling import history_of, make_pruner, make_sampler
from search.trials.study import OpenedStudy
from space import Space
from space.epochs import Epoch
from storage import NewLaunch, Store, open_store
from storage.admin.check import check_store
from storage.admin.copying import copy_store
from storage.commands.kit import configure_logging
from storage.summaries.overview import list_studies
from tests.benchmarks.results import Cell, Growing, add_json_option, draw_result, make_result
from tests.dashboards.made.bulk_rows import EPOCHS
from tests.dashboards.made.bulk_study import add_study, space_config
from tests.dashboards.pages.web import request
from tests.postgresql import PostgresqlServer, programs
from trainables.shipped.digit_pairs.config import DIGIT_PAIRS

STEPS = ("ask", "ask, TPE", "report", "tell")
TASKS = ("list", "answer", "page", "rows", "check", "resume", "copy", "export")


class Silent:
    """An observer that shows nothing."""

    def on_trial_start(self, *args: Any) -> None:
        """Nothing."""

    on_trial_report = on_trial_end = on_trial_start


def timed(work: Callable[[], Any]) -> float:
    """The processor's seconds of some work."""
    began = time.process_time()
    work()
    return time.process_time() - began


def alone(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """Does some work in a process of its own.

    Returns:
        What it returns, the processor's seconds, and the process's memory at the most in MiB.
    """
    context = get_context("fork")
    receive, send = context.Pipe(duplex=False)

    def do() -> None:
        began = time.process_time()
        result = work()
        took = time.process_time() - began
        send.send((result, took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))

    process = context.Process(target=do)
    process.start()
    send.close()
    try:
        found: tuple[Any, float, float] = receive.recv()
    except EOFError:
        raise RuntimeError("the process that measures died; see above") from None
    process.join()
    return found


def open_ledger(store: Store, sampler: str) -> tuple[Ledger, int]:
    """A launch's ledger over the study, and the launch's number."""
    budget = {"epochs": 10**9}
    space = Space.recorded(space_config(sampler={"name": sampler, "seed": 0}, budget=budget))
    study = optuna.load_study(
        study_name="made",
        storage=for_sampler(store.optuna_storage, history_of(space.sampler), [False]),
        sampler=make_sampler(space, n_existing_trials=0),
        pruner=make_pruner(space),
    )
    store.optuna_storage.get_all_trials(
        study._study_id, deepcopy=False
    )  # A launch has them in memory since it began.
    launch_id = store.begin_launch(
        NewLaunch(
            study_id=study._study_id,
            command="store_scale",
            config={},
            changes=[],
            git_commit=None,
            git_dirty=None,
            versions={},
            hardware={},
            data_source="digits",
            data_fingerprint="f",
            host="here",
            pid=os.getpid(),
        )
    )
    opened = OpenedStudy(
        study=study,
        store=store,
        space=space,
        measured=DIGIT_PAIRS,
        resolve=functools.partial(resolved, space),
    )
    ledger = Ledger(opened, launch_id, Silent())
    reclaim_stale(study, store, launch_id=launch_id)
    return ledger, launch_id


def go_on(store: Store, repeats: int) -> dict[str, float]:
    """Train some more trials; the median seconds of each step."""
    took: defaultdict[str, list[float]] = defaultdict(list)
    for sampler, ask in (("random", "ask"), ("tpe", "ask, TPE")):
        ledger, launch_id = open_ledger(store, sampler)
        for _ in range(repeats):
            began = time.process_time()
            assignment = ledger.next_assignment()
            took[ask].append(time.process_time() - began)
            if assignment is None:
                raise RuntimeError("the budget of the benchmark is spent")
            ((run, _config),) = assignment.runs
            for epoch in range(1, EPOCHS + 1):
                report = functools.partial(ledger.report, [good_report(run.run_id, epoch)])
                took["report" if epoch < EPOCHS else "tell"].append(timed(report))
        store.end_launch(launch_id, "done")
    return {step: statistics.median(seconds) for step, seconds in took.items()}


def good_report(run_id: int, epoch: int) -> Report:
    """A report so good that the trial is never pruned."""
    record = Epoch(
        epoch=epoch,
        metrics={"train_loss": 1.0, "val_loss": 1.0, "train_error": 0.0, "val_error": 0.001},
        seconds=1.0,
    )
    return Report(
        run_id=run_id, epoch=record, evaluation=None, failure=None, warning=None, worker="w"
    )


def steps(url: str, repeats: int) -> dict[str, float]:
    """The seconds of every step of a launch that goes on."""
    with closing(open_store(url, create=False)) as store:
        return go_on(store, repeats)


def task(name: str, url: str, directory: Path) -> None:
    """Does a whole task."""

    def resume(store: Store) -> None:
        ledger, launch_id = open_ledger(store, "tpe")
        ledger.next_assignment()
        ledger.interrupt("measured")
        store.end_launch(launch_id, "done")

    def copy(store: Store) -> None:
        with closing(open_store(str(directory / f"copy-{time.time_ns()}.db"))) as target:
            copy_store(store, target)

    def get(store: Store, address: str) -> None:
        if (status := request(Site(store), address).status) != 200:
            raise RuntimeError(f"{address}: {status}")

    do: dict[str, Callable[[Store], Any]] = {
        "list": list_studies,
        "answer": lambda store: get(store, "/study/1"),
        "page": lambda store: report(store, ["made"], []),
        "rows": lambda store: get(store, "/study/1/trials"),
        "check": check_store,
        "resume": resume,
        "copy": copy,
        "export": lambda store: export_study(store, "made", baseline=True, rerun=""),
    }
    with closing(open_store(url, create=False)) as store:
        do[name](store)


def fill(n_trials: int, urls: dict[str, str]) -> None:
    """Fill a store of each kind, and let PostgreSQL look at what it holds."""
    with closing(open_store(urls["sqlite"])) as made:
        add_study(made, "made", n_trials)
        if "postgresql" not in urls:
            return
        with closing(open_store(urls["postgresql"])) as target:
            copy_store(made, target)
            with target.engine.connect() as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT").execute(
                    sa.text("ANALYZE")
                )


@contextmanager
def stores(directory: Path, server: PostgresqlServer | None) -> Iterator[dict[str, str]]:
    """A new SQLite store and, with a server, a new database; by kind."""
    sqlite = {"sqlite": f"sqlite:///{directory / f'{time.time_ns()}.db'}"}
    if server is None:
        yield sqlite
        return
    with server.database() as url:
        yield {**sqlite, "postgresql": url}


def main(argv: list[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, nargs="+", default=[1_000, 50_000])
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument(
        "--stores", nargs="+", choices=("sqlite", "postgresql"), default=["sqlite", "postgresql"]
    )
    add_json_option(parser)
    options = parser.parse_args(argv)
    configure_logging(verbose=False)
    result = make_result(
        title="What grows with a study",
        module="tests.benchmarks.searching.store_scale",
        argv=argv,
        notes=[
            f"Processor's time. Steps are medians over {options.repeats} trials; tasks are done "
            "once, each in a process that has its libraries and has just opened the store; in "
            "brackets that process's memory at the most, libraries included, in MiB."
        ],
    )
    title = f"Milliseconds of a step, seconds of a task, trials of up to {EPOCHS} reports"
    table = Growing(result, title, ["store", "trials", *STEPS, *TASKS], options.json)
    with tempfile.TemporaryDirectory(prefix="store-scale-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        server = None
        binaries = programs() if "postgresql" in options.stores else None
        if binaries is not None:
            (directory / "server").mkdir()
            server = PostgresqlServer(directory / "server", binaries, fsync=True)
        try:
            for n_trials in options.trials:
                with stores(directory, server) as urls:
                    alone(functools.partial(fill, n_trials, urls))
                    for kind, url in urls.items():
                        table.add(row_of(kind, n_trials, url, options.repeats, directory))
                        print(*table.rows[-1], file=sys.stderr, flush=True)
        finally:
            if server is not None:
                server.stop("immediate")
    draw_result(table.result)
    return 0


def row_of(kind: str, n_trials: int, url: str, repeats: int, directory: Path) -> list[Cell]:
    """What is found of a store."""
    row: list[Cell] = [kind, n_trials]
    tasks = [alone(functools.partial(task, name, url, directory)) for name in TASKS]
    found, _, _ = alone(functools.partial(steps, url, repeats))
    row += [1000 * found[step] for step in STEPS]
    return [*row, *[f"{took:.2f} ({peak:.0f})" for _, took, peak in tasks]]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
