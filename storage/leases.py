"""Which launches are alive: a launch holds its trials by a lease that its heartbeats renew."""

from __future__ import annotations

import platform
from pathlib import Path

from storage.outage import OUTAGE_SECONDS
from storage.records import LaunchRecord
from storage.schema import utc_now

__all__ = ["LEASE_SECONDS", "is_alive"]

LEASE_SECONDS = OUTAGE_SECONDS + 30.0
"""A launch that was not heard of for so long is dead, and its trials are free to go on; one that
rides an outage of the database out is not."""


def is_alive(launch: LaunchRecord) -> bool:
    """Whether a launch may still be running its trials.

    Its lease tells; where it ran on this very machine, so does the absence of its process. That a
    process has its number says nothing: numbers are used again.
    """
    if launch.status != "running":
        return False
    processes = Path("/proc")
    if (
        launch.host == platform.node()
        and processes.exists()
        and not (processes / str(launch.pid)).exists()
    ):
        return False
    return (utc_now() - launch.heartbeat_at).total_seconds() < LEASE_SECONDS
