"""A warm start and population-based training beside cold TPE with ASHA, really trained.

    python -m tests.benchmarks.searching.trained_starts [--repeats 5] [--epochs 128] [--json FILE]

Each search trains a CNN on scikit-learn's digits (`trainable: digits-cnn`) for the same number of
epochs, in this process: TPE with ASHA from a cold start; the same after the five best trials of an
earlier study, of a network half as wide that was trained for half of the epochs; and a population.
Every repeat has seeds of its own: of the samplers, of the data's split and of the training. What a
search ends in is the network of its best trial, with the weights that were kept of it: that is
measured on the test images once the search has ended.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

import search
from space.terminal.command import EXIT_DONE, Parser, positive_int, run_command
from storage import Store, open_store
from storage.commands.checkpoints import weights_of_run
from storage.commands.kit import configure_logging
from tests.benchmarks.results import Cell, Table, add_json_option, publish
from tests.search.here import train_here
from trainables.finding.find import trainable_of
from trainables.loop.training import Training, draw_test
from trainables.worker.weights import loaded, read_weights

MODULE = "tests.benchmarks.searching.trained_starts"
N_EPOCHS = 16
"""Epochs of a trial that ASHA does not stop."""
SEGMENT, POPULATION = 2, 8
N_EARLIER, TOP = 8, 5
SPACE: dict[str, Any] = {
    "trainable": "digits-cnn",
    "options": {"width": 4},
    "training": {"epochs": N_EPOCHS, "optimizer": "adamw", "selection": "loss"},
    "parameters": {
        "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
        "weight_decay": {"type": "float", "low": 1e-5, "high": 1.0, "log": True},
        "batch_size": {"type": "categorical", "choices": [50, 100, 200]},
        "dropout": {"type": "float", "low": 0.0, "high": 0.8},
    },
    "objective": {"metric": "val_loss", "direction": "minimize"},
    "resources": {"gpus": 0, "runs_per_trainable": 1},
    "keep_weights": True,
}
COLUMNS = [
    "search",
    "validation loss at half",
    "validation loss",
    "test loss",
    "test error %",
    "test loss below the cold start's",
    "trials",
]


class Found(NamedTuple):
    """What a search ended in."""

    halfway: float
    """The best validation loss once half of the epochs were trained."""
    val_loss: float
    test_loss: float
    test_error: float
    n_trials: int


def searched(name: str, seed: int, **changes: Any) -> Store:
    """Search, and open the store."""
    space = {**SPACE, "study": name, **changes}
    space["data"] = {"data_seed": 1_000 + 1_000 * seed}
    space["training"] = {**space["training"], "training_seed": 1_000 + 1_000 * seed}
    search.launch(space, storage=f"{name}.db", progress=False)
    return open_store(f"{name}.db", look=True)


def found_by(store: Store, name: str, n_epochs: int) -> Found:
    """What a study's best trial is worth."""
    study_id = store.study_id(name)
    trials = {
        trial._trial_id: trial
        for trial in store.optuna_storage.get_all_trials(study_id)
        if trial.state.name == "COMPLETE"
    }
    runs = sorted(store.runs(study_id), key=lambda run: (run.ended_at is None, run.ended_at))
    n_trained, halfway = 0, float("nan")
    for run in runs:
        n_trained += run.n_epochs
        if run.trial_id in trials and n_trained <= n_epochs // 2:
            value = trials[run.trial_id].values[0]
            halfway = value if halfway != halfway else min(halfway, value)
    complete = [run for run in runs if run.trial_id in trials]
    best = min(complete, key=lambda run: trials[run.trial_id or 0].values[0])
    (launch,) = store.launches(study_id)
    path = weights_of_run(store.url, name, best, launch.command)
    config, network = loaded(read_weights(path), str(path))
    trainable = trainable_of(config)
    _, data = trainable.settle(config, with_test=True)
    again = trainable.open_run(config, data)
    if not isinstance(again, Training):
        raise TypeError("a run of a task is wanted")
    again.network.load_state_dict(network.state_dict())
    measured = again.measure(draw_test(again.task, data.test, config.data.data_seed))
    return Found(
        halfway=halfway,
        val_loss=trials[best.trial_id or 0].values[0],
        test_loss=measured["loss"],
        test_error=100 * measured["error"],
        n_trials=len(store.optuna_storage.get_all_trials(study_id)),
    )


