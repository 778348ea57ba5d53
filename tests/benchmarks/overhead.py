"""What a trial costs besides training: ours beside Ray Tune + OptunaSearch + RDBStorage.

    python -m tests.benchmarks.overhead [--trials 100] [--reports 10] [--json]

Both run the same closed-form trials through the same Ray, one after the other, and persist every
trial into an SQLite file of their own. What is counted is the wall time of the whole search without
starting Ray, divided by its trials; and the reports found in the file afterwards, by SQL.
"""

from __future__ import annotations

import argparse
import json
import platform
import sqlite3
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import optuna

from search.cluster import ray_session
from search.plan import make_plan
from search.provenance import collect_provenance
from search.study import search
from storage import open_store
from storage.cli import configure_logging

SPACE = """
study: overhead
model: {{name: closed-form}}
training: {{epochs: {reports}}}
parameters:
  learning_rate: {{type: float, low: 1.0e-4, high: 1.0e-1, log: true}}
  weight_decay: {{type: float, low: 1.0e-6, high: 1.0e-1, log: true}}
sampler: {{name: tpe, seed: 0}}
pruner: {{name: none}}
objective: {{metric: val_error, direction: minimize}}
budget: {{trials: {trials}}}
resources: {{cpus: 1, gpus: 0}}
"""


class Silent:
    """An observer that shows nothing."""

    def on_launch(self, *args: Any) -> None:
        """Nothing."""

    on_trial_start = on_trial_report = on_trial_end = on_launch
    on_tick = close = on_launch


def count_rows(path: Path) -> tuple[int, int]:
    """Complete trials and reports in a store, by plain SQL over Optuna's tables."""
    with sqlite3.connect(path) as connection:
        trials = connection.execute("SELECT COUNT(*) FROM trials WHERE state = 'COMPLETE'")
        reports = connection.execute("SELECT COUNT(*) FROM trial_intermediate_values")
        return trials.fetchone()[0], reports.fetchone()[0]


def run_ours(folder: Path, n_trials: int, n_reports: int) -> tuple[float, int, int]:
    """Our whole stack over one SQLite file."""
    space = folder / "space.yaml"
    space.write_text(SPACE.format(trials=n_trials, reports=n_reports))
    database = folder / "ours.db"
    plan = make_plan(
        space, storage=str(database), command="benchmark", provenance=collect_provenance()
    )
    store = open_store(plan.storage)
    started = time.perf_counter()
    search(plan, store, Silent(), slots=plan.slots(), scratch=folder)
    seconds = time.perf_counter() - started
    store.close()
    return seconds, *count_rows(database)


def run_plain(folder: Path, n_trials: int, n_reports: int) -> tuple[float, int, int]:
    """What a user would write: a function trainable, OptunaSearch, RDBStorage."""
    from ray import tune
    from ray.tune.search import ConcurrencyLimiter
    from ray.tune.search.optuna import OptunaSearch

    def trainable(config: dict[str, float]) -> None:
        from space.config import ModelConfig, RunConfig, TrainingConfig
        from trainables.runs import open_run

        training = TrainingConfig(epochs=n_reports, aux_weight=0.0, **config)
        run = open_run(RunConfig(model=ModelConfig(name="closed-form"), training=training), None)
        while not run.finished:
            tune.report({"val_error": run.run_epoch().val_error})

    database = folder / "plain.db"
    searcher = OptunaSearch(
        metric="val_error",
        mode="min",
        sampler=optuna.samplers.TPESampler(seed=0, multivariate=True, constant_liar=True),
        storage=optuna.storages.RDBStorage(f"sqlite:///{database}"),
        study_name="overhead",
    )
    cpus = slots_for_cpus()
    started = time.perf_counter()
    tune.run(
        trainable,
        config={
            "learning_rate": tune.loguniform(1e-4, 1e-1),
            "weight_decay": tune.loguniform(1e-6, 1e-1),
        },
        search_alg=ConcurrencyLimiter(searcher, max_concurrent=cpus),
        num_samples=n_trials,
        resources_per_trial={"cpu": 1},
        storage_path=str(folder / "tune"),
        verbose=0,
    )
    seconds = time.perf_counter() - started
    return seconds, *count_rows(database)


def slots_for_cpus() -> int:
    """CPUs of the running Ray."""
    import ray

    return int(ray.cluster_resources()["CPU"])


def main(argv: list[str]) -> int:
    """Run both and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--reports", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    configure_logging(verbose=False)
    warnings.simplefilter("ignore")
    rows = {}
    with tempfile.TemporaryDirectory() as name, ray_session(None, verbose=False):
        for label, run in (("ours", run_ours), ("Tune + OptunaSearch", run_plain)):
            seconds, n_complete, n_reports = run(Path(name), options.trials, options.reports)
            rows[label] = {
                "seconds": seconds,
                "seconds_a_trial": seconds / options.trials,
                "complete": n_complete,
                "reports": n_reports,
            }
    ratio = rows["Tune + OptunaSearch"]["seconds"] / rows["ours"]["seconds"]
    if options.json:
        print(json.dumps({"rows": rows, "ratio": ratio}, indent=2))
        return 0
    print(
        f"{platform.node()}, {platform.processor() or platform.machine()}, SQLite, "
        f"{options.trials} trials of {options.reports} reports"
    )
    for label, row in rows.items():
        print(
            f"{label:20} {row['seconds']:8.2f} s  {row['seconds_a_trial']:7.4f} s a trial  "
            f"{row['complete']} complete  {row['reports']} reports in the store"
        )
    print(f"ratio {ratio:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
