"""``python -m tests.harness.kills --kills 100``: SIGKILL a real search at random moments.

A small search (a grid, so that every launch proposes the same trials) is launched again and again
as a user would, and its driver, one of its workers or everything at once is killed at a random
moment, until the study is done; then the next study begins, until so many kills have struck. Each
study is compared with one that nobody disturbed: training is deterministic and goes on to the bit,
so every number of every epoch must be the same.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy as sa
from optuna.trial import TrialState

from storage import Store, open_store, schema

__all__ = ["Findings", "kill_searches"]

ROOT = Path(__file__).resolve().parents[2]
MARK = "SEARCH_KILL_HARNESS"
"""An environment variable that every process of a launch inherits."""

RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
DECAYS = (0.0, 1e-3)
EPOCHS = 60
SPACE: dict[str, Any] = {
    "model": {"name": "mlp", "width": 128},
    "data": {"source": "digits", "n_train_pairs": 600, "n_test_pairs": 100},
    "training": {"epochs": EPOCHS, "batch_size": 10},
    "parameters": {
        "learning_rate": {"type": "categorical", "choices": list(RATES)},
        "weight_decay": {"type": "categorical", "choices": list(DECAYS)},
    },
    "sampler": {"name": "grid", "seed": 0},
    "pruner": {"name": "none"},
    "baselines": [{"learning_rate": RATES[2], "weight_decay": DECAYS[0]}],
    "budget": {"trials": len(RATES) * len(DECAYS)},
}
WORKER_KILLS = 2
"""Workers killed in one launch at the most: a trial that loses more than so many is given up."""

LONGEST_WAIT = 6.0
"""Seconds from one kill, from the launch or from the launch's next epoch to the next kill."""

SHARE_ANY_MOMENT = 0.3
"""Share of the kills that do not wait for an epoch: they may strike a launch that is starting."""

Curve = tuple[tuple[float | None, ...], ...]


@dataclass(kw_only=True)
class Findings:
    """What kills did to searches; all but the first three must be zero.

    Attributes:
        studies: Studies run to their end under fire.
        launches: Launches that took.
        kills: Kills by victim.
        resumed_epochs: Epochs that later launches found done and did not train again.
        lost_trials: Trials of the budget that are not complete at the end.
        budget_error: Trials too many or too few.
        baselines_twice: Baselines enqueued more than once.
        missing_reports: Epochs missing in our tables or in Optuna's.
        duplicate_reports: Epochs recorded twice.
        changed_numbers: Trials with a number unlike that of the undisturbed search.
        zombies: Trials, runs or launches that still count as running at the end.
        checkpoints: Checkpoints left behind.
        processes: Processes left behind.
        bad_exits: Launches that ended by themselves with another status than 0, and what they said.
    """

    studies: int = 0
    launches: int = 0
    kills: dict[str, int] = field(default_factory=dict)
    resumed_epochs: int = 0
    lost_trials: int = 0
    budget_error: int = 0
    baselines_twice: int = 0
    missing_reports: int = 0
    duplicate_reports: int = 0
    changed_numbers: int = 0
    zombies: int = 0
    checkpoints: int = 0
    processes: int = 0
    bad_exits: list[str] = field(default_factory=list)

    @property
    def n_kills(self) -> int:
        """Kills of every kind."""
        return sum(self.kills.values())

    @property
    def faults(self) -> dict[str, Any]:
        """What should not be there."""
        fine = ("studies", "launches", "kills", "resumed_epochs")
        return {name: value for name, value in asdict(self).items() if value and name not in fine}


def kill_searches(
    n_kills: int, *, seed: int, directory: Path, storage: str | None = None
) -> Findings:
    """Run searches under fire.

    Args:
        n_kills: SIGKILLs in all; the last study is run to its end undisturbed.
        seed: Of moments and victims.
        directory: A directory for stores and checkpoints.
        storage: The store's URL; default: an SQLite file in the directory.

    Returns:
        What was found at the end of every study.
    """
    rng = random.Random(seed)
    url = storage or f"sqlite:///{directory / 'kills.db'}"
    findings = Findings()
    store = open_store(url)
    try:
        expected = _undisturbed(directory, store)
        while findings.n_kills < n_kills:
            name = f"study-{findings.studies}"
            _run_under_fire(directory, store, name, n_kills, rng, findings)
            findings.studies += 1
            _inspect(store, name, expected, findings)
            findings.checkpoints += len(list(directory.rglob("*.pt*")))
            print(json.dumps(asdict(findings)), file=sys.stderr)
    finally:
        store.close()
    return findings


def _undisturbed(directory: Path, store: Store) -> dict[str, Curve]:
    url = store.url.render_as_string(hide_password=False)
    process = _launch(directory, url, "undisturbed", mark="")
    _, said = process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"the undisturbed search failed: {said}")
    return _curves(store, "undisturbed")