def repeat(seed: int, n_epochs: int) -> dict[str, Found]:
    """All searches once, on the same seeds."""
    tpe = {
        "sampler": {"name": "tpe", "seed": seed},
        "pruner": {"name": "asha", "min_resource": 2, "reduction_factor": 3},
        "budget": {"epochs": n_epochs},
    }
    earlier = {
        "options": {"width": 2},
        "training": {**SPACE["training"], "epochs": N_EPOCHS // 2},
        "sampler": {"name": "tpe", "seed": 1_000 + seed},
        "budget": {"trials": N_EARLIER},
    }
    population = {
        "training": {**SPACE["training"], "epochs": SEGMENT},
        "sampler": {"name": "pbt", "population": POPULATION, "seed": seed},
        "budget": {"trials": n_epochs // SEGMENT},
    }
    found = {}
    for words, name, changes in (
        ("TPE, ASHA, cold", "cold", tpe),
        ("TPE, ASHA, warm", "warm", {**tpe, "warm_start": {"study": "earlier", "top": TOP}}),
        ("population", "population", population),
    ):
        with folder():
            if name == "warm":
                searched("earlier", seed, **earlier).close()
                os.rename("earlier.db", "warm.db")
            with contextlib.closing(searched(name, seed, **changes)) as store:
                found[words] = found_by(store, name, n_epochs)
        print(seed, words, *found[words], file=sys.stderr, flush=True)
    return found


@contextlib.contextmanager
def folder() -> Any:
    """Work in a new directory."""
    with tempfile.TemporaryDirectory() as directory, contextlib.chdir(directory):
        yield Path(directory)


def _spread(values: list[float]) -> str:
    """Their mean and, in brackets, their standard deviation."""
    spread = f" ({statistics.stdev(values):.2g})" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.4g}{spread}"


def main(argv: list[str]) -> int:
    """Search, print and, if asked to, keep the result."""
    parser = Parser(prog=f"python -m {MODULE}", description=__doc__)
    parser.add_argument("--repeats", type=positive_int, default=5)
    parser.add_argument("--epochs", type=positive_int, default=128)
    add_json_option(parser)
    options = parser.parse_args(argv)
    configure_logging(verbose=False)
    torch.set_num_threads(1)
    output = None if options.json is None else Path(options.json).absolute()
    with pytest.MonkeyPatch.context() as patched, folder() as scratch:
        train_here(patched, scratch)
        repeats = [repeat(seed, options.epochs) for seed in range(options.repeats)]
    rows: list[list[Cell]] = []
    for words in repeats[0]:
        ours = [each[words] for each in repeats]
        cold = next(iter(repeats[0]))
        n_below = sum(each[words].test_loss < each[cold].test_loss for each in repeats)
        shown = [_spread([found[place] for found in ours]) for place in range(4)]
        beside = None if words == cold else f"{n_below} of {len(repeats)}"
        rows.append([words, *shown, beside, round(statistics.fmean(f.n_trials for f in ours))])
    publish(
        title="A warm start and a population, trained",
        module=MODULE,
        argv=argv,
        tables=[
            Table(
                title=f"A CNN on scikit-learn's digits, {options.epochs} epochs a search, means "
                f"over {options.repeats} repeats (standard deviation)",
                columns=COLUMNS,
                rows=rows,
            )
        ],
        notes=[
            f"A trial of TPE has {N_EPOCHS} epochs where ASHA does not stop it; a population is "
            f"{POPULATION} networks in rounds of {SEGMENT} epochs, so that each network has "
            f"{options.epochs // POPULATION} at the end. Two runs at a time, none of them "
            "trained together.",
            f"The earlier study of the warm start is {N_EARLIER} trials of TPE of a network half "
            f"as wide, {N_EPOCHS // 2} epochs each, on the same split; its cost is not counted.",
            "Validation losses are the best of a search, and so optimistic; the test loss is that "
            "of the network which had it, on images of other writers. At half: of trials that had "
            "ended by then. One task and few repeats: small differences are not told apart.",
        ],
        json_file=output,
    )
    return EXIT_DONE


if __name__ == "__main__":
    run_command(main)
