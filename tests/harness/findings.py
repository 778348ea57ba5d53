"""What is looked for in a study whose launches were killed, and what was found."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from typing import Any

import optuna
import sqlalchemy as sa
from optuna.trial import TrialState

from storage import Store, schema
from storage.check import check_store

__all__ = ["COUNTS", "Curves", "Findings", "curves", "inspect"]

Curve = tuple[tuple[float | None, ...], ...]
Curves = dict[str, Curve]
"""Parameters as JSON -> every number of every epoch but its seconds."""

COUNTS = ("studies", "launches", "kills", "moments", "resumed_epochs", "longest_seconds", "seeds")
"""What is no fault."""


@dataclass(kw_only=True)
class Findings:
    """What kills did to searches. Everything but `COUNTS` must be zero, or empty.

    Attributes:
        studies: Studies run to their end under fire.
        launches: Launches that took.
        kills: Kills by victim.
        moments: Kills by what they waited for.
        resumed_epochs: Epochs that later launches found done and did not train again.
        longest_seconds: For how long a process outlived its launch, at the most.
        seeds: The seeds of the harness's own runs.
        lost_trials: Trials of the budget that are not complete at the end.
        budget_error: Trials too many or too few.
        epoch_error: Epochs that the store counts, too many or too few.
        baselines_twice: Baselines enqueued more than once.
        repeated_proposals: Trials whose parameters an earlier one has, beyond those that the
            undisturbed search repeats: its baseline is a point of the grid.
        missing_reports: Epochs missing in our tables or in Optuna's.
        duplicate_reports: Epochs counted twice, or beyond the last.
        changed_numbers: Trials with a number unlike that of the undisturbed search.
        zombies: Trials, runs or launches that still count as running at the end.
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
    longest_seconds: float = 0.0
    seeds: list[int] = field(default_factory=list)
    lost_trials: int = 0
    budget_error: int = 0
    epoch_error: int = 0
    baselines_twice: int = 0
    repeated_proposals: int = 0
    missing_reports: int = 0
    duplicate_reports: int = 0
    changed_numbers: int = 0
    zombies: int = 0
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
    store: Store, name: str, expected: Curves, *, n_trials: int, n_epochs: int, findings: Findings
) -> None:
    """Add what a study that is done has lost, or has too much of.

    Args:
        store: The store.
        name: The study.
        expected: The undisturbed study's curves.
        n_trials: The budget.
        n_epochs: Epochs of each trial.
        findings: Where to add it.
    """
    study = optuna.load_study(study_name=name, storage=store.optuna_storage)
    trials = study.get_trials(deepcopy=False)
    runs = store.runs(study._study_id)
    launches = store.launches(study._study_id)
    findings.lost_trials += n_trials - sum(trial.state == TrialState.COMPLETE for trial in trials)
    findings.budget_error += abs(len(trials) - n_trials)
    findings.epoch_error += abs(store.n_epochs(study._study_id) - n_trials * n_epochs)
    findings.baselines_twice += sum("baseline" in trial.user_attrs for trial in trials) - 1
    distinct = {json.dumps(trial.params, sort_keys=True) for trial in trials}
    findings.repeated_proposals += max(0, len(expected) - len(distinct))
    findings.zombies += sum(trial.state == TrialState.RUNNING for trial in trials)
    findings.zombies += sum(run.state == "running" for run in runs)
    findings.zombies += sum(launch.status == "running" for launch in launches)
    findings.resumed_epochs += _resumed(store, [run.run_id for run in runs])
    wanted = set(range(1, n_epochs + 1))
    epochs = store.epochs(run.run_id for run in runs)
    for run in runs:
        numbers = [epoch.epoch for epoch in epochs[run.run_id]]
        findings.missing_reports += len(wanted - set(numbers))
        findings.duplicate_reports += len(numbers) - len(set(numbers))
        # Each epoch adds its seconds to its run's, so one that was heard twice shows there.
        seconds = sum(epoch.seconds for epoch in epochs[run.run_id])
        findings.duplicate_reports += not math.isclose(seconds, run.train_seconds, rel_tol=1e-6)
    for trial in trials:
        steps = set(trial.intermediate_values)
        findings.missing_reports += len(wanted - steps)
        findings.duplicate_reports += len(steps - wanted)
    found = curves(store, name)
    findings.changed_numbers += sum(found.get(key) != curve for key, curve in expected.items())
    findings.changed_numbers += len(found.keys() - expected.keys())
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


def curves(store: Store, name: str) -> Curves:
    """The curves of a study's trials."""
    study = optuna.load_study(study_name=name, storage=store.optuna_storage)
    params = {trial._trial_id: trial.params for trial in study.get_trials(deepcopy=False)}
    found = {}
    for run in store.runs(study._study_id):
        epochs = store.epochs([run.run_id])[run.run_id]
        found[json.dumps(params[run.trial_id or 0], sort_keys=True)] = tuple(
            (each.epoch, each.train_loss, each.val_loss, each.train_error, each.val_error)
            for each in epochs
        )
    return found
