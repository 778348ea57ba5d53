"""Launches of a search as a user makes them, their processes, and what outlives them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from .searches import MARK, ROOT

__all__ = ["WORKERS", "Launch", "Process", "Watch", "kill"]

WORKERS = ("ray::RunTrainable", "ray::_Inner")


@dataclass(frozen=True)
class Process:
    """A process; its number alone may belong to another one later.

    Attributes:
        pid: Its number.
        started: When it started, in clock ticks since the machine did.
        line: Its command line, or the title that it gave itself.
    """

    pid: int
    started: int
    line: str

    @property
    def is_worker(self) -> bool:
        """Whether it trains, or has just been started to."""
        return self.line.startswith(WORKERS)


def kill(process: Process) -> None:
    """SIGKILL, if it is still there."""
    try:
        os.kill(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _table() -> dict[int, tuple[int, Process]]:
    """The machine's processes: number -> number of the parent, and the process."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            # The name, in parentheses, may hold anything.
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if fields[0] not in ("Z", "X"):  # One that is dead but not waited for holds nothing.
            pid = int(entry.name)
            found[pid] = int(fields[1]), Process(pid, int(fields[19]), line.strip())
    return found


class Launch:
    """A running ``python -m search.launch``.

    Attributes:
        started: When it was begun (`time.monotonic`).
    """

    def __init__(self, command: list[str], *, url: str, temporary: Path) -> None:
        """Launch.

        Args:
            command: The arguments of ``python -m search.launch``.
            url: The store, named by the environment: it may have a password.
            temporary: Where it may make temporary files; must be short.
        """
        self._mark = f"{MARK}={uuid.uuid4().hex}".encode()
        key, _, value = self._mark.decode().partition("=")
        self.started = time.monotonic()
        self._driver = subprocess.Popen(
            [sys.executable, "-m", "search.launch", *command],
            cwd=ROOT,
            env={**os.environ, key: value, "SEARCH_STORAGE": url, "RAY_TMPDIR": str(temporary)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._seen: set[Process] = set()

    @property
    def runs(self) -> bool:
        """Whether its driver is there."""
        return self._driver.poll() is None

    def wait(self, seconds: float) -> None:
        """Wait so long, or until the driver ends."""
        try:
            self._driver.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            return

    def end(self) -> tuple[int, str]:
        """Wait for the driver's end; its exit status and what it said."""
        _, said = self._driver.communicate()
        return self._driver.returncode, said

    def processes(self) -> list[Process]:
        """The driver, if it is there, and all that descends from it."""
        table = _table()
        ours = [self._driver.pid] if self._driver.pid in table else []
        for pid in ours:
            ours += [child for child, (parent, _) in table.items() if parent == pid]
        found = [table[pid][1] for pid in ours]
        self._seen.update(found)
        return found

    def kill_driver(self) -> None:
        """SIGKILL to the driver; its other processes are remembered."""
        self.processes()
        self._driver.kill()

    def kill_everything(self) -> None:
        """SIGKILL to every process, those first that start others."""
        for process in self.processes():
            kill(process)

    def left(self) -> list[Process]:
        """Processes that are still there.

        Those that were seen as long as the driver lived, and those with the launch's mark: one that
        gives itself a title may write over its environment, and one may be started at any moment.
        """
        seen = {(process.pid, process.started) for process in self._seen}
        return [
            process
            for _, process in _table().values()
            if (process.pid, process.started) in seen or self._is_marked(process.pid)
        ]

    def _is_marked(self, pid: int) -> bool:
        try:
            return self._mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            return False


class Watch:
    """Looks in the background after what launches leave behind.

    Attributes:
        longest: Seconds for which a process outlived its launch, at the most.
        last: That process's command line.
    """

    LIMIT_SECONDS = 120.0
    """A process that outlives its launch for longer is left behind."""

    def __init__(self) -> None:
        """Begin with no launch to look after."""
        self.longest = 0.0
        self.last = ""
        self._ended: dict[Launch, float] = {}
        self._left: list[str] = []
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def add(self, launch: Launch) -> None:
        """Look after a launch that has just ended."""
        with self._lock:
            self._ended[launch] = time.monotonic()

    def finish(self) -> list[str]:
        """Wait for the last process; the command lines of those that did not end in time."""
        while True:
            with self._lock:
                if not self._ended:
                    return self._left
            time.sleep(0.2)

    def _run(self) -> None:
        while True:
            time.sleep(0.5)
            with self._lock:
                launches = list(self._ended.items())
            for launch, ended in launches:
                left = launch.left()
                age = time.monotonic() - ended
                if left and age > self.longest:
                    self.longest, self.last = age, left[0].line
                if left and age < self.LIMIT_SECONDS:
                    continue
                with self._lock:
                    del self._ended[launch]
                    self._left += [process.line for process in left]
                for process in left:
                    kill(process)
