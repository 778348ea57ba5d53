"""What a trial costs besides training: ours beside plain Optuna and Ray Tune + OptunaSearch.

    python -m tests.benchmarks.searching.overhead [--trials 1000] [--reports 10] [--json FILE]

All search the same closed-form objective with the same sampler, report after every epoch, prune
nothing, and persist every trial into an SQLite file of their own:

    ours                  a launch: ledger, store, Ray, workers
    Optuna                ask, report, tell in one process, over Optuna's RDBStorage as it comes
    Optuna, WAL           the same, the file in WAL mode and synchronised as ours is
    Tune + OptunaSearch   a function trainable on the same Ray, OptunaSearch over RDBStorage

What is counted is the wall time of the whole search without starting Ray, divided by its trials.
Each has a new file in every round; the rounds are taken in turn. The peers' trials cost more the
more there are, so those that run fewer of them are flattered. With ``--trials 10000`` the second
table shows what grows.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sqlite3
import statistics
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import ray
import sqlalchemy as sa
from ray import tune
from ray.tune.search import ConcurrencyLimiter
from ray.tune.search.optuna import OptunaSearch

from search.launch.plan import make_plan
from search.launch.study import search
from search.runs.provenance import collect_provenance
from search.runs.stopping import Stopping
from search.trials.open_trial import OpenTrial
from search.trials.sampling import make_sampler, propose
from search.trials.study import open_study
from search.workers.ray_session import ray_session
from search.workers.workplace import Workplace
from space import RunConfig, Space, SpaceFile
from space.words import count
from storage import open_store
from storage.commands.kit import configure_logging
from tests.benchmarks.results import Cell, Table, add_json_option, publish
from tests.harness.configs import closed_form, open_run

SPACE: dict[str, Any] = {
    "study": "overhead",
    "trainable": "closed-form",
    "parameters": {
        "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
        "weight_decay": {"type": "float", "low": 1e-6, "high": 1e-1, "log": True},
    },
    "sampler": {"name": "tpe", "seed": 0},
    "pruner": {"name": "none"},
    "objective": {"metric": "val_error", "direction": "minimize"},
    "resources": {"cpus": 1, "gpus": 0, "runs_per_trainable": 32},
}


@dataclass(frozen=True)
class Search:
    """A search to be made.

    Attributes:
        folder: An empty directory of its own.
        n_trials: Its trials.
        n_reports: Reports a trial.
    """

    folder: Path
    n_trials: int
    n_reports: int

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.folder / "trials.db"

    def space(self) -> dict[str, Any]:
        """The space file's content."""
        return {
            **SPACE,
            "training": {"epochs": self.n_reports},
            "budget": {"trials": self.n_trials},
        }

    def check(self) -> None:
        """See to it that the store holds every trial and report, by plain SQL."""
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            found = [
                connection.execute(query).fetchone()[0]
                for query in (
                    "SELECT COUNT(*) FROM trials WHERE state = 'COMPLETE'",
                    "SELECT COUNT(*) FROM trial_intermediate_values",
                )
            ]
        if found != [self.n_trials, self.n_trials * self.n_reports]:
            raise RuntimeError(f"{self.database} holds {found[0]} trials of {found[1]} reports")


