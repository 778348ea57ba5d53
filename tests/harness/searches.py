"""A small real search for the harnesses: launched as a user would, and looked into afterwards.

It is a grid, so every launch proposes the same trials, and its training is deterministic and goes
on to the bit: whatever was done to a search, its numbers are those of one that nobody disturbed; of
one that trains several runs as one model, but for rounding.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy as sa
from optuna.trial import TrialState

from storage import Store
from storage.tables import schema

__all__ = [
    "ROUNDING",
    "Curve",
    "Losses",
    "are_alike",
    "count_epochs",
    "curves",
    "inspect",
    "kill",
    "make_space",
    "processes",
    "runs_of_steps",
    "start",
    "undisturbed",
    "wait_until",
]

ROOT = Path(__file__).resolve().parents[2]
MARK = "SEARCH_HARNESS"
"""An environment variable that every process of a launch inherits."""

RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
DECAYS = (0.0, 1e-3)

ROUNDING = 1e-3
"""By which share a loss may differ where runs are trained as one model. Mostly it is less than
1e-6. Where rounding tips a unit of a network it grows with the epochs, in 22 of them to 1e-2, which
is what another run's learning rate or data make, too: seeds and learning rates are such that none
tips."""

ONE_PAIR = 0.02
"""By how much an error may differ there: rounding may tip one of the 60 pairs."""

Curve = tuple[tuple[float | None, ...], ...]
"""Epoch, training and validation loss, training and validation error, of every epoch."""


def make_space(
    *, n_trials: int = 10, epochs: int = 60, runs_per_trainable: int = 1
) -> dict[str, Any]:
    """A search space without its study's name.

    Args:
        n_trials: At most 10.
        epochs: Of each trial.
        runs_per_trainable: How many runs a worker trains as one model.
    """
    return {
        "model": {"name": "mlp", "width": 128},
        "data": {"source": "digits", "n_train_pairs": 600, "n_test_pairs": 100},
        "training": {"epochs": epochs, "batch_size": 10},
        "parameters": {
            "learning_rate": {"type": "categorical", "choices": list(RATES)},
            "weight_decay": {"type": "categorical", "choices": list(DECAYS)},
        },
        "sampler": {"name": "grid", "seed": 0},
        "pruner": {"name": "none"},
        "baselines": [{"learning_rate": RATES[2], "weight_decay": DECAYS[0]}],
        "budget": {"trials": n_trials},
        "resources": {"gpus": 0, "runs_per_trainable": runs_per_trainable},
    }


@dataclass(kw_only=True)
class Losses:
    """What searches have lost or have too much of at their end; all must be zero.

    Attributes:
        lost_trials: Trials of the budget that are not complete.
        budget_error: Trials too many or too few.
        baselines_twice: Baselines enqueued more than once.
        missing_reports: Epochs missing in our tables or in Optuna's.
        duplicate_reports: Epochs recorded twice.
        changed_numbers: Trials with a number unlike the undisturbed search's (see `are_alike`).
        zombies: Trials, runs or launches that still count as running.
    """

    lost_trials: int = 0
    budget_error: int = 0
    baselines_twice: int = 0
    missing_reports: int = 0
    duplicate_reports: int = 0
    changed_numbers: int = 0
    zombies: int = 0


def start(
    directory: Path,
    url: str,
    name: str,
    space: dict[str, Any],
    *options: str,
    mark: str = "",
    said: Path | None = None,
) -> subprocess.Popen[str]:
    """Launch a search in a session of its own.

    Args:
        directory: Where its space file lies.
        url: The store, named by the environment: it may have a password.
        name: The study.
        space: From `make_space`.
        options: More options of the command.
        mark: What tells its processes from all others; see `processes`.
        said: A file for what it says on stderr; else that is a pipe.
    """
    file = directory / f"{name}.json"
    if not file.exists():
        file.write_text(json.dumps({"study": name, **space}))
    command = [sys.executable, "-m", "search.launch", "--space", str(file)]
    checkpoints = ["--checkpoints", str(directory / "checkpoints")]
    with open(said or os.devnull, "a") as errors:
        return subprocess.Popen(
            [*command, *checkpoints, *options],
            cwd=ROOT,
            env={**os.environ, MARK: mark, "SEARCH_STORAGE": url},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE if said is None else errors,
            text=True,
            start_new_session=True,
        )


def undisturbed(directory: Path, store: Store, space: dict[str, Any]) -> dict[str, Curve]:
    """Run the search to its end; its `curves`.

    Raises:
        RuntimeError: If it fails.
    """
    url = store.url.render_as_string(hide_password=False)
    process = start(directory, url, "undisturbed", space)
    _, said = process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"the undisturbed search failed: {said}")
    return curves(store, "undisturbed")


def count_epochs(store: Store, study: str | None = None) -> int:
    """Epochs that are recorded, in one study or in all; none in a study that is not there yet."""
    query = sa.select(sa.func.count()).select_from(schema.epochs)
    if study is not None:
        names = {each.study_name: each._study_id for each in store.optuna_storage.get_all_studies()}
        of_study = schema.runs.c.study_id == names.get(study)
        query = query.join(schema.runs, schema.runs.c.run_id == schema.epochs.c.run_id)
        query = query.where(of_study)
    with store.engine.connect() as connection:
        return int(connection.execute(query).scalar() or 0)


def wait_until(condition: Callable[[], bool], *launches: subprocess.Popen[str]) -> bool:
    """Wait for a condition while all launches run; say whether it came true."""
    while not condition():
        if any(launch.poll() is not None for launch in launches):
            return False
        time.sleep(0.05)
    return True


def processes(mark: str) -> list[tuple[int, str]]:
    """The processes of a launch: number and command line."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    if line:  # A process that is gone but not waited for has none.
                        found.append((int(entry.name), line))
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
    return found


