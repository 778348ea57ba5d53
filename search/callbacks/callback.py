"""What is told of a run, and what a class does that is told of runs."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["WAITING", "Callback", "ToldEpoch", "ToldRun"]

WAITING = "WAITING"
"""The state of a run that was interrupted and goes on later."""


@dataclass(frozen=True, kw_only=True)
class ToldEpoch:
    """An epoch of a run.

    Attributes:
        epoch: Its number, 1 for the first.
        metrics: Metric with its split, such as ``"val_error"`` -> value; NaN where it is not
            finite.
        reported_at: When it was reported.
    """

    epoch: int
    metrics: Mapping[str, float]
    reported_at: datetime.datetime


@dataclass(frozen=True, kw_only=True)
class ToldRun:
    """A run as the store has it.

    Attributes:
        uid: What tells it from every other run of any store.
        group: Its study's or its benchmark's name.
        purpose: "search", "confirm" or "benchmark".
        name: What it is called within its group, e.g. ``"trial 3"``.
        trial: Its trial's number; None for a benchmark's.
        params: Parameter -> value of its trial; empty for a benchmark's.
        config: Dotted path -> value: all that it depends on.
        provenance: Config hash, git commit, data fingerprint and what else is known of its origin.
        state: "RUNNING", "COMPLETE", "PRUNED", "FAIL" or "WAITING": interrupted, to go on later.
        reason: Why it was pruned or failed.
        n_epochs: Epochs that it has.
        kept: Metric -> value of the state that it keeps; of a benchmark's run the test metrics,
            too.
        started_at: When it began.
        ended_at: When it ended, or was interrupted.
    """

    uid: str
    group: str
    purpose: str
    name: str
    trial: int | None
    params: Mapping[str, Any]
    config: Mapping[str, Any]
    provenance: Mapping[str, str]
    state: str
    reason: str | None
    n_epochs: int
    kept: Mapping[str, float]
    started_at: datetime.datetime
    ended_at: datetime.datetime | None

    @property
    def slug(self) -> str:
        """Its name and the beginning of its uid, as a folder may be called."""
        return f"{re.sub(r'[^A-Za-z0-9._-]+', '-', self.name).strip('-')}-{self.uid[:8]}"


class Callback:
    """Is told of runs as the store has them, in a thread of its own; a base with nothing to do.

    For each run `begin` is called, then `epochs` whenever there are new ones, then `end`; and once
    more from `begin` where an interrupted run goes on.

    Whatever a method does, the search goes on. A callback that raises is told nothing more by that
    launch, which says so once. A method may take as long as it likes: what is recorded meanwhile is
    told together afterwards.
    """

    catches_up = False
    """Whether it is told of the runs of earlier launches, too; then it has to say by `has` and
    `begin` what it knows of them."""

    def has(self, run: ToldRun) -> bool:
        """Whether it has all there is of a run that does not go on for now."""
        return False

    def begin(self, run: ToldRun) -> int | None:
        """A run began, or goes on.

        Returns:
            How many of its epochs it has already, which are not told again; None: none.
        """
        return None

    def epochs(self, run: ToldRun, epochs: Sequence[ToldEpoch]) -> None:
        """Some epochs of a run were recorded; they are in order."""
        return

    def end(self, run: ToldRun) -> None:
        """A run ended, or was interrupted; its state and its reason say how."""
        return

    def close(self) -> None:
        """The launch ends."""
        return
