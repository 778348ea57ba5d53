"""Each guard of a search with the case that needs it, without the guard and with it.

    python -m tests.benchmarks.searching.guards [--json FILE]

What hangs and what grows is trained by Ray's workers, one at a time; the rest in this process.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest

import search
from space.errors import UserError
from space.terminal.command import EXIT_DONE, Parser, run_command
from storage import Store, open_store
from storage.commands.kit import configure_logging
from tests.benchmarks.results import Cell, Table, add_json_option, publish
from tests.harness.launches import WORKERS
from tests.search.here import train_here

MODULE = "tests.benchmarks.searching.guards"
COLUMNS = ["guard", "case", "without", "with"]
CODE = """
import time

from trainables import Options

MIB = 2**20


class Own(Options):
    eta: float = 0.5


def hangs(options: Own, run):
    for epoch in range(run.epochs):
        while options.eta == 0.25 and epoch == 1:
            time.sleep(3600)
        yield {"val_error": options.eta}


def grows(options: Own, run):
    kept = []
    for epoch in range(run.epochs):
        for _ in range(24 if options.eta == 0.25 else 0):
            kept.append(bytearray(b"x" * (32 * MIB)))
            time.sleep(0.1)
        yield {"val_error": options.eta}


def fails(options: Own, run):
    raise ValueError("nothing of this works")
    yield
"""
ETA = {"eta": {"type": "float", "low": 0.0, "high": 1.0}}
RATE = {"learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True}}
CLOSED = {"trainable": "closed-form", "training": {"epochs": 3}, "parameters": RATE}
SMALL = {
    "model": {"name": "mlp"},
    "data": {"source": "digits", "n_train_pairs": 100, "n_test_pairs": 100},
    "training": {"epochs": 1},
    "parameters": {"width": {"type": "int", "low": 4, "high": 1024, "log": True}},
    "budget": {"trials": 20},
}
N_BUDGET = 100
"""Trials of a search that could end earlier."""


def own(function: str, **changes: Any) -> dict[str, Any]:
    """A space of one of the functions of `CODE`."""
    return {
        "trainable": f"mine.py:{function}",
        "training": {"epochs": 2},
        "parameters": ETA,
        "resources": {"gpus": 0},
        **changes,
    }


def by_ray(space: dict[str, Any]) -> tuple[Counter[str], float, float]:
    """Launch a search by its command.

    Args:
        space: What it searches.

    Returns:
        Trials by state, seconds of the command, and the most resident memory in MiB of a worker.
    """
    Path("space.json").write_text(json.dumps(space))
    command = [sys.executable, "-m", "search.launch", "--space", "space.json", "--storage", "s.db"]
    started = time.monotonic()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    nowhere = subprocess.DEVNULL
    with subprocess.Popen(command, env=environment, stdout=nowhere, stderr=nowhere) as process:
        stop, most = threading.Event(), [0.0]
        thread = threading.Thread(target=_watch, args=(process.pid, stop, most))
        thread.start()
        process.wait()
        stop.set()
        thread.join()
    store = open_store("s.db", look=True)
    trials = store.optuna_storage.get_all_trials(store.study_id(space["study"]))
    store.close()
    return Counter(trial.state.name for trial in trials), time.monotonic() - started, most[0]


def _watch(pid: int, stop: threading.Event, most: list[float]) -> None:
    """Remember the most memory that one of a driver's workers has had."""
    workers: list[psutil.Process] = []
    next_search = 0.0
    while not stop.wait(0.02):
        if time.monotonic() >= next_search:
            workers = _workers(pid)
            next_search = time.monotonic() + 1
        for each in workers:
            with contextlib.suppress(psutil.Error):
                most[0] = max(most[0], each.memory_info().rss / 2**20)


def _workers(pid: int) -> list[psutil.Process]:
    """Those of a driver's descendants that train."""
    found = []
    with contextlib.suppress(psutil.Error):
        for each in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if each.cmdline()[:1] and each.cmdline()[0].startswith(WORKERS):
                    found.append(each)
    return found


def in_process(space: dict[str, Any]) -> Store:
    """Launch a search whose trials are trained in this process; its store."""
    with contextlib.suppress(UserError):  # One that ends since nothing of it works says so.
        search.launch(space, storage="s.db", progress=False)
    return open_store("s.db", look=True)


def states(store: Store, study: str) -> Counter[str]:
    """Its trials by state."""
    trials = store.optuna_storage.get_all_trials(store.study_id(study))
    return Counter(trial.state.name for trial in trials)


def hanging() -> list[Cell]:
    """A trial of six that hangs."""
    case = own(
        "hangs", baselines=[{"eta": 0.25}], budget={"trials": 6, "time_limit": "4m"}, concurrency=1
    )
    found = []
    for name, limits in (("hang-without", {}), ("hang-with", {"trial_time": "20s"})):
        counts, seconds, _ = by_ray({**case, "study": name, "limits": limits})
        found.append(
            f"{counts['COMPLETE']} complete, {counts['FAIL']} failed, ended after {seconds:.0f} s"
        )
    return ["limits.trial_time: 20s", "one of 6 trials hangs; budget.time_limit 4m", *found]


