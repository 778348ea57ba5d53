"""Launches without Ray: everything but the processes of its workers is real."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ray.tune.utils import flatten_dict

from search.runs.run_ledger import RunLedger
from search.workers.ray_session import Slots
from search.workers.workers import GroupSize, Workers
from search.workers.workplace import OpenWorkplace
from trainables.worker.ray_trainable import RunTrainable

__all__ = ["Here", "train_here"]


class Here:
    """Trains what launches assign in this process, an epoch of each worker in turn.

    Attributes:
        at: What happens once so many epochs are trained, over all launches.
        n_epochs: Epochs trained.
    """

    def __init__(self) -> None:
        self.at: dict[int, Callable[[], object]] = {}
        self.n_epochs = 0

    def run_tune(
        self,
        ledger: RunLedger[Any],
        place: OpenWorkplace,
        group_size: GroupSize,
        on_step: Callable[[], str | None],
    ) -> str:
        """As `search.workers.tune.run_tune`."""
        crew = Workers(
            ledger,
            n_workers=place.slots.concurrency,
            size=group_size,
            files=place.files,
        )
        names = map(str, itertools.count())
        held: dict[str, RunTrainable] = {}
        while True:
            reason = on_step()
            if reason is not None:
                return reason
            while (config := crew.open(name := next(names))) is not None:
                held[name] = RunTrainable.__new__(RunTrainable)
                held[name].setup(config, place.data)
            if crew.is_done:
                return "done"
            for name, worker in list(held.items()):
                step = flatten_dict(worker.step())  # As Tune takes results apart.
                change = crew.hear(name, **step)
                if change is None:
                    del held[name]
                else:
                    worker.change(change.drop, change.add)
                for _each in step["reports"]:
                    self.n_epochs += 1
                    self.at.pop(self.n_epochs, lambda: None)()


def train_here(monkeypatch: pytest.MonkeyPatch, scratch: Path) -> Here:
    """Let launches, confirmations and benchmarks train in this process, with two workers."""

    @contextmanager
    def no_ray(_address: str | None, *, verbose: bool) -> Iterator[Path]:
        yield scratch

    def slots_for(_resources: Any, concurrency: Any, _training: Any) -> Slots:
        n_workers = 2 if concurrency == "auto" else min(2, concurrency)
        return Slots(cpus=2, gpus=0, nodes=1, concurrency=n_workers, gpus_per_trial=0)

    here = Here()
    for module in ("search.launch.study", "search.workers.train_queue"):
        monkeypatch.setattr(f"{module}.run_tune", here.run_tune)
    monkeypatch.setattr("search.workers.workplace.ray_session", no_ray)
    monkeypatch.setattr("search.workers.workplace.slots_for", slots_for)
    return here
