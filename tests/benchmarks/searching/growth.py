"""What a trial costs the ledger of a launch as a study grows: at 1,000, 10,000 and 100,000 trials.

    python -m tests.benchmarks.searching.growth [--trials 1000 10000 100000] [--repeats 20]
        [--json FILE]

An SQLite store is given a study of the closed form, its complete trials written in bulk: Optuna's
rows alone, a report each. Then a launch goes on with it, with TPE and ASHA as they come and with
TPE and ASHA that see all trials: it asks, hears three reports and tells. What counts is the time
that the process has the processor, whatever else the machine does; medians over the repeats.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from optuna.distributions import FloatDistribution, distribution_to_json
from optuna.storages._rdb import models

from search.runs.protocol import Report
from search.runs.provenance import collect_provenance
from search.trials.ledger import Ledger
from search.trials.study import OpenedStudy, open_study
from space import Space
from space.epochs import Epoch
from storage import Store, open_store
from storage.commands.kit import configure_logging
from tests.benchmarks.results import Cell, Growing, add_json_option, draw_result, make_result
from trainables.contract.run_data import RunData

N_REPORTS = 3
WHOLE = 10**9
DISTRIBUTIONS = {
    "learning_rate": FloatDistribution(1e-4, 1e-1, log=True),
    "weight_decay": FloatDistribution(1e-6, 1e-1, log=True),
}


class Silent:
    """An observer that shows nothing."""

    def on_trial_start(self, *args: Any) -> None:
        """Nothing."""

    on_trial_report = on_trial_end = on_trial_start


def space_of(history: int | None) -> Space:
    """The study's space; a history of None is that which goes without saying."""
    seen = {} if history is None else {"history": history}
    tree: dict[str, Any] = {
        "study": "growth",
        "trainable": "closed-form",
        "training": {"epochs": N_REPORTS},
        "parameters": {
            name: {"type": "float", "low": each.low, "high": each.high, "log": True}
            for name, each in DISTRIBUTIONS.items()
        },
        "sampler": {"name": "tpe", "seed": 0, **seen},
        "pruner": {"name": "asha", **seen},
        "budget": {"epochs": 10**9},
    }
    return Space.recorded(tree)


def fill(store: Store, study_id: int, n_trials: int) -> None:
    """Write so many complete trials after those that there are."""
    rng = np.random.default_rng(0)
    rows: dict[Any, list[dict[str, Any]]] = {}

    def add(model: Any, **values: Any) -> None:
        rows.setdefault(model.__table__, []).append(values)

    for number in range(n_trials):
        trial_id = number + 1
        add(
            models.TrialModel, trial_id=trial_id, number=number, study_id=study_id, state="COMPLETE"
        )
        for name, each in DISTRIBUTIONS.items():
            value = float(np.exp(rng.uniform(np.log(each.low), np.log(each.high))))
            add(
                models.TrialParamModel, trial_id=trial_id, param_name=name, param_value=value,
                distribution_json=distribution_to_json(each),
            )  # fmt: skip
        value = float(rng.uniform())
        add(
            models.TrialValueModel, trial_id=trial_id, objective=0, value=value,
            value_type="FINITE",
        )  # fmt: skip
        add(
            models.TrialSystemAttributeModel, trial_id=trial_id, key="completed_rung_0",
            value_json=str(value),
        )  # fmt: skip
    with store.engine.begin() as connection:
        for table, values in rows.items():
            connection.execute(table.insert(), values)


def go_on(store: Store, opened: OpenedStudy, repeats: int) -> list[float]:
    """Train some more trials; the median milliseconds of asking, of a report and of the last."""
    launch = collect_provenance().new_launch(
        opened.id, command="growth", config={}, changes=[], data=RunData()
    )
    launch_id = store.begin_launch(launch)
    ledger = Ledger(opened, launch_id, Silent())
    took: list[list[float]] = [[], [], []]
    for _ in range(repeats):
        began = time.process_time()
        assignment = ledger.next_assignment()
        took[0].append(time.process_time() - began)
        assert assignment is not None
        ((run, _config),) = assignment.runs
        for number in range(1, N_REPORTS + 1):
            metrics = {"train_loss": 1.0, "val_loss": 1.0, "train_error": 0.0, "val_error": 1e-9}
            epoch = Epoch(epoch=number, metrics=metrics, seconds=1.0)
            report = Report(
                run_id=run.run_id, epoch=epoch, evaluation=None, failure=None, warning=None,
                worker="w",
            )  # fmt: skip
            began = time.process_time()
            ledger.report([report])
            took[2 if number == N_REPORTS else 1].append(time.process_time() - began)
    store.end_launch(launch_id, "done")
    return [1000 * statistics.median(each) for each in took]


def main(argv: list[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--repeats", type=int, default=20)
    add_json_option(parser)
    options = parser.parse_args(argv)
    configure_logging(verbose=False)
    result = make_result(
        title="What a trial costs as a study grows",
        module="tests.benchmarks.searching.growth",
        argv=argv,
        notes=[
            f"Processor's time, medians over {options.repeats} trials. Memory is that of the "
            "process, libraries and the sampler's tables included, after the trials of its row."
        ],
    )
    columns = ["trials", "seen", "ask, TPE", "report, ASHA", "tell", "memory (MiB)"]
    table = Growing(result, "Milliseconds", columns, options.json)
    for n_trials in options.trials:
        for history in (None, WHOLE):
            with (
                tempfile.TemporaryDirectory(prefix="growth-") as name,
                closing(open_store(str(Path(name) / "s.db"))) as store,
            ):
                space = space_of(history)
                fill(store, open_study(store, space, RunData()).id, n_trials)
                found = go_on(store, open_study(store, space, RunData()), options.repeats)
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            memory = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
            row: list[Cell] = [n_trials, "all" if history else space.sampler.history]  # type: ignore[union-attr]
            table.add([*row, *found, memory])
            print(*table.rows[-1], file=sys.stderr, flush=True)
    draw_result(table.result)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
