"""The services of the compose file as processes, beside a PostgreSQL server of the tests."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator

from .image import Image, Service

__all__ = ["Running", "service_up", "wait_for"]

PATIENCE_SECONDS = 300
"""For what takes seconds on a quiet machine."""


def wait_for(what: str, process: subprocess.Popen[str], is_so: Callable[[], bool]) -> None:
    """Wait until something is so.

    Raises:
        AssertionError: If it is not in time, or a process ends before.
    """
    until = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert process.poll() is None, f"{what}: it ended with {process.returncode}"
        assert time.monotonic() < until, f"{what}: not within {PATIENCE_SECONDS} s"
        time.sleep(0.2)


class Running:
    """The services that are up.

    Attributes:
        port: Where the server listens.
        processes: Name of a service -> its process, of those that go on.
    """

    def __init__(self, image: Image, services: list[Service], database: str) -> None:
        """Nothing is up yet.

        Args:
            image: What the services of ours are made of.
            services: In the order in which they begin.
            database: The database's host and port, in the place of its name.
        """
        self._image, self._services, self._database = image, services, database
        self.processes: dict[str, subprocess.Popen[str]] = {}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]

    def up(self) -> None:
        """Start what is of our image, each after what it waits for."""
        for service in self._services:
            if service.image != "search":
                continue
            command = list(service.command)
            if service.name == "server":
                command += ["--port", str(self.port)]
            process = self._image.start(command, self.environment(service))
            if any(
                other.needs.get(service.name) == "service_completed_successfully"
                for other in self._services
            ):
                assert process.wait(PATIENCE_SECONDS) == 0, service.name
            else:
                self.processes[service.name] = process
        wait_for("the server", self.processes["server"], lambda: self.get("/") is not None)

    def environment(self, service: Service) -> dict[str, str]:
        """A service's variables, with the database where it is here."""
        return {
            key: value.replace("@database/", f"@{self._database}/")
            for key, value in service.environment.items()
        }

    def get(self, path: str) -> str | None:
        """What the server answers; None where it does not yet."""
        (server,) = (each for each in self._services if each.name == "server")
        user = f"{server.environment['SEARCH_DASHBOARD_USER']}:"
        user += server.environment["SEARCH_DASHBOARD_PASSWORD"]
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}")
        request.add_header("Authorization", f"Basic {b64encode(user.encode()).decode()}")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError:
            raise
        except OSError:
            return None

    def run(self, command: str) -> str:
        """What a command says that somebody types, who has the agents' environment."""
        (agent,) = (each for each in self._services if each.name == "agent")
        process = self._image.start(
            shlex.split(command), self.environment(agent), stdout=subprocess.PIPE
        )
        said, _ = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0, command
        return said

    def down(self) -> dict[str, int]:
        """Stop all as the engine does, by SIGTERM; name of a service -> its exit status."""
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        return {name: each.wait(PATIENCE_SECONDS) for name, each in self.processes.items()}


@contextlib.contextmanager
def service_up(image: Image, services: list[Service], database: str) -> Iterator[Running]:
    """The service, for as long as the block lasts."""
    running = Running(image, services, database)
    try:
        running.up()
        yield running
    finally:
        for process in running.processes.values():
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
                process.wait()
