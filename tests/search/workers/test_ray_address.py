"""An address that is to be joined: whether anybody listens there is known before Ray is asked."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from search.workers.ray_session import ray_session, require_listener
from space.errors import ClusterError


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


@pytest.mark.parametrize("address", [".:6379", "a..b:6379", f"{'x' * 70}:6379", "-:6379"])
def test_what_is_no_host_is_refused_without_ray(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ray.init", lambda **options: pytest.fail("Ray was asked"))
    with pytest.raises(ClusterError) as caught, ray_session(address, verbose=False):
        pass
    assert address in str(caught.value)
    assert "--ray-address" in str(caught.value)


def test_a_port_is_refused_as_soon_as_nobody_listens_there(listener: socket.socket) -> None:
    address = f"127.0.0.1:{listener.getsockname()[1]}"
    require_listener(address)
    listener.close()
    with pytest.raises(ClusterError, match="refused"):
        require_listener(address)


def test_a_cluster_that_ray_looks_up_is_left_to_it() -> None:
    require_listener("auto")