def growing() -> list[Cell]:
    """A trial of three whose memory grows by 768 MiB an epoch."""
    case = own("grows", baselines=[{"eta": 0.25}], budget={"trials": 3}, concurrency=1)
    found = []
    for name, limits in (("grow-without", {}), ("grow-with", {"trial_memory": "512MiB"})):
        counts, _, most = by_ray({**case, "study": name, "limits": limits})
        found.append(
            f"{counts['COMPLETE']} complete, {counts['FAIL']} failed, "
            f"a worker was seen with {most:,.0f} MiB at most"
        )
    return ["limits.trial_memory: 512MiB", "one of 3 trials takes 768 MiB more an epoch", *found]


def too_large() -> list[Cell]:
    """Networks that are larger than wanted."""
    found = []
    for name, constraints in (("large-without", []), ("large-with", ["n_parameters <= 1e5"])):
        store = in_process({**SMALL, "study": name, "constraints": constraints})
        runs = store.runs(store.study_id(name))
        large = sum((run.n_parameters or 0) > 1e5 for run in runs)
        found.append(f"{large} of {len(runs)} trained networks are larger")
        store.close()
    return [
        'constraints: ["n_parameters <= 1e5"]',
        "20 trials of an MLP of width 4 to 1,024",
        *found,
    ]


def levelled() -> list[Cell]:
    """A search that finds nothing better any more."""
    found = []
    for name, limits in (("level-without", {}), ("level-with", {"plateau": 20})):
        budget = {"trials": N_BUDGET}
        store = in_process({**CLOSED, "study": name, "budget": budget, "limits": limits})
        trials = store.optuna_storage.get_all_trials(store.study_id(name))
        values = [trial.value for trial in trials if trial.state.name == "COMPLETE"]
        best = min(value for value in values if value is not None)
        found.append(f"{len(trials)} trials, best val_error {best:.4f}")
        store.close()
    return ["limits.plateau: 20", f"a budget of {N_BUDGET} trials of one parameter", *found]


def failing() -> list[Cell]:
    """A trainable of which nothing works."""
    found = []
    for name, most in (("fail-without", 10 * N_BUDGET), ("fail-with", 5)):
        limits = {"failures_in_a_row": most}
        budget = {"trials": N_BUDGET}
        store = in_process({**own("fails", budget=budget), "study": name, "limits": limits})
        found.append(f"{states(store, name)['FAIL']} trials failed before it ended")
        store.close()
    return [
        "limits.failures_in_a_row: 5 (30 by default)",
        f"every trial fails; a budget of {N_BUDGET}",
        *found,
    ]


def repeating() -> list[Cell]:
    """A space of eight points, and a sampler that does not look at what was tried."""
    rates, decays = [1e-3, 1e-2, 3e-2, 1e-1], [0.0, 1e-3]
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    asked = Counter[tuple[float, ...]]()
    for _ in range(24):
        trial = study.ask()
        asked[
            trial.suggest_categorical("learning_rate", rates),
            trial.suggest_categorical("weight_decay", decays),
        ] += 1
    parameters = {
        "learning_rate": {"type": "categorical", "choices": rates},
        "weight_decay": {"type": "categorical", "choices": decays},
    }
    space = {**CLOSED, "study": "repeats", "parameters": parameters, "budget": {"trials": 24}}
    store = in_process({**space, "sampler": {"name": "random", "seed": 0}})
    tried = [
        tuple(sorted(trial.params.items()))
        for trial in store.optuna_storage.get_all_trials(store.study_id("repeats"))
    ]
    store.close()
    return [
        "no point twice (always)",
        "8 points, a budget of 24 trials, a random sampler",
        f"{sum(asked.values())} trials, {sum(asked.values()) - len(asked)} of them repeats "
        "(Optuna's sampler by itself)",
        f"{len(tried)} trials, {len(tried) - len(set(tried))} of them repeats",
    ]


@contextlib.contextmanager
def folder() -> Iterator[None]:
    """A working directory of its own, with the trainables in it."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as made:
        os.chdir(made)
        Path("mine.py").write_text(CODE)
        try:
            yield
        finally:
            os.chdir(before)


def main(argv: list[str]) -> int:
    """Measure, print and, if asked to, keep the result."""
    parser = Parser(prog=f"python -m {MODULE}", description=__doc__)
    add_json_option(parser)
    options = parser.parse_args(argv)
    if options.json is not None:
        options.json = options.json.resolve()
    configure_logging(verbose=False)
    with folder():
        rows = [hanging(), growing()]
        with pytest.MonkeyPatch.context() as patched:
            train_here(patched, Path.cwd())
            rows += [too_large(), levelled(), failing(), repeating()]
    publish(
        title="Guards on searches and trials",
        module=MODULE,
        argv=argv,
        tables=[Table(title="The case that needs each guard", columns=COLUMNS, rows=rows)],
        notes=[
            "The guards are keys of the space file; everything else of a row is the same in both "
            "of its searches.",
            "The search looks at a worker's memory four times a second, so that one that takes 320 "
            "MiB a second, as here, may go over its limit by what it takes meanwhile. What a "
            "worker was seen with is what the benchmark's own looks found: on a busy machine they "
            "are rare, and may miss the most.",
        ],
        json_file=options.json,
    )
    return EXIT_DONE


if __name__ == "__main__":
    run_command(main)