def _run_under_fire(
    directory: Path, store: Store, name: str, n_kills: int, rng: random.Random, findings: Findings
) -> None:
    """Launch and kill until a launch ends by itself."""
    url = store.url.render_as_string(hide_password=False)
    while True:
        findings.launches += 1
        mark = uuid.uuid4().hex
        process = _launch(directory, url, name, mark)
        workers_left = WORKER_KILLS
        while process.poll() is None and findings.n_kills < n_kills:
            if rng.random() > SHARE_ANY_MOMENT:
                _wait_for_epoch(process, store)
            _wait(process, rng.uniform(0.0, LONGEST_WAIT))
            if process.poll() is not None:
                break
            victim = rng.choice(("driver", "worker", "everything"))
            if victim == "worker":
                workers = [pid for pid, line in _processes(mark) if line.startswith("ray::_Inner")]
                if not workers or not workers_left:
                    continue
                workers_left -= 1
                _kill(rng.choice(workers))
            elif victim == "driver":
                _kill(process.pid)
            else:
                for pid, _ in _processes(mark):
                    _kill(pid)
            findings.kills[victim] = findings.kills.get(victim, 0) + 1
        _, said = process.communicate()
        _end_of(mark, findings)
        if process.returncode == 0:
            return
        if process.returncode != -signal.SIGKILL:
            findings.bad_exits.append(f"status {process.returncode}: {said[-500:]}")
            if len(findings.bad_exits) > 3:
                raise RuntimeError("\n".join(findings.bad_exits))


def _launch(directory: Path, url: str, name: str, mark: str) -> subprocess.Popen[str]:
    space = directory / "space.json"
    if not space.exists():
        space.write_text(json.dumps({"study": "any", **SPACE}))
    command = [sys.executable, "-m", "search.launch", "--space", str(space), "--study", name]
    return subprocess.Popen(
        [*command, "--storage", url],
        cwd=ROOT,
        env={**os.environ, MARK: mark},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _wait(process: subprocess.Popen[str], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def _wait_for_epoch(process: subprocess.Popen[str], store: Store) -> None:
    """Wait until another epoch is recorded, or the launch has ended."""
    query = sa.select(sa.func.count()).select_from(schema.epochs)

    def recorded() -> int:
        with store.engine.connect() as connection:
            return int(connection.execute(query).scalar() or 0)

    before = recorded()
    while process.poll() is None and recorded() == before:
        time.sleep(0.05)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _processes(mark: str) -> list[tuple[int, str]]:
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


def _end_of(mark: str, findings: Findings) -> None:
    """Count what outlives its driver by more than half a minute, and end it."""
    deadline = time.monotonic() + 30
    while _processes(mark) and time.monotonic() < deadline:
        time.sleep(0.2)
    for pid, _ in _processes(mark):
        findings.processes += 1
        _kill(pid)


def _inspect(store: Store, name: str, expected: dict[str, Curve], findings: Findings) -> None:
    """Count what a study that is done has lost or has too much of."""
    study = optuna.load_study(study_name=name, storage=store.optuna_storage)
    trials = study.get_trials(deepcopy=False)
    budget = SPACE["budget"]["trials"]
    findings.lost_trials += budget - sum(trial.state == TrialState.COMPLETE for trial in trials)
    findings.budget_error += abs(len(trials) - budget)
    findings.baselines_twice += sum("baseline" in trial.user_attrs for trial in trials) - 1
    runs = store.runs(study._study_id)
    launches = store.launches(study._study_id)
    findings.zombies += sum(trial.state == TrialState.RUNNING for trial in trials)
    findings.zombies += sum(run.state == "running" for run in runs)
    findings.zombies += sum(launch.status == "running" for launch in launches)
    findings.resumed_epochs += _resumed(store, [run.run_id for run in runs])
    epochs = store.epochs(run.run_id for run in runs)
    for run in runs:
        numbers = [epoch.epoch for epoch in epochs[run.run_id]]
        findings.missing_reports += len(set(range(1, EPOCHS + 1)) - set(numbers))
        findings.duplicate_reports += len(numbers) - len(set(numbers))
    for trial in trials:
        steps = set(trial.intermediate_values)
        findings.missing_reports += len(set(range(1, EPOCHS + 1)) - steps)
        findings.duplicate_reports += len(steps - set(range(1, EPOCHS + 1)))
    curves = _curves(store, name)
    findings.changed_numbers += sum(curves.get(key) != curve for key, curve in expected.items())
    findings.changed_numbers += len(curves.keys() - expected.keys())


def _resumed(store: Store, run_ids: list[int]) -> int:
    """Epochs that were in the store before the launch that ended their run began."""

    query = (
        sa.select(sa.func.count())
        .select_from(schema.epochs)
        .join(schema.runs, schema.runs.c.run_id == schema.epochs.c.run_id)
        .where(schema.runs.c.run_id.in_(run_ids))
        .where(schema.epochs.c.launch_id != schema.runs.c.launch_id)
    )
    with store.engine.connect() as connection:
        return int(connection.execute(query).scalar() or 0)


def _curves(store: Store, name: str) -> dict[str, Curve]:
    """Parameters -> every number of every epoch but its seconds."""
    study = optuna.load_study(study_name=name, storage=store.optuna_storage)
    params = {trial._trial_id: trial.params for trial in study.get_trials(deepcopy=False)}
    found = {}
    for run in store.runs(study._study_id):
        epochs = store.epochs([run.run_id])[run.run_id]
        found[json.dumps(params[run.trial_id or 0], sort_keys=True)] = tuple(
            (each.epoch, each.train_loss, each.val_loss, each.train_error, each.val_error)
            for each in epochs
        )
    return found


def main() -> int:
    """Run the command: prints the findings as JSON; exit status 1 if there is any fault."""
    parser = argparse.ArgumentParser(prog="python -m tests.harness.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--storage", help="default: an SQLite file in a temporary directory")
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        findings = kill_searches(
            options.kills, seed=options.seed, directory=Path(scratch), storage=options.storage
        )
    print(json.dumps({**asdict(findings), "seconds": round(time.monotonic() - started)}, indent=2))
    return 1 if findings.faults else 0


if __name__ == "__main__":
    sys.exit(main())