def kill(pid: int) -> None:
    """SIGKILL a process that may be gone."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def inspect(
    store: Store,
    name: str,
    space: dict[str, Any],
    losses: Losses,
    expected: dict[str, Curve] | None = None,
) -> None:
    """Count what a study that is done has lost or has too much of.

    Args:
        store: The store.
        name: The study.
        space: From `make_space`.
        losses: Added to.
        expected: From `undisturbed`, whose runs were trained alone; None where that is not
            compared.
    """
    study = optuna.load_study(study_name=name, storage=store.optuna_storage)
    trials = study.get_trials(deepcopy=False)
    budget = space["budget"]["trials"]
    losses.lost_trials += budget - sum(trial.state == TrialState.COMPLETE for trial in trials)
    losses.budget_error += abs(len(trials) - budget)
    losses.baselines_twice += sum("baseline" in trial.user_attrs for trial in trials) - 1
    runs = store.runs(study._study_id)
    losses.zombies += sum(trial.state == TrialState.RUNNING for trial in trials)
    losses.zombies += sum(run.state == "running" for run in runs)
    losses.zombies += len(store.launches(study._study_id, status="running"))
    wanted = set(range(1, space["training"]["epochs"] + 1))
    epochs = store.epochs(run.run_id for run in runs)
    for run in runs:
        numbers = [epoch.epoch for epoch in epochs[run.run_id]]
        losses.missing_reports += len(wanted - set(numbers))
        losses.duplicate_reports += len(numbers) - len(set(numbers) & wanted)
    for trial in trials:
        steps = set(trial.intermediate_values)
        losses.missing_reports += len(wanted - steps)
        losses.duplicate_reports += len(steps - wanted)
    if expected is not None:
        found = curves(store, name)
        exact = space["resources"]["runs_per_trainable"] == 1
        losses.changed_numbers += sum(
            not are_alike(found.get(key, ()), curve, exact=exact) for key, curve in expected.items()
        )
        losses.changed_numbers += len(found.keys() - expected.keys())


def are_alike(one: Curve, two: Curve, *, exact: bool) -> bool:
    """Whether two trials have the same epochs with the same numbers.

    Args:
        one: A trial's.
        two: The other's.
        exact: To the bit; else but for rounding (see `ROUNDING` and `ONE_PAIR`).
    """
    if exact or len(one) != len(two):
        return one == two
    return all(
        mine[0] == others[0]
        and _are_close(mine[1:3], others[1:3], rel_tol=ROUNDING)
        and _are_close(mine[3:], others[3:], abs_tol=ONE_PAIR)
        for mine, others in zip(one, two, strict=True)
    )


def _are_close(
    some: Sequence[float | None], others: Sequence[float | None], **tolerance: float
) -> bool:
    return all(
        a == b or (a is not None and b is not None and math.isclose(a, b, **tolerance))
        for a, b in zip(some, others, strict=True)
    )


def curves(store: Store, name: str) -> dict[str, Curve]:
    """Parameters -> every number of every epoch but its seconds."""
    study = optuna.load_study(study_name=name, storage=store.optuna_storage)
    params = {trial._trial_id: trial.params for trial in study.get_trials(deepcopy=False)}
    found: dict[str, Curve] = {}
    for run in store.runs(study._study_id):
        epochs = store.epochs([run.run_id])[run.run_id]
        found[json.dumps(params[run.trial_id or 0], sort_keys=True)] = tuple(
            (
                each.epoch,
                each["train_loss"],
                each["val_loss"],
                each["train_error"],
                each["val_error"],
            )
            for each in epochs
        )
    return found


def runs_of_steps(store: Store, name: str) -> list[int]:
    """How many of a study's runs were trained as one model, for each epoch of such a model.

    They share the time of an epoch alike, so its seconds are the same to the bit.
    """
    run_ids = [run.run_id for run in store.runs(store.study_id(name))]
    pairs = {
        (epoch.seconds, run_id)  # Two epochs of one run may take as long by chance.
        for run_id, of_run in store.epochs(run_ids).items()
        for epoch in of_run
    }
    return list(Counter(seconds for seconds, _ in pairs).values())
