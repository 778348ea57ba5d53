"""What is looked for in a study whose launches were killed, and what was found."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import sqlalchemy as sa

from storage import Store
from storage.admin.check import check_store
from storage.tables import schema

from . import searches
from .searches import Curve, Losses

__all__ = ["COUNTS", "Findings", "inspect"]

COUNTS = (
    *("studies", "launches", "kills", "moments", "resumed_epochs", "epochs_together"),
    *("longest_seconds", "seeds"),
)
"""What is no fault."""


@dataclass(kw_only=True)
class Findings(Losses):
    """What kills did to searches. Everything but `COUNTS` must be zero, or empty.

    Attributes:
        studies: Studies run to their end under fire.
        launches: Launches that took.
        kills: Kills by victim.
        moments: Kills by what they waited for.
        resumed_epochs: Epochs that later launches found done and did not train again.
        epochs_together: Epochs in which a run was trained as one model with others.
        longest_seconds: For how long a process outlived its launch, at the most.
        seeds: The seeds of the harness's own runs.
        epoch_error: Epochs that the store counts, too many or too few.
        repeated_proposals: Trials whose parameters an earlier one has, beyond those that the
            undisturbed search repeats: its baseline is a point of the grid.
        checkpoints: Checkpoints left behind.
        directories: Temporary directories left behind.
        processes: Processes left behind.
        inconsistencies: What ``python -m storage check`` finds.
        bad_exits: Launches that ended by themselves with another status than 0, and what they said.
    """

    studies: int = 0
    launches: int = 0
    kills: dict[str, int] = field(default_factory=dict)
    moments: dict[str, int] = field(default_factory=dict)
    resumed_epochs: int = 0
    epochs_together: int = 0
    longest_seconds: float = 0.0
    seeds: list[int] = field(default_factory=list)
    epoch_error: int = 0
    repeated_proposals: int = 0
    checkpoints: int = 0
    directories: int = 0
    processes: int = 0
    inconsistencies: list[str] = field(default_factory=list)
    bad_exits: list[str] = field(default_factory=list)

    @property
    def n_kills(self) -> int:
        """Kills of every kind."""
        return sum(self.kills.values())

    @property
    def faults(self) -> dict[str, Any]:
        """What should not be there."""
        return {key: value for key, value in asdict(self).items() if value and key not in COUNTS}

    def count_kill(self, victim: str, moment: str) -> None:
        """Count one kill."""
        self.kills[victim] = self.kills.get(victim, 0) + 1
        self.moments[moment] = self.moments.get(moment, 0) + 1

    def plus(self, other: Findings) -> Findings:
        """The findings of two runs of the harness together."""
        mine, theirs = asdict(self), asdict(other)
        both: dict[str, Any] = {}
        for key, value in mine.items():
            if key == "longest_seconds":
                both[key] = max(value, theirs[key])
            elif isinstance(value, dict):
                keys = sorted(value.keys() | theirs[key].keys())
                both[key] = {each: value.get(each, 0) + theirs[key].get(each, 0) for each in keys}
            else:
                both[key] = value + theirs[key]
        return Findings(**both)


def inspect(
    store: Store,
    name: str,
    space: dict[str, Any],
    findings: Findings,
    expected: dict[str, Curve],
) -> None:
    """Add what a study that is done has lost, or has too much of.

    Args:
        store: The store.
        name: The study.
        space: From `searches.make_space`.
        findings: Added to.
        expected: From an undisturbed search.
    """
    searches.inspect(store, name, space, findings, expected)
    study_id = store.study_id(name)
    n_epochs = space["budget"]["trials"] * space["training"]["epochs"]
    findings.epoch_error += abs(store.n_epochs(study_id) - n_epochs)
    # The undisturbed search, too, comes back to its baseline, which is a point of the grid.
    distinct = len(searches.curves(store, name))
    findings.repeated_proposals += max(0, len(expected) - distinct)
    runs = store.runs(study_id)
    findings.resumed_epochs += _resumed(store, [run.run_id for run in runs])
    epochs = store.epochs(run.run_id for run in runs)
    findings.epochs_together += sum(n for n in searches.runs_of_steps(store, name) if n > 1)
    for run in runs:
        # Each epoch adds its seconds to its run's, so one that was heard twice shows there.
        seconds = sum(epoch.seconds for epoch in epochs[run.run_id])
        findings.duplicate_reports += not math.isclose(seconds, run.train_seconds, rel_tol=1e-6)
    findings.inconsistencies += [str(each) for each in check_store(store).findings]


def _resumed(store: Store, run_ids: list[int]) -> int:
    """Epochs that were in the store before the launch that ended their run began."""
    query = (
        sa.select(sa.func.count())
        .select_from(schema.epochs)
        .join(schema.runs, schema.runs.c.run_id == schema.epochs.c.run_id)
        .where(schema.runs.c.run_id.in_(run_ids))
        .where(schema.epochs.c.launch_id != schema.runs.c.launch_id)
    )
    with store.engine.connect() as connection:
        return int(connection.execute(query).scalar() or 0)
