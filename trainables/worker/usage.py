"""What a worker takes of its machine, told with what it reports anyway."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

import psutil

__all__ = ["Usage", "together"]

SECONDS = 2.0
"""It is looked at no more often: a look takes some 50 microseconds, and steps may be as short."""


class Usage:
    """Of this process; of a GPU what PyTorch has set aside on it for this process."""

    def __init__(self) -> None:
        """Count from now on."""
        self._process = psutil.Process()
        self._process.cpu_percent()  # The first call has nothing to compare with.
        self._looked = time.monotonic()

    def look(self, every: float | None = None) -> list[dict[str, Any]]:
        """What is taken now.

        Args:
            every: Seconds before which it is not looked at again; `SECONDS` where none are named.

        Returns:
            ``cpu``: CPUs in use since the last look, 1.0 is one of them; ``memory``: resident
            bytes; ``gpu_memory`` and ``gpu_total``: bytes, None without a GPU. Nothing where the
            last look was just now.
        """
        now = time.monotonic()
        if now - self._looked < (SECONDS if every is None else every):
            return []
        self._looked = now
        gpu_memory = gpu_total = None
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_initialized():
            gpu_memory = torch.cuda.memory_reserved()
            gpu_total = torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
        usage = {
            "cpu": self._process.cpu_percent() / 100,
            "memory": self._process.memory_info().rss,
            "gpu_memory": gpu_memory,
            "gpu_total": gpu_total,
        }
        return [usage]


def together(usages: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What several processes take, none of which shares a GPU with another."""
    found: dict[str, Any] = {}
    for name in usages[0]:
        known = [each[name] for each in usages if each[name] is not None]
        found[name] = sum(known) if known else None
    return found
