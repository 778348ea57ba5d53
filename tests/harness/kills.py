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

import sqlalchemy as sa

from storage import Store, open_store, schema

from .searches import (
    Losses,
    count_epochs,
    inspect,
    kill,
    make_space,
    processes,
    start,
    undisturbed,
    wait_until,
)

__all__ = ["Findings", "kill_searches"]

SPACE = make_space()
WORKER_KILLS = 2
"""Workers killed in one launch at the most: a trial that loses more than so many is given up."""

LONGEST_WAIT = 6.0
"""Seconds from one kill, from the launch or from the launch's next epoch to the next kill."""

SHARE_ANY_MOMENT = 0.3
"""Share of the kills that do not wait for an epoch: they may strike a launch that is starting."""


@dataclass(kw_only=True)
class Findings(Losses):
    """What kills did to searches; all but the first four must be zero.

    Attributes:
        studies: Studies run to their end under fire.
        launches: Launches that took.
        kills: Kills by victim.
        resumed_epochs: Epochs that later launches found done and did not train again.
        checkpoints: Checkpoints left behind.
        processes: Processes left behind.
        bad_exits: Launches that ended by themselves with another status than 0, and what they said.
    """

    studies: int = 0
    launches: int = 0
    kills: dict[str, int] = field(default_factory=dict)
    resumed_epochs: int = 0
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
        expected = undisturbed(directory, store, SPACE)
        while findings.n_kills < n_kills:
            name = f"study-{findings.studies}"
            _run_under_fire(directory, store, name, n_kills, rng, findings)
            findings.studies += 1
            inspect(store, name, SPACE, findings, expected)
            findings.resumed_epochs += _resumed(store, name)
            findings.checkpoints += len(list(directory.rglob("*.pt*")))
            print(json.dumps(asdict(findings)), file=sys.stderr)
    finally:
        store.close()
    return findings


def _run_under_fire(
    directory: Path, store: Store, name: str, n_kills: int, rng: random.Random, findings: Findings
) -> None:
    """Launch and kill until a launch ends by itself."""
    url = store.url.render_as_string(hide_password=False)
    while True:
        findings.launches += 1
        mark = uuid.uuid4().hex
        process = start(directory, url, name, SPACE, mark=mark)
        workers_left = WORKER_KILLS
        while process.poll() is None and findings.n_kills < n_kills:
            if rng.random() > SHARE_ANY_MOMENT:
                _wait_for_epoch(process, store)
            _wait(process, rng.uniform(0.0, LONGEST_WAIT))
            if process.poll() is not None:
                break
            victim = rng.choice(("driver", "worker", "everything"))
            if victim == "worker":
                workers = [pid for pid, line in processes(mark) if line.startswith("ray::_Inner")]
                if not workers or not workers_left:
                    continue
                workers_left -= 1
                kill(rng.choice(workers))
            elif victim == "driver":
                kill(process.pid)
            else:
                for pid, _ in processes(mark):
                    kill(pid)
            findings.kills[victim] = findings.kills.get(victim, 0) + 1
        _, said = process.communicate()
        _end_of(mark, findings)
        if process.returncode == 0:
            return
        if process.returncode != -signal.SIGKILL:
            findings.bad_exits.append(f"status {process.returncode}: {said[-500:]}")
            if len(findings.bad_exits) > 3:
                raise RuntimeError("\n".join(findings.bad_exits))


def _wait(process: subprocess.Popen[str], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def _wait_for_epoch(process: subprocess.Popen[str], store: Store) -> None:
    """Wait until another epoch is recorded, or the launch has ended."""
    before = count_epochs(store)
    wait_until(lambda: count_epochs(store) != before, process)


def _end_of(mark: str, findings: Findings) -> None:
    """Count what outlives its driver by more than half a minute, and end it."""
    deadline = time.monotonic() + 30
    while processes(mark) and time.monotonic() < deadline:
        time.sleep(0.2)
    for pid, _ in processes(mark):
        findings.processes += 1
        kill(pid)


def _resumed(store: Store, name: str) -> int:
    """Epochs that were in the store before the launch that ended their run began."""
    query = (
        sa.select(sa.func.count())
        .select_from(schema.epochs)
        .join(schema.runs, schema.runs.c.run_id == schema.epochs.c.run_id)
        .where(schema.runs.c.study_id == store.study_id(name))
        .where(schema.epochs.c.launch_id != schema.runs.c.launch_id)
    )
    with store.engine.connect() as connection:
        return int(connection.execute(query).scalar() or 0)


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
