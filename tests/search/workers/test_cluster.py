"""A Ray cluster of several nodes: a node that is killed, nodes that differ, and strangers."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from ray._private.authentication.authentication_utils import is_token_auth_enabled

from ...harness.cluster import kill_a_node
from ...harness.nodes import Cluster
from ...harness.placement import launch, place

SPACE = {
    "study": "strange",
    "trainable": "closed-form",
    "parameters": {"learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1}},
    "budget": {"trials": 1},
}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A head with a CPU, and a node with three and two GPUs."""
    made = Cluster(tmp_path_factory.mktemp("nodes"))
    try:
        made.add("--num-cpus=1", "--num-gpus=0")
        made.add("--num-cpus=3", "--num-gpus=2")
        yield made
    finally:
        made.close()


def test_shares_of_gpus_are_placed_rightly(cluster: Cluster, tmp_path: Path) -> None:
    """Two GPUs hold two of 0.6: none is spread over both, though the CPUs leave room."""
    found = place(cluster, tmp_path, cpus=1, gpus=0.6)
    assert found.at_once == {1: 2}
    assert found.announced == 2


def test_without_the_token_nobody_joins(cluster: Cluster, tmp_path: Path) -> None:
    # Ray tries twenty times, a second each.
    once = {"RAY_NUM_REDIS_GET_RETRIES": "1"}
    process = launch(cluster, tmp_path, SPACE, RAY_AUTH_TOKEN="f" * 32, **once)
    _, err = process.communicate()
    assert process.returncode == 2, err
    # Ray's own library has its say first.
    assert err.splitlines()[-1].startswith("error: Ray cannot be reached")
    assert "RAY_AUTH_TOKEN" in err.splitlines()[-1]
    assert "Traceback" not in err


def test_a_node_that_is_killed_costs_no_trial(cluster: Cluster, tmp_path: Path) -> None:
    """The last test of the cluster."""
    found = kill_a_node(cluster, tmp_path, n_trials=6, epochs=8)
    assert found.n_processes >= 3  # `ray start`, its raylet and the worker at least.
    assert found.n_lost >= 1
    assert found.states == {"COMPLETE": 6}
    assert found.n_missing == 0
    assert found.n_left == 0


def test_ray_of_our_own_listens_on_loopback_alone_and_wants_its_token(one_ray: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # Sends nothing; says which address would be used.
        own_address = probe.getsockname()[0]
    host, _, port = ray.get_runtime_context().gcs_address.partition(":")
    socket.create_connection((host, int(port)), timeout=5).close()
    assert is_token_auth_enabled()
    assert host == "127.0.0.1"
    if own_address != host:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((own_address, int(port)), timeout=5)


def test_ray_of_our_own_starts_nothing_that_nobody_asks(one_ray: Path) -> None:
    started = ray._private.worker._global_node.all_processes
    assert started.keys() & {"gcs_server", "raylet"} == started.keys() - {"reaper"}
