"""How much memory workers' processes take up, seen from outside of them.

A worker that hangs, swaps or holds Python's lock answers nobody. So an actor of Ray's that does
nothing else looks at the processes of its machine; the driver asks it and waits for no answer.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import psutil
import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

__all__ = ["LOOK_SECONDS", "MemoryWatch", "Onlooker"]

LOOK_SECONDS = 0.25
"""How often the processes are looked at."""


class Onlooker:
    """Looks at processes of the machine that it is on."""

    def resident(self, pids: Sequence[int]) -> dict[int, int]:
        """The resident memory of some processes in bytes; those that are gone are left out."""
        found: dict[int, int] = {}
        for pid in pids:
            try:
                found[pid] = psutil.Process(pid).memory_info().rss
            except psutil.Error:
                continue
        return found


class _Home(NamedTuple):
    """Where a worker's process is."""

    node: str
    pid: int


class MemoryWatch:
    """Asks an `Onlooker` on each machine that has workers."""

    def __init__(self) -> None:
        """Nothing is looked at yet."""
        self._homes: dict[str, _Home] = {}
        self._onlookers: dict[str, Any] = {}
        """Machine -> who looks there."""
        self._asked: dict[Any, str] = {}
        """An answer to come -> of which machine."""
        self._next = 0.0

    def look(self, workers: Mapping[str, Any]) -> dict[str, int]:
        """What has become known of some workers since the last time; waits for nothing.

        Args:
            workers: Worker -> its actor, of those that are up.

        Returns:
            Worker -> bytes of resident memory.
        """
        self._homes = {
            worker: self._homes.get(worker) or _home(actor) for worker, actor in workers.items()
        }
        sizes = self._answers()
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + LOOK_SECONDS
            self._ask()
        return {worker: sizes[home] for worker, home in self._homes.items() if home in sizes}

    def _answers(self) -> dict[_Home, int]:
        asked = list(self._asked)
        ready = ray.wait(asked, num_returns=len(asked), timeout=0)[0] if asked else []
        found: dict[_Home, int] = {}
        for answer in ready:
            node = self._asked.pop(answer)
            try:
                sizes = ray.get(answer)
            except RayError:  # The onlooker died; another is asked the next time.
                del self._onlookers[node]
                continue
            found |= {_Home(node, pid): size for pid, size in sizes.items()}
        return found

    def _ask(self) -> None:
        nodes = {home.node for home in self._homes.values()}
        for node in nodes.difference(self._asked.values()):
            if node not in self._onlookers:
                self._onlookers[node] = _onlooker(node)
            pids = [home.pid for home in self._homes.values() if home.node == node]
            self._asked[self._onlookers[node].resident.remote(pids)] = node


def _home(actor: Any) -> _Home:
    """Where an actor's process is.

    Ray's public way to ask goes through the server of its dashboard, which a Ray of ours has not.
    """
    from ray._private import state

    found = state.actors(actor._actor_id.hex())
    return _Home(found["Address"]["NodeID"], found["Pid"])


def _onlooker(node: str) -> Any:
    here = NodeAffinitySchedulingStrategy(node, soft=False)
    return ray.remote(Onlooker).options(num_cpus=0, scheduling_strategy=here).remote()
