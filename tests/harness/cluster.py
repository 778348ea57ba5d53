"""``python -m tests.harness.cluster``: what becomes of trials on a real cluster of several nodes.

Two searches run on nodes that this command starts on this machine. In the first, a node that works
is killed with all its processes. In the second, nodes differ: one has GPUs and others have none, as
logical resources, which Ray places alike whether or not there is hardware behind them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna

from storage import RunRecord, Store, open_store
from tests.benchmarks.results import Table, add_json_option, publish

from .nodes import Cluster
from .placement import LONGEST_WAIT, PARAMETERS, launch, place, places_of, running

__all__ = ["Killed", "kill_a_node"]

MODULE = "tests.harness.cluster"


@dataclass(frozen=True, kw_only=True)
class Killed:
    """What became of a search that lost a node.

    Attributes:
        n_nodes: Nodes at the beginning.
        n_processes: Processes of the node that were killed.
        n_lost: Runs that were in the hands of its workers.
        states: Trial state -> number of trials at the end.
        n_missing: Epochs that are missing, or recorded twice.
        n_left: Checkpoints left behind.
        said: The search's messages.
    """

    n_nodes: int
    n_processes: int
    n_lost: int
    states: dict[str, int]
    n_missing: int
    n_left: int
    said: str


def kill_a_node(
    cluster: Cluster, directory: Path, *, n_trials: int = 12, epochs: int = 15
) -> Killed:
    """Search on all nodes, and kill one of them while it trains.

    Args:
        cluster: A cluster of several nodes.
        directory: For the search's files.
        n_trials: Trials of the search.
        epochs: Epochs of a trial.

    Returns:
        What became of it.

    Raises:
        RuntimeError: If the search ends with another status than 0.
    """
    space = {
        "study": "cluster",
        "trainable": "closed-form",
        "options": {"sleep": 0.3},
        "training": {"epochs": epochs},
        "parameters": PARAMETERS,
        "sampler": {"name": "random", "seed": 0},
        "pruner": {"name": "none"},
        "budget": {"trials": n_trials},
        "resources": {"cpus": 1, "gpus": 0, "runs_per_trainable": 1},
    }
    shared = directory / "shared"
    process = launch(cluster, directory, space, "--checkpoints", str(shared))
    store = open_store(str(directory / "s.db"))
    try:
        victim, lost = 0, 0
        while not victim:  # The head, at 0, is not to be one.
            places = Counter(places_of(cluster, _working(process, store)))
            victim = max(places, default=0)
            lost = places[victim]
        n_processes = cluster.kill(victim)
        _, said = _ended(process)
        states, n_missing = _trials(store, "cluster", epochs)
    finally:
        process.kill()
        store.close()
    return Killed(
        n_nodes=cluster.n_nodes,
        n_processes=n_processes,
        n_lost=lost,
        states=states,
        n_missing=n_missing,
        n_left=len(list(shared.rglob("*.pt*"))),
        said=said,
    )


def _working(process: subprocess.Popen[str], store: Store) -> list[RunRecord]:
    """The runs in the hands of workers, once there are any.

    Raises:
        RuntimeError: If the search ends, or takes too long.
    """
    deadline = time.monotonic() + LONGEST_WAIT
    while True:
        time.sleep(0.2)
        found = running(store)
        if found:
            return found
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise RuntimeError(f"no trial begins: {process.communicate()[1]}")


def _ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What a search said on stdout and stderr.

    Raises:
        RuntimeError: If its exit status is not 0.
    """
    out, said = process.communicate(timeout=LONGEST_WAIT)
    if process.returncode != 0:
        raise RuntimeError(f"the search ended with status {process.returncode}: {said}")
    return out, said


def _trials(store: Store, study: str, epochs: int) -> tuple[dict[str, int], int]:
    """A study's trials by state, and how many epochs are missing or too many."""
    found = optuna.load_study(study_name=study, storage=store.optuna_storage).get_trials()
    expected = list(range(1, epochs + 1))
    n_wrong = sum(len(set(expected) ^ set(trial.intermediate_values)) for trial in found)
    return dict(Counter(trial.state.name for trial in found)), n_wrong


def main(argv: Sequence[str]) -> int:
    """Run the command: print the tables; exit status 1 if a trial was lost or misplaced."""
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description=__doc__)
    add_json_option(parser)
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        first, second = directory / "killed", directory / "mixed"
        first.mkdir()
        second.mkdir()
        cluster = Cluster(first)
        try:
            for _ in range(3):
                cluster.add("--num-cpus=1")
            killed = kill_a_node(cluster, first)
        finally:
            cluster.close()
        cluster = Cluster(second)
        try:
            cluster.add("--num-cpus=1", "--num-gpus=0")
            cluster.add("--num-cpus=4", "--num-gpus=2")
            placed = [place(cluster, second, cpus=1, gpus=gpus) for gpus in (0.0, 0.5, 0.6, 1.0)]
        finally:
            cluster.close()
    ends = (killed.n_missing, killed.n_left)
    tables = [
        Table(
            title="A node killed in mid-search",
            columns=[
                *("nodes", "processes killed", "runs in its hands", "trials at the end"),
                *("epochs lost or doubled", "checkpoints left"),
            ],
            rows=[
                [killed.n_nodes, killed.n_processes, killed.n_lost, _words(killed.states), *ends]
            ],
        ),
        Table(
            title="A head with 1 CPU and no GPU, and a node with 4 CPUs and 2 GPUs",
            columns=[
                *("CPUs a trial", "GPUs a trial", "trials at once, as announced"),
                *("at once on the head", "at once on the node"),
            ],
            rows=[
                [
                    *(each.cpus, each.gpus, each.announced),
                    *(each.at_once.get(where, 0) for where in (0, 1)),
                ]
                for each in placed
            ],
        ),
    ]
    publish(
        title="A Ray cluster of several nodes",
        module=MODULE,
        argv=argv,
        tables=tables,
        notes=[
            "The nodes are Ray nodes with processes of their own on one machine; their CPUs and "
            "GPUs are logical. SIGKILL goes to every process of a node while it trains."
        ],
        json_file=options.json,
    )
    lost = set(killed.states) != {"COMPLETE"} or killed.n_missing or killed.n_left
    stray = any(each.gpus and each.at_once.get(0) for each in placed)
    return 1 if lost or stray else 0


def _words(states: dict[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(states.items()))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main(sys.argv[1:]))
