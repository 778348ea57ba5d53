"""What a search takes before it trains and after it has: from a command to its answer.

    python -m tests.benchmarks.searching.launch_start [--rounds 5] [--json FILE]

Every command is a process of its own, on whose clock all is that a person waits for: Python, its
libraries, Ray, the workers and their libraries. The search has as many trials as there are CPUs, of
a single epoch of the MLP on scikit-learn's digits, so that next to nothing is trained.

    ours                  python -m search.launch
    Tune + OptunaSearch   a script that does the same: a function trainable, OptunaSearch over
                          RDBStorage, as many trials at once as there are CPUs

    plain Optuna          a script of one process whose objective trains in as many threads

They are taken in turn. A trial has ended when its process says so. Beside them stand commands that
search nothing, on the store that a search has just left.
"""

from __future__ import annotations

import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from space.terminal.command import EXIT_DONE, EXIT_USER, Parser, positive_int, run_command
from space.words import count
from tests.benchmarks.results import Cell, Table, add_json_option, publish
from trainables.shipped.digit_pairs.config import (
    DataConfig,
    DigitPairsConfig,
    ModelConfig,
    PairTrainingConfig,
)

ENDED = " COMPLETE "
"""In the line that says that a trial has ended."""
N_TRIALS = os.cpu_count() or 1
SPACE: dict[str, Any] = {
    "study": "start",
    "model": {"name": "mlp"},
    "data": {"source": "digits"},
    "training": {"epochs": 1},
    "parameters": {"learning_rate": {"type": "float", "low": 1e-4, "high": 1e-2, "log": True}},
    "sampler": {"name": "random", "seed": 0},
    "pruner": {"name": "none"},
    "objective": {"metric": "val_error", "direction": "minimize"},
    "budget": {"trials": N_TRIALS},
}
PARTS = ("the first trial has ended", "every worker has ended one", "the prompt is back")


def validation_error(learning_rate: float) -> float:
    """What a trial of the peers is judged by."""
    from tests.harness.configs import open_run
    from trainables.shipped.digit_pairs.data.sources import load_source
    from trainables.shipped.digit_pairs.resolve import resolve_config

    data = DataConfig(source="digits")
    training = PairTrainingConfig(epochs=1, learning_rate=learning_rate)
    config = DigitPairsConfig(model=ModelConfig(name="mlp"), data=data, training=training)
    run = open_run(resolve_config(config, "digits"), load_source(data, "train"))
    return float(run.run_epoch()["val_error"])


def plain_optuna(folder: Path) -> None:
    """The search as a user of Optuna would write it."""
    import optuna

    def objective(trial: optuna.Trial) -> float:
        return validation_error(trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True))

    study = optuna.create_study(
        study_name="start",
        sampler=optuna.samplers.RandomSampler(seed=0),
        storage=f"sqlite:///{folder / 'plain.db'}",
    )
    study.optimize(
        objective,
        n_trials=N_TRIALS,
        n_jobs=N_TRIALS,
        callbacks=[lambda *_: print(ENDED, flush=True)],
    )


def tune_with_optuna_search(folder: Path) -> None:
    """The search as a user of Ray Tune would write it."""
    import optuna
    import ray
    from ray import tune
    from ray.tune.search import ConcurrencyLimiter
    from ray.tune.search.optuna import OptunaSearch

    def trainable(config: dict[str, Any]) -> None:
        tune.report({"val_error": validation_error(**config)})

    class Ends(tune.Callback):  # type: ignore[misc]
        def on_trial_complete(self, *_: Any, **__: Any) -> None:
            print(ENDED, flush=True)

    # Not a cluster that happens to be here, and as with ray[tune] alone, which has no dashboard.
    ray.init("local", include_dashboard=False)
    searcher = OptunaSearch(
        metric="val_error",
        mode="min",
        sampler=optuna.samplers.RandomSampler(seed=0),
        storage=optuna.storages.RDBStorage(f"sqlite:///{folder / 'trials.db'}"),
        study_name="start",
    )
    tune.run(
        trainable,
        config={"learning_rate": tune.loguniform(1e-4, 1e-2)},
        search_alg=ConcurrencyLimiter(searcher, max_concurrent=N_TRIALS),
        num_samples=N_TRIALS,
        resources_per_trial={"cpu": 1},
        storage_path=str(folder / "tune"),
        callbacks=[Ends()],
        verbose=0,
    )


def seconds_until(command: Sequence[str], folder: Path) -> list[float]:
    """Runs a search and looks at the clock.

    Args:
        command: The search's.
        folder: Where it runs.

    Returns:
        The seconds of `PARTS`.
    """
    began = time.perf_counter()
    ends = []
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if ENDED in line:
                ends.append(time.perf_counter() - began)
    if process.returncode != EXIT_DONE or len(ends) != N_TRIALS:
        raise RuntimeError(f"{command} did not search:\n{''.join(said)}")
    return [ends[0], ends[-1], time.perf_counter() - began]


