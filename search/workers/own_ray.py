"""What a Ray of our own does without: open ports, and processes that nobody here asks.

`ray.init` has no options for it, so private parts of Ray are changed while it starts.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Prestarted", "bare_actors", "bare_ray"]

NOWHERE = 1
"""The port of an agent that is not there: nobody listens."""

KEEP_IDLE = {"RAY_kill_idle_workers_interval_ms": "0"}
"""Lets a raylet keep prestarted workers: it ended one now and then that had waited for a second."""


@dataclass(frozen=True, kw_only=True)
class Prestarted:
    """Workers that start with Ray and load their libraries before there is anything to train.

    Where Ray has a GPU there are none: a worker is told of its GPU before it loads PyTorch.

    Attributes:
        cpus: CPUs that each is to occupy: there are as many as fit.
        most: How many there are at the most; None: as many as fit.
        modules: What they load.
    """

    cpus: float
    most: int | None
    modules: tuple[str, ...]

    def count(self, command: Sequence[str]) -> int:
        """How many there are to be.

        Args:
            command: Starts the raylet.
        """
        given = dict(each.partition("=")[::2] for each in command)
        resources = given["--static_resource_list"].split(",")
        amounts = dict(zip(resources[::2], map(float, resources[1::2]), strict=True))
        if amounts.get("GPU") or not self.cpus:
            return 0
        fit = math.floor(amounts["CPU"] / self.cpus + 1e-9)
        return fit if self.most is None else min(fit, self.most)


@contextmanager
def bare_ray(*, verbose: bool, prestarted: Prestarted | None = None) -> Iterator[None]:
    """Let the Ray that is started inside be one for a search on this machine alone.

    Args:
        verbose: Whether the driver wants the workers' output.
        prestarted: Workers that start with it.
    """
    with _loopback(), _without_monitors(verbose=verbose), _bare_raylet(prestarted):
        yield


@contextmanager
def _loopback() -> Iterator[None]:
    """Let the Ray that is started inside listen on the loopback interface alone.

    On Linux Ray turns 127.0.0.1 into the machine's own address and then listens on every interface,
    unless it is told, by a variable named after other systems, that there will be no cluster. It is
    read when Ray is imported, so this process is told once more.
    """
    from ray._private import ray_constants

    variable = ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR
    before = os.environ.get(variable), ray_constants.ENABLE_RAY_CLUSTER
    os.environ[variable], ray_constants.ENABLE_RAY_CLUSTER = "0", False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before[1]
        if before[0] is None:
            del os.environ[variable]
        else:
            os.environ[variable] = before[0]


@contextmanager
def _without_monitors(*, verbose: bool) -> Iterator[None]:
    """Let the Ray that is started inside do without processes that nobody here asks.

    `ray.init` always starts a server for the dashboard, also where there is none, a monitor for
    machines to be added, and one that sends the workers' output to a driver that wants it: together
    almost two CPU seconds, and half of the time until Ray is ready. Only `ray start` has options
    against them.
    """
    from ray._private.node import Node

    with ExitStack() as stack:
        for name in ("start_api_server", "start_monitor", "start_log_monitor"):
            if name != "start_log_monitor" or not verbose:
                stack.callback(setattr, Node, name, getattr(Node, name))
                setattr(Node, name, lambda *_, **__: None)
        yield


@contextmanager
def _bare_raylet(prestarted: Prestarted | None) -> Iterator[None]:
    """Let the Ray that is started inside do without its agents, and prestart what it is told.

    A raylet wants two: one for logs, metrics and submitted jobs, one that sets up environments for
    actors. They cost a CPU second and a half, and Ray is not ready before they are. Each has a
    stand-in that does nothing for as long as the raylet lives; see `bare_actors`. Where Ray's
    dashboard is installed its libraries would be loaded here, to tell an agent that they are there.
    It would prestart a worker for each CPU.
    """
    import ray._raylet
    from ray._private import ray_constants, services, utils

    raylet: Any = ray._raylet
    start, missing = services.start_ray_process, utils.get_dashboard_dependency_error
    agents = ("--dashboard_agent_command", "--runtime_env_agent_command")
    file = Path(__file__).with_name("stand_in.py")
    stand_in = subprocess.list2cmdline([sys.executable, "-I", "-S", str(file), str(os.getpid())])

    def started(command: list[str], process_type: str, *args: Any, **kwargs: Any) -> Any:
        if process_type == ray_constants.PROCESS_TYPE_RAYLET:
            given = dict(each.partition("=")[::2] for each in command)
            for port in (
                raylet.METRICS_AGENT_PORT_NAME,
                raylet.METRICS_EXPORT_PORT_NAME,
                raylet.DASHBOARD_AGENT_LISTEN_PORT_NAME,
                raylet.RUNTIME_ENV_AGENT_PORT_NAME,
            ):
                raylet.persist_port(given["--session_dir"], given["--node_id"], port, NOWHERE)
            command = [
                f"{name}={stand_in}" if (name := each.partition("=")[0]) in agents else each
                for each in command
            ]
            if prestarted is not None:
                command.append(f"--num_prestart_python_workers={prestarted.count(command)}")
                kwargs["env_updates"] = {**(kwargs.get("env_updates") or {}), **KEEP_IDLE}
        return start(command, process_type, *args, **kwargs)

    services.start_ray_process = started
    utils.get_dashboard_dependency_error = ImportError
    try:
        yield
    finally:
        services.start_ray_process = start
        utils.get_dashboard_dependency_error = missing


@contextmanager
def bare_actors() -> Iterator[None]:
    """Let the actors that Tune makes inside have the environment of their Ray, and no other.

    Tune hands variables of this process to each, for which an agent would be asked. The processes
    of a Ray of our own have them anyway.
    """
    import ray
    from ray.tune.execution.class_cache import _ActorClassCache

    get = _ActorClassCache.get
    _ActorClassCache.get = lambda self, cls: self._cache.setdefault(cls, ray.remote(cls))
    try:
        yield
    finally:
        _ActorClassCache.get = get
