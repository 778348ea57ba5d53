"""Which launches are alive: a launch holds its trials by a lease that its heartbeats renew."""

from __future__ import annotations

import platform
from pathlib import Path

from storage.connect.outage import OUTAGE_SECONDS
from storage.tables.records import LaunchRecord
from storage.tables.schema import utc_now

__all__ = ["LEASE_SECONDS", "is_alive", "status_of"]

LEASE_SECONDS = OUTAGE_SECONDS + 30.0
"""A launch that was not heard of for so long is dead, and its trials are free to go on; one that
rides an outage of the database out is not."""


def is_alive(launch: LaunchRecord, *, allowed_silence: float = LEASE_SECONDS) -> bool:
    """Whether a launch may still be running its trials.

    Its lease tells; where it ran on this very machine, so does the absence of its process. That a
    process has its number says nothing: numbers are used again.

    Args:
        launch: The launch.
        allowed_silence: Seconds without a heartbeat, infinite where silence tells nothing.
    """
    if launch.status != "running":
        return False
    if launch.host == platform.node() and _has_ended(launch.pid):
        return False
    return (utc_now() - launch.heartbeat_at).total_seconds() < allowed_silence


def status_of(launch: LaunchRecord) -> str:
    """How a launch ended, or that it runs; one that was killed could not say so itself.

    Args:
        launch: The launch.

    Returns:
        Its status; "died" where it is said to run, and does not.
    """
    return "died" if launch.status == "running" and not is_alive(launch) else launch.status


def _has_ended(pid: int) -> bool:
    """Whether no process of this machine has a number, but for one that nobody has waited for."""
    processes = Path("/proc")
    if not processes.exists():
        return False
    try:
        # The state follows the program's name, which may itself hold parentheses and blanks.
        state = (processes / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state in ("Z", "X")