def seconds_of(command: Sequence[str], status: int) -> float:
    """The seconds of a command that must end in some way."""
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != status:
        raise RuntimeError(f"{command} ended with {done.returncode}:\n{done.stderr}")
    return time.perf_counter() - began


def seconds_until_a_page(command: Sequence[str]) -> float:
    """The seconds until a server that a command starts has given its first page."""
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                found = re.search(rb"http://[0-9.]+:[0-9]+", line)
                if found is not None:
                    with urlopen(f"{found[0].decode()}/") as page:
                        page.read()
                    return time.perf_counter() - began
        finally:
            process.send_signal(signal.SIGINT)
    raise RuntimeError(f"{command} did not serve")


PEERS = {"Tune + OptunaSearch": tune_with_optuna_search, "plain Optuna": plain_optuna}


def main(argv: list[str]) -> int:
    """Measures in turn and prints the tables."""
    parser = Parser(prog="python -m tests.benchmarks.searching.launch_start", description=__doc__)
    parser.add_argument("--rounds", type=positive_int, default=5)
    parser.add_argument("--peer", nargs=2, metavar=("NAME", "FOLDER"), help="be a peer's script")
    add_json_option(parser)
    options = parser.parse_args(argv)
    if options.peer:
        PEERS[options.peer[0]](Path(options.peer[1]))
        return EXIT_DONE
    launch = [sys.executable, "-m", "search.launch", "--space"]
    peer = [sys.executable, "-m", "tests.benchmarks.searching.launch_start", "--peer"]
    root = Path(__file__).resolve().parents[3]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
    # A user's Python keeps what it has compiled.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    searches: defaultdict[str, list[list[float]]] = defaultdict(list)
    short: defaultdict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="start-") as name:
        (file := Path(name) / "space.yaml").write_text(json.dumps(SPACE))
        (wrong := Path(name) / "wrong.yaml").write_text(json.dumps({**SPACE, "budgets": 1}))
        for turn in range(options.rounds + 1):  # The first warms the system's file cache.
            (folder := Path(name) / str(turn)).mkdir()
            where = ["--storage", str(folder / "s.db")]
            commands = {"ours": [*launch, str(file), *where]}
            commands |= {name: [*peer, name, str(folder)] for name in PEERS}
            for way, command in commands.items():
                searches[way].append(seconds_until(command, folder))
                shown = ", ".join(f"{seconds:.1f}" for seconds in searches[way][-1])
                print(f"round {turn}: {way} {shown} s", file=sys.stderr)
            python = [sys.executable, "-m"]
            html = str(folder / "report.html")
            for what, command, status in (
                ("search.launch --help", [*launch, str(file), "--help"], EXIT_DONE),
                ("search.launch, a mistake in the file", [*launch, str(wrong)], EXIT_USER),
                ("search.launch, nothing left to train", [*launch, str(file), *where], EXIT_DONE),
                ("storage list", [*python, "storage", "list", *where], EXIT_DONE),
                (
                    "dashboards.report",
                    [*python, "dashboards.report", *where, "--study", "start", "--output", html],
                    EXIT_DONE,
                ),
            ):
                short[what].append(seconds_of(command, status))
            for server in ("dashboards.serve", "search.serve"):
                command = [*python, server, *where, "--port", "0"]
                short[f"{server}, the first page"].append(seconds_until_a_page(command))
    rows: list[list[Cell]] = []
    for way, found in searches.items():
        taken = list(zip(*found[1:], strict=True))
        ours = [each[-1] for each in searches["ours"][1:]]
        ratios = [a / b for a, b in zip(taken[-1], ours, strict=True)]
        rows.append([way, *map(statistics.median, taken), statistics.median(ratios)])
    publish(
        title="From the command to its answer",
        module="tests.benchmarks.searching.launch_start",
        argv=argv,
        tables=[
            Table(
                title=f"A search of {count(N_TRIALS, 'trial')} of one epoch, seconds until",
                columns=["", *PARTS, "times ours"],
                rows=rows,
            ),
            Table(
                title="Commands that do not search, seconds",
                columns=["", "s"],
                rows=[[what, statistics.median(taken[1:])] for what, taken in short.items()],
            ),
        ],
        notes=[
            f"Medians of {count(options.rounds, 'round')} taken in turn, after one that is not "
            "counted."
        ],
        json_file=options.json,
    )
    return EXIT_DONE


if __name__ == "__main__":
    run_command(main)
