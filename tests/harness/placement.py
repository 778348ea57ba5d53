"""Searches on a cluster, and where their trials run."""

from __future__ import annotations

import contextlib
import json
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from space.terminal.command import EXIT_INTERRUPTED
from storage import RunRecord, Store, open_store

from .nodes import Cluster

__all__ = ["LONGEST_WAIT", "PARAMETERS", "Placed", "launch", "place", "places_of", "running"]

ROOT = Path(__file__).resolve().parents[2]
PARAMETERS = {
    "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
    "weight_decay": {"type": "float", "low": 1e-6, "high": 1e-1, "log": True},
}
LONGEST_WAIT = 300.0
"""Seconds that a search may take to begin, and to end."""
SETTLED_SECONDS = 3.0
"""A trial more than should run has begun by then."""


@dataclass(frozen=True, kw_only=True)
class Placed:
    """Where the trials of a search ran.

    Attributes:
        cpus: CPUs that a trial asks for.
        gpus: GPUs, or a share of one, that a trial asks for.
        announced: Trials at once, as the search says.
        at_once: Place of a node -> trials that ran there at once.
    """

    cpus: float
    gpus: float
    announced: int
    at_once: dict[int, int]


def launch(
    cluster: Cluster, directory: Path, space: dict[str, Any], *more: str, **environment: str
) -> subprocess.Popen[str]:
    """Launch a search on a cluster as a user would.

    Args:
        cluster: The cluster.
        directory: For the space file, and the store ``s.db``.
        space: The space file's settings.
        more: More options.
        environment: Changes of the cluster's environment.

    Returns:
        Its process.
    """
    path = directory / f"{space['study']}.json"
    path.write_text(json.dumps(space))
    command = [sys.executable, "-m", "search.launch", "--space", str(path)]
    where = ["--storage", str(directory / "s.db"), "--ray-address", cluster.address]
    return subprocess.Popen(
        [*command, *where, *more],
        cwd=ROOT,
        env={**cluster.environment, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def place(cluster: Cluster, directory: Path, *, cpus: float, gpus: float) -> Placed:
    """Search on a cluster, look at where its trials run, and stop it.

    Args:
        cluster: A cluster with nodes.
        directory: For the search's files.
        cpus: CPUs for a trial.
        gpus: GPUs, or a share of one, for a trial.

    Returns:
        What was seen `SETTLED_SECONDS` after as many trials as it announced had begun.

    Raises:
        RuntimeError: If they do not begin, or the search does not end as it should when told to.
    """
    space = {
        "study": f"cpus-{cpus:g}-gpus-{gpus:g}",
        "trainable": "closed-form",
        "options": {"sleep": 0.25},
        "training": {"epochs": 10_000},
        "parameters": PARAMETERS,
        "sampler": {"name": "random", "seed": 0},
        "pruner": {"name": "none"},
        "budget": {"trials": 100},
        "resources": {"cpus": cpus, "gpus": gpus, "runs_per_trainable": 1},
    }
    process = launch(cluster, directory, space)
    store = open_store(str(directory / "s.db"))
    log: queue.SimpleQueue[str] = queue.SimpleQueue()
    reader = threading.Thread(target=_read, args=(process.stderr, log))
    reader.start()
    try:
        announced = _announced(process, log)
        found: list[RunRecord] = []
        deadline = time.monotonic() + LONGEST_WAIT
        while len(found) < announced:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{len(found)} of {announced} trials begin")
            time.sleep(0.2)
            found = running(store)
        time.sleep(SETTLED_SECONDS)
        at_once = Counter(places_of(cluster, running(store)))
        process.send_signal(signal.SIGTERM)
        if process.wait(LONGEST_WAIT) != EXIT_INTERRUPTED:
            raise RuntimeError(f"the search ended with status {process.returncode}")
    finally:
        process.kill()
        process.wait()
        reader.join()
        store.close()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
    return Placed(cpus=cpus, gpus=gpus, announced=announced, at_once=dict(at_once))


def _read(stream: IO[str] | None, log: queue.SimpleQueue[str]) -> None:
    """Take a process's lines as they come, so that it never waits for us."""
    for line in stream or ():
        log.put(line)


def _announced(process: subprocess.Popen[str], log: queue.SimpleQueue[str]) -> int:
    """How many workers a search says that it has, each with one trial at a time.

    Raises:
        RuntimeError: If it ends first, or takes too long.
    """
    deadline = time.monotonic() + LONGEST_WAIT
    said = ""
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(queue.Empty):
            said += log.get(timeout=0.5)
        match = re.search(r"(\d+) workers", said)
        if match is not None:
            return int(match[1])
    raise RuntimeError(f"no trial begins: {said}")


def running(store: Store) -> list[RunRecord]:
    """The runs in the hands of workers that have reported an epoch."""
    return [run for run in store.runs() if run.worker and run.state == "running"]


def places_of(cluster: Cluster, runs: Sequence[RunRecord]) -> list[int]:
    """The nodes that the workers of some runs belong to."""
    places = [cluster.place_of(int(str(run.worker).split()[1])) for run in runs]
    return [where for where in places if where is not None]
