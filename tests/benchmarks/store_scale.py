"""How the store scales: ask, report, tell, list and resume at 100, 1,000 and 10,000 trials.

    python -m tests.benchmarks.store_scale [--trials 100 1000 10000] [--reports 25] [--json]

A store is filled in bulk with complete trials of so many reports; then a launch goes on with it, as
`search.ledger` does, with random proposals, and each step is timed (the median of `--repeats`):

    ask     a trial is asked for, its parameters proposed, its run begun
    report  an epoch is recorded, reported to Optuna and judged by a pruner (halving)
    spent   the study's epochs are counted, for a budget of epochs
    tell    a trial is told and its run ended
    list    `storage list`, in a process that has just opened the store
    check   `storage check`, likewise
    resume  a new process opens the store, loads the study and asks for its first trial
    copy    `storage copy` into an empty SQLite store

PostgreSQL is a server of its own, started for the measurement, with fsync on.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy as sa

from search.sampling import make_pruner
from space import Space
from storage import EpochRecord, NewLaunch, Store, open_store
from storage.check import check_store
from storage.cli import configure_logging
from storage.copying import copy_store
from storage.overview import list_studies
from tests.dashboards.made_store import add_study, space_config
from tests.postgresql import PostgresqlServer, programs

STEPS = ("ask", "report", "spent", "tell", "list", "check", "resume", "copy")


def timed(work: Callable[[], Any]) -> float:
    """How many seconds some work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def load(store: Store) -> optuna.Study:
    """The study, its sampler cheap and its pruner the searches' usual one."""
    study = optuna.load_study(
        study_name="made",
        storage=store.optuna_storage,
        sampler=optuna.samplers.RandomSampler(seed=0),
    )
    study.pruner = make_pruner(Space.model_validate(space_config()))
    return study


def go_on(store: Store, study: optuna.Study, reports: int, repeats: int) -> dict[str, float]:
    """Train some more trials; the median seconds of each step."""
    launch = NewLaunch(
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
    launch_id = store.begin_launch(launch)
    took: dict[str, list[float]] = {"ask": [], "report": [], "spent": [], "tell": []}

    def ask() -> None:
        nonlocal trial, run
        trial = study.ask()
        trial.suggest_float("learning_rate", 3e-4, 1e-2, log=True)
        trial.suggest_float("weight_decay", 1e-6, 1e-2, log=True)
        run = store.begin_run(
            launch_id=launch_id,
            study_id=study._study_id,
            trial_id=trial._trial_id,
            purpose="search",
            replicate=0,
            config_hash="h",
            config={},
        )

    def report(step: int) -> None:
        epoch = EpochRecord(
            epoch=step, train_loss=1, val_loss=1, train_error=0.5, val_error=0.25, seconds=1.0
        )
        store.record_epoch(run.run_id, launch_id, epoch, best_epoch=1, worker="w")
        store.optuna_storage.set_trial_intermediate_value(trial._trial_id, step, 0.25)
        study.pruner.prune(study, store.optuna_storage.get_trial(trial._trial_id))

    def tell() -> None:
        study.tell(trial, 0.25)
        store.end_run(run.run_id, "complete")

    trial: Any = None
    run: Any = None
    for _ in range(repeats):
        took["ask"].append(timed(ask))
        for step in range(1, reports + 1):
            took["report"].append(timed(functools.partial(report, step)))
        took["spent"].append(timed(functools.partial(store.n_epochs, study._study_id)))
        took["tell"].append(timed(tell))
    store.end_launch(launch_id, "done")
    return {step: statistics.median(seconds) for step, seconds in took.items()}


def measure(url: str, reports: int, repeats: int, directory: Path) -> dict[str, float]:
    """The seconds of every step over a store that is filled already."""

    def opened(work: Callable[[Store], Any]) -> Callable[[], None]:
        def run() -> None:
            with closing(open_store(url, create=False)) as store:
                work(store)

        return run

    def copy(store: Store) -> None:
        with closing(open_store(str(directory / f"copy-{time.time_ns()}.db"))) as target:
            copy_store(store, target)

    seconds = {
        "list": timed(opened(list_studies)),
        "check": timed(opened(check_store)),
        "resume": timed(opened(lambda store: load(store).ask())),
    }
    with closing(open_store(url, create=False)) as store:
        study = load(store)
        study.get_trials(deepcopy=False)  # A launch has them in memory since it began.
        seconds.update(go_on(store, study, reports, repeats))
    seconds["copy"] = timed(opened(copy))
    return seconds


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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 1_000, 10_000])
    parser.add_argument("--reports", type=int, default=25)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    configure_logging(verbose=False)
    found: list[dict[str, Any]] = []
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
                        seconds = measure(url, options.reports, options.repeats, directory)
                        found.append({"store": kind, "trials": n_trials, **seconds})
        finally:
            if server is not None:
                server.stop("immediate")
    if options.json:
        print(json.dumps(found, indent=2))
        return
    print(f"{'store':12}{'trials':>8}" + "".join(f"{step:>12}" for step in STEPS) + "   ms")
    for row in found:
        numbers = "".join(f"{1000 * row[step]:12,.1f}" for step in STEPS)
        print(f"{row['store']:12}{row['trials']:8,}{numbers}")


if __name__ == "__main__":
    main()
