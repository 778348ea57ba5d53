"""How the store scales: ask, report, tell, list and resume at 100, 1,000 and 10,000 trials.

    python -m tests.benchmarks.searching.store_scale [--trials 100 1000 10000]
        [--repeats 20] [--json FILE]

A store is filled in bulk with complete trials of 25 reports. Then a launch goes on with it: the
ledger of `search.trials.ledger` asks, hears reports and tells, with nothing of Ray, under a budget
of epochs and the usual pruner (halving). Each step is timed:

    ask         a trial is asked for, proposed at random, and its run begun
    ask, TPE    the same by the sampler that searches have
    report      an epoch is recorded, reported to Optuna and judged, the budget counted
    tell        the last report, with which the trial and its run end
    list        `storage list`, in a process that has just opened the store
    check       `storage check`, likewise
    resume      a process opens the store, loads the study, looks for what dead launches left and
                asks for its first trial
    copy        `storage copy` into an empty SQLite store

The first four are medians over as many trials as `--repeats` says; the others are medians of three.
PostgreSQL is a server of its own, started for the measurement, with fsync on.
"""

from __future__ import annotations

import argparse
import functools
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy as sa

from search.runs.lease import reclaim_stale
from search.runs.protocol import Report
from search.trials.ledger import Ledger
from search.trials.sampling import make_pruner, make_sampler
from search.trials.study import OpenedStudy
from space import Space
from space.epochs import Epoch
from storage import NewLaunch, Store, open_store
from storage.admin.check import check_store
from storage.admin.copying import copy_store
from storage.commands.kit import configure_logging
from storage.summaries.overview import list_studies
from tests.benchmarks.results import Cell, Table, add_json_option, publish
from tests.dashboards.made.bulk_rows import EPOCHS
from tests.dashboards.made.bulk_study import add_study, space_config
from tests.postgresql import PostgresqlServer, programs
from trainables.shipped.digit_pairs.resolve import resolve_config

STEPS = ("ask", "ask, TPE", "report", "tell", "list", "check", "resume", "copy")


class Silent:
    """An observer that shows nothing."""

    def on_trial_start(self, *args: Any) -> None:
        """Nothing."""

    on_trial_report = on_trial_end = on_trial_start


def timed(work: Callable[[], Any]) -> float:
    """How many seconds some work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def open_ledger(store: Store, sampler: str) -> tuple[Ledger, int]:
    """A launch's ledger over the study, and the launch's number."""
    space = Space.model_validate(space_config(sampler={"name": sampler, "seed": 0}))
    study = optuna.load_study(
        study_name="made",
        storage=store.optuna_storage,
        sampler=make_sampler(space, n_existing_trials=0),
        pruner=make_pruner(space),
    )
    study.get_trials(deepcopy=False)  # A launch has them in memory since it began.
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
        resolve=lambda params: resolve_config(space.resolve(params)),
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
            began = time.perf_counter()
            assignment = ledger.next_assignment()
            took[ask].append(time.perf_counter() - began)
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


def measure(url: str, repeats: int, directory: Path) -> dict[str, float]:
    """The seconds of every step over a store that is filled already."""

    def opened(work: Callable[[Store], Any]) -> float:
        def run() -> None:
            with closing(open_store(url, create=False)) as store:
                work(store)

        return statistics.median(timed(run) for _ in range(3))

    def resume(store: Store) -> None:
        ledger, launch_id = open_ledger(store, "tpe")
        ledger.next_assignment()
        ledger.interrupt("measured")
        store.end_launch(launch_id, "done")

    def copy(store: Store) -> None:
        with closing(open_store(str(directory / f"copy-{time.time_ns()}.db"))) as target:
            copy_store(store, target)

    seconds = {"list": opened(list_studies), "check": opened(check_store), "copy": opened(copy)}
    with closing(open_store(url, create=False)) as store:
        seconds |= go_on(store, repeats)
    return {**seconds, "resume": opened(resume)}


def fill(source: Store, url: str) -> None:
    """Fill a PostgreSQL database, and let it look at what it holds."""
    with closing(open_store(url)) as target:
        copy_store(source, target)
        with target.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").execute(sa.text("ANALYZE"))


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
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 1_000, 10_000])
    parser.add_argument("--repeats", type=int, default=20)
    add_json_option(parser)
    options = parser.parse_args(argv)
    configure_logging(verbose=False)
    found: dict[tuple[str, int], dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="store-scale-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        binaries = programs()
        server = None
        if binaries is not None:
            (directory / "server").mkdir()
            server = PostgresqlServer(directory / "server", binaries, fsync=True)
        try:
            for n_trials in options.trials:
                with stores(directory, server) as urls:
                    with closing(open_store(urls["sqlite"])) as made:
                        add_study(made, "made", n_trials, pruning=False)
                        if "postgresql" in urls:
                            took = timed(functools.partial(fill, made, urls["postgresql"]))
                            print(f"{n_trials} trials copied in {took:.1f} s", file=sys.stderr)
                    for kind, url in urls.items():
                        found[kind, n_trials] = measure(url, options.repeats, directory)
                        print(f"{kind}: {n_trials} trials measured", file=sys.stderr)
        finally:
            if server is not None:
                server.stop("immediate")
    rows: list[list[Cell]] = [
        [kind, n_trials, *(1000 * seconds[step] for step in STEPS)]
        for (kind, n_trials), seconds in sorted(found.items())
    ]
    least, most = min(options.trials), max(options.trials)
    growth: list[list[Cell]] = [
        [kind, *(found[kind, most][step] / found[kind, least][step] for step in STEPS)]
        for kind in sorted({kind for kind, _ in found})
    ]
    missing = [] if server is not None else ["There is no PostgreSQL on this machine."]
    publish(
        title="The store at scale",
        module="tests.benchmarks.searching.store_scale",
        argv=argv,
        tables=[
            Table(
                title=f"Milliseconds, trials of {EPOCHS} reports",
                columns=["store", "trials", *STEPS],
                rows=rows,
            ),
            Table(
                title=f"Times as long at {most:,} trials as at {least:,}",
                columns=["store", *STEPS],
                rows=growth,
            ),
        ],
        notes=[
            f"Medians over {options.repeats} trials, of list, check, resume and copy of three "
            "calls in a process that has just opened the store.",
            *missing,
        ],
        json_file=options.json,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
