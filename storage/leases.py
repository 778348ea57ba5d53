"""Which launches are alive: a launch holds its trials by a lease that its heartbeats renew.

How long a launch was silent is measured by the store's clock alone; see `storage.tables.clock`.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path

from storage.connect.outage import OUTAGE_SECONDS
from storage.tables.records import LaunchRecord

__all__ = ["LEASE_SECONDS", "is_alive", "is_heard_of", "latest_status", "process_mark", "status_of"]

LEASE_SECONDS = OUTAGE_SECONDS + 30.0
"""A launch that was not heard of for so long is dead, and its trials are free to go on; one that
rides an outage of the database out is not."""


def is_alive(launch: LaunchRecord, *, allowed_silence: float = LEASE_SECONDS) -> bool:
    """Whether a launch may still be running its trials.

    Its lease tells; where it ran on this very machine, so does the absence of its process.

    Args:
        launch: The launch, as it was read just now.
        allowed_silence: Seconds without a heartbeat, infinite where silence tells nothing.
    """
    return launch.status == "running" and is_heard_of(
        launch.host, launch.pid, launch.process, launch.silence, allowed_silence=allowed_silence
    )


def is_heard_of(
    host: str,
    pid: int,
    process: str | None,
    silence: float,
    *,
    allowed_silence: float = LEASE_SECONDS,
) -> bool:
    """Whether a process that holds something by its heartbeats may still be alive.

    Args:
        host: Its machine.
        pid: Its number there.
        process: `process_mark` of it, where that was recorded.
        silence: Seconds since it was heard of last.
        allowed_silence: As for `is_alive`.
    """
    if host == platform.node() and _has_ended(pid, process):
        return False
    return silence < allowed_silence


def status_of(launch: LaunchRecord) -> str:
    """How a launch ended, or that it runs; one that was killed could not say so itself.

    Args:
        launch: The launch.

    Returns:
        Its status; "died" where it is said to run, and does not.
    """
    return "died" if launch.status == "running" and not is_alive(launch) else launch.status


def latest_status(launches: Sequence[LaunchRecord]) -> str | None:
    """What has become of the work of some launches, oldest first.

    Returns:
        "running" where one of them is alive, else how the last of them ended; None without any.
    """
    statuses = [status_of(launch) for launch in launches]
    return "running" if "running" in statuses else (statuses[-1] if statuses else None)


def process_mark(pid: int) -> str | None:
    """What tells a process from all others of its number, here or on a machine of the same name.

    Machines and containers may share a name, and numbers are used again: it is the run of the
    machine, what numbers its processes, and the process's begin, counted from the machine's.

    Returns:
        The three; None where there is no such process, or the system does not tell.
    """
    stat = _stat(pid)
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        numbered_by = Path("/proc/self/ns/pid").readlink()
    except OSError:
        return None
    return None if stat is None else f"{boot} {numbered_by} {stat[19]}"


def _has_ended(pid: int, mark: str | None) -> bool:
    """Whether a process of a machine of this one's name is known to have ended.

    Args:
        pid: Its number.
        mark: What told it from others, where that was recorded.
    """
    here = process_mark(os.getpid())
    if here is None or (mark is not None and mark.split()[:2] != here.split()[:2]):
        return False  # Of another machine's processes nothing is known.
    stat = _stat(pid)
    # One that has ended keeps its number until somebody has waited for it.
    return stat is None or stat[0] in ("Z", "X") or mark not in (None, process_mark(pid))


def _stat(pid: int) -> list[str] | None:
    """What Linux tells of a process, from its state on; None where there is none."""
    try:
        # The state follows the program's name, which may itself hold parentheses and blanks.
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return text.rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
