"""A Ray cluster of several nodes: a node that is killed, nodes that differ, and strangers."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
import ray
from optuna.trial import TrialState
from ray._private.authentication.authentication_utils import is_token_auth_enabled

from search.cluster import ray_session
from storage import open_store

ROOT = Path(__file__).resolve().parents[2]
RAY = Path(sys.executable).parent / "ray"
TOKEN = "0123456789abcdef0123456789abcdef"
MARK = "SEARCH_TEST_NODE"
"""An environment variable that every process of a node inherits."""

MEMORY = 100 * 2**20
N_TRIALS, EPOCHS = 12, 15
SPACE = {
    "study": "cluster",
    "model": {"name": "closed-form", "options": {"sleep": 0.3}},
    "training": {"epochs": EPOCHS},
    "parameters": {
        "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
        "weight_decay": {"type": "float", "low": 1e-6, "high": 1e-1, "log": True},
    },
    "sampler": {"name": "random", "seed": 0},
    "pruner": {"name": "none"},
    "budget": {"trials": N_TRIALS},
    "resources": {"cpus": 1, "gpus": 0},
}
pytestmark = pytest.mark.slow


class Cluster:
    """Ray nodes on this machine, each with processes of its own."""

    def __init__(self, directory: Path) -> None:
        self.environment = {
            **os.environ,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": TOKEN,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_health_check_period_ms": "1000",
            "RAY_health_check_failure_threshold": "3",
        }
        self._directory = directory
        self._nodes: list[subprocess.Popen[str]] = []
        self.address = ""

    def add(self, *options: str) -> None:
        """Start a node; the first one is the head."""
        place = len(self._nodes)
        where = (
            ["--head", "--port=0", "--include-dashboard=false"]
            if not self.address
            else [f"--address={self.address}"]
        )
        log = self._directory / f"node-{place}.log"
        with log.open("w") as stream:
            node = subprocess.Popen(
                [str(RAY), "start", "--block", *where, *options, f"--object-store-memory={MEMORY}"],
                env={**self.environment, MARK: self._mark(place)},
                stdout=stream,
                stderr=subprocess.STDOUT,
                text=True,
            )
        self._nodes.append(node)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            said = log.read_text()
            if "Ray runtime started" in said:
                if not self.address:
                    match = re.search(r"--address='?([\d.]+:\d+)", said)
                    assert match is not None, said
                    self.address = match.group(1)
                return
            assert node.poll() is None, said
            time.sleep(0.1)
        pytest.fail(f"a Ray node did not start within two minutes: {log.read_text()}")

    def place_of(self, pid: int) -> int | None:
        """The place of the node that a process belongs to."""
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            return None
        marks = [f"{MARK}={self._mark(place)}".encode() for place in range(len(self._nodes))]
        return next((place for place, mark in enumerate(marks) if mark in environment), None)

    def kill(self, place: int) -> int:
        """SIGKILL every process of a node. Returns how many there were."""
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        victims = [pid for pid in pids if self.place_of(pid) == place]
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._nodes[place].wait()
        return len(victims)

    def _mark(self, place: int) -> str:
        return f"{self._directory} {place}"

    def close(self) -> None:
        """Kill what is left, the head last."""
        for place in reversed(range(len(self._nodes))):
            self.kill(place)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    yield made
    made.close()


def launch(
    cluster: Cluster, tmp_path: Path, *more: str, **environment: str
) -> subprocess.Popen[str]:
    """Launch the search on the cluster."""
    path = tmp_path / "space.json"
    path.write_text(json.dumps(SPACE))
    command = [sys.executable, "-m", "search.launch", "--space", str(path)]
    where = ["--storage", str(tmp_path / "s.db"), "--ray-address", cluster.address]
    return subprocess.Popen(
        [*command, *where, *more],
        cwd=ROOT,
        env={**cluster.environment, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_node_that_is_killed_costs_no_trial(cluster: Cluster, tmp_path: Path) -> None:
    for _ in range(3):
        cluster.add("--num-cpus=1")
    shared = tmp_path / "shared"
    process = launch(cluster, tmp_path, "--checkpoints", str(shared))
    store = open_store(str(tmp_path / "s.db"))
    try:
        deadline = time.monotonic() + 180
        victim = None
        while not victim:  # The head, at 0, is not to be one.
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline, "no node but the head works"
            time.sleep(0.2)
            working = [run for run in store.runs() if run.worker and run.state == "running"]
            places = [cluster.place_of(int(str(run.worker).split()[1])) for run in working]
            victim = max((place for place in places if place is not None), default=None)
        assert cluster.kill(victim) >= 3  # `ray start`, its raylet and the worker at least.
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        study = optuna.load_study(study_name="cluster", storage=store.optuna_storage)
        assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * N_TRIALS
        for trial in study.trials:
            assert list(trial.intermediate_values) == list(range(1, EPOCHS + 1))
        runs = store.runs()
        assert [run.n_epochs for run in runs] == [EPOCHS] * N_TRIALS
        assert "12 trials complete" in out
        assert not list(shared.rglob("*.pt*"))
    finally:
        process.kill()
        store.close()


def test_without_the_token_nobody_joins(cluster: Cluster, tmp_path: Path) -> None:
    cluster.add("--num-cpus=1")
    process = launch(cluster, tmp_path, RAY_AUTH_TOKEN="f" * 32)
    _, err = process.communicate(timeout=180)
    assert process.returncode == 2, err
    # Ray's own library has its say first.
    assert err.splitlines()[-1].startswith("error: Ray cannot be reached")
    assert "RAY_AUTH_TOKEN" in err.splitlines()[-1]
    assert "Traceback" not in err


def test_ray_of_our_own_listens_on_loopback_alone_and_wants_its_token() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # Sends nothing; says which address would be used.
        own_address = probe.getsockname()[0]
    with ray_session(None, verbose=False):
        host, _, port = ray.get_runtime_context().gcs_address.partition(":")
        socket.create_connection((host, int(port)), timeout=5).close()
        assert is_token_auth_enabled()
        assert host == "127.0.0.1"
        if own_address != host:
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((own_address, int(port)), timeout=5)
