"""A real Ray cluster on this machine: nodes with processes of their own, to be killed."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

__all__ = ["Cluster"]

RAY = (sys.executable, "-m", "ray.scripts.scripts")
"""The command ``ray`` of this Python."""
TOKEN = "0123456789abcdef0123456789abcdef"
MARK = "SEARCH_TEST_NODE"
"""An environment variable that every process of a node inherits."""
MEMORY = 100 * 2**20
"""Bytes of a node's object store."""


class Cluster:
    """Ray nodes on this machine, each with processes of its own.

    Attributes:
        environment: What its nodes have in theirs, and who joins them needs.
        address: Where it is joined, once it has a head.
        url: Where the head has its dashboard, if it has one.
    """

    def __init__(self, directory: Path, *, dashboard: bool = False) -> None:
        """No node is there yet.

        Args:
            directory: Where what they say lies.
            dashboard: Whether the head has one, at `url`; it takes ray[default].
        """
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": TOKEN,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_health_check_period_ms": "1000",
            "RAY_health_check_failure_threshold": "3",
        }
        self._directory = directory
        self._nodes: list[subprocess.Popen[str]] = []
        self.address = ""
        self._of_head = ["--include-dashboard=false"]
        self.url = ""
        if dashboard:
            with ExitStack() as stack:
                ports = [
                    stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
                    for _ in range(3)
                ]
            self.url = f"http://127.0.0.1:{ports[0]}"
            self._of_head = [
                "--dashboard-host=127.0.0.1",
                f"--dashboard-port={ports[0]}",
                f"--dashboard-agent-listen-port={ports[1]}",
                f"--ray-client-server-port={ports[2]}",
            ]

    @property
    def n_nodes(self) -> int:
        """How many nodes were started."""
        return len(self._nodes)

    def add(self, *options: str) -> None:
        """Start a node; the first one is the head.

        Args:
            options: More of ``ray start``, e.g. ``"--num-cpus=1"``.

        Raises:
            RuntimeError: If it does not start.
        """
        place = len(self._nodes)
        where = (
            ["--head", "--port=0", *self._of_head]
            if not self.address
            else [f"--address={self.address}"]
        )
        log = self._directory / f"node-{place}.log"
        with log.open("w") as stream:
            node = subprocess.Popen(
                [*RAY, "start", "--block", *where, *options, f"--object-store-memory={MEMORY}"],
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
                    if match is None:
                        raise RuntimeError(f"the head does not say where it is: {said}")
                    self.address = match.group(1)
                return
            if node.poll() is not None:
                raise RuntimeError(f"a Ray node did not start: {said}")
            time.sleep(0.1)
        raise RuntimeError(f"a Ray node did not start within two minutes: {log.read_text()}")

    def place_of(self, pid: int) -> int | None:
        """The place of the node that a process belongs to."""
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            return None
        marks = [f"{MARK}={self._mark(place)}".encode() for place in range(len(self._nodes))]
        return next((place for place, mark in enumerate(marks) if mark in environment), None)

    def kill(self, place: int) -> int:
        """SIGKILL every process of a node; say how many there were."""
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