class Growth:
    """An observer that notes time and memory now and then."""

    def __init__(self, every: int) -> None:
        """Note them every so many trials."""
        self._every = every
        self._n_ended = 0
        self.marks: list[tuple[int, float, float]] = []
        """Trials ended, the moment in seconds, the driver's resident memory in MiB."""

    def on_launch(self, *args: Any) -> None:
        """Begin."""
        self._mark()

    def on_trial_end(self, trial: OpenTrial) -> None:
        """Count."""
        self._n_ended += 1
        if self._n_ended % self._every == 0:
            self._mark()

    def _mark(self) -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        memory = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
        self.marks.append((self._n_ended, time.perf_counter(), memory))

    def on_trial_start(self, *args: Any) -> None:
        """Nothing."""

    def on_trial_report(self, *args: Any) -> None:
        """Nothing."""

    def on_tick(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""

    def table(self) -> Table:
        """What grew."""
        rows: list[list[Cell]] = [
            [n, 1000 * (now - before) / (n - n_before), memory]
            for (n_before, before, _), (n, now, memory) in zip(
                self.marks, self.marks[1:], strict=False
            )
        ]
        return Table(
            title="Ours, as the study grows",
            columns=["trials so far", "ms a trial since the last row", "driver's memory (MiB)"],
            rows=rows,
        )


def run_ours(work: Search, growth: Growth) -> None:
    """Our whole stack."""
    plan = make_plan(
        SpaceFile.of(work.space(), "the benchmark's space", ()),
        None,
        Workplace(checkpoints=work.folder / "checkpoints"),
        command="benchmark",
        provenance=collect_provenance(),
    )
    with contextlib.closing(open_store(str(work.database))) as store:
        opened = open_study(store, plan.space, plan.place.data)
        place = plan.place.opened(plan.place.find_slots(), work.folder)
        search(plan, opened, growth, place, Stopping())


def config_of(params: dict[str, Any], n_reports: int) -> RunConfig:
    """The run that every peer trains for a trial."""
    return closed_form(training__epochs=n_reports, **params)


def run_optuna(work: Search, *, wal: bool) -> None:
    """Optuna's own ask, report and tell, one trial after the other."""
    space = Space.recorded(work.space())
    storage = optuna.storages.RDBStorage(f"sqlite:///{work.database}")
    if wal:
        sa.event.listen(storage.engine, "connect", _as_ours)
        storage.engine.dispose()
    study = optuna.create_study(
        storage=storage,
        sampler=make_sampler(space, n_existing_trials=0),
        pruner=optuna.pruners.NopPruner(),
    )
    for _ in range(work.n_trials):
        trial = study.ask()
        run = open_run(config_of(propose(trial, space), work.n_reports), None)
        value = float("nan")
        while not run.finished:
            value = run.run_epoch()["val_error"]
            trial.report(value, run.epoch)
            if trial.should_prune():
                raise RuntimeError("the pruner that prunes nothing pruned")
        study.tell(trial, value)
    storage.engine.dispose()


def _as_ours(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def run_tune(work: Search) -> None:
    """What a user would write."""
    n_reports = work.n_reports

    def trainable(config: dict[str, float]) -> None:
        run = open_run(config_of(config, n_reports), None)
        while not run.finished:
            tune.report({"val_error": run.run_epoch()["val_error"]})

    searcher = OptunaSearch(
        metric="val_error",
        mode="min",
        sampler=make_sampler(Space.recorded(work.space()), n_existing_trials=0),
        storage=optuna.storages.RDBStorage(f"sqlite:///{work.database}"),
        study_name="overhead",
    )
    tune.run(
        trainable,
        config={
            "learning_rate": tune.loguniform(1e-4, 1e-1),
            "weight_decay": tune.loguniform(1e-6, 1e-1),
        },
        search_alg=ConcurrencyLimiter(searcher, max_concurrent=int(ray.cluster_resources()["CPU"])),
        num_samples=work.n_trials,
        resources_per_trial={"cpu": 1},
        storage_path=str(work.folder / "tune"),
        verbose=0,
    )


def main(argv: list[str]) -> int:
    """Run all in turn and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=1_000)
    parser.add_argument("--optuna-trials", type=int, help="default: as ours, at most 1,000")
    parser.add_argument("--tune-trials", type=int, default=50)
    parser.add_argument("--reports", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=2)
    add_json_option(parser)
    options = parser.parse_args(argv)
    n_optuna = options.optuna_trials or min(options.trials, 1_000)
    configure_logging(verbose=False)
    warnings.simplefilter("ignore")
    growth = Growth(1)
    ways: dict[str, tuple[int, Callable[[Search], None]]] = {
        "ours": (options.trials, lambda work: run_ours(work, growth)),
        "Optuna": (n_optuna, lambda work: run_optuna(work, wal=False)),
        "Optuna, WAL": (n_optuna, lambda work: run_optuna(work, wal=True)),
        "Tune + OptunaSearch": (options.tune_trials, run_tune),
    }
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="overhead-") as name, ray_session(None, verbose=False):
        for turn in range(options.rounds):
            growth = Growth(max(options.trials // 10, 1))
            for way, (n_trials, run) in ways.items():
                folder = Path(name) / f"{turn}-{len(seconds)}-{way.split()[0]}-{time.time_ns()}"
                folder.mkdir()
                work = Search(folder, n_trials, options.reports)
                began = time.perf_counter()
                run(work)
                seconds[way].append((time.perf_counter() - began) / n_trials)
                work.check()
                print(f"round {turn + 1}: {way} {seconds[way][-1]:.4f} s", file=sys.stderr)
    rows: list[list[Cell]] = []
    for way, (n_trials, _) in ways.items():
        ratios = [a / b for a, b in zip(seconds[way], seconds["ours"], strict=True)]
        a_trial = 1000 * statistics.median(seconds[way])
        rows.append([way, n_trials, a_trial, statistics.median(ratios)])
    publish(
        title=f"Scheduling overhead, {count(options.trials, 'trial')}",
        module="tests.benchmarks.searching.overhead",
        argv=argv,
        tables=[
            Table(
                title=f"A trial of {options.reports} reports, persisted in SQLite",
                columns=["", "trials", "ms a trial", "times ours"],
                rows=rows,
            ),
            growth.table(),
        ],
        notes=[
            f"Medians of {count(options.rounds, 'round')} taken in turn; ratios within a round. "
            "Every store was found to hold all trials as complete, with all their reports.",
            "Ours and Tune run as many trials at once as there are CPUs, Optuna one at a time.",
        ],
        json_file=options.json,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
