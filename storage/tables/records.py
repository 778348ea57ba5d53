"""What the store holds of ours, as plain records."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import Any

from space import Reported, RunConfig

__all__ = [
    "BenchmarkConfig",
    "BenchmarkRecord",
    "EpochRecord",
    "LaunchRecord",
    "NewLaunch",
    "ResultRecord",
    "RunEpoch",
    "RunRecord",
    "StudyRecord",
    "TrialStep",
]


@dataclass(frozen=True, kw_only=True)
class StudyRecord:
    """The terms that all launches of a study share."""

    study_id: int
    created_at: datetime.datetime
    identity: dict[str, Any]
    metrics: list[str]
    data_source: str
    data_fingerprint: str


@dataclass(frozen=True, kw_only=True)
class NewLaunch:
    """What is known of a launch when it begins: who, where, with which config, code and data."""

    study_id: int | None
    command: str
    config: dict[str, Any]
    changes: list[str]
    git_commit: str | None
    git_dirty: bool | None
    versions: dict[str, str]
    hardware: dict[str, Any]
    data_source: str
    data_fingerprint: str
    host: str
    pid: int
    process: str | None = None
    """`storage.leases.process_mark` of it, where the system can tell."""


@dataclass(frozen=True, kw_only=True)
class LaunchRecord(NewLaunch):
    """One launch of a command; nothing had been heard of it for `silence` seconds when this was
    read, by the store's own clock."""

    launch_id: int
    status: str
    started_at: datetime.datetime
    heartbeat_at: datetime.datetime
    ended_at: datetime.datetime | None
    silence: float = field(compare=False, repr=False)


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One training run; `n_epochs` of its epochs are in the store, taking `train_seconds`.

    Its purpose is ``"search"``, ``"confirm"`` or ``"benchmark"``; its `uid` belongs to no other run
    of any store, and names its checkpoint. `n_parameters` are its network's trainable ones.
    """

    run_id: int
    uid: str
    launch_id: int
    study_id: int | None
    trial_id: int | None
    purpose: str
    replicate: int
    config_hash: str
    config: dict[str, Any]
    state: str
    reason: str | None
    worker: str | None
    started_at: datetime.datetime
    ended_at: datetime.datetime | None
    n_epochs: int
    best_epoch: int | None
    train_seconds: float
    n_parameters: int | None


@dataclass(frozen=True, kw_only=True)
class EpochRecord:
    """One epoch of a run, counted from 1; losses in nats, errors as fractions of the pairs.

    A metric that was not finite is None.
    """

    epoch: int
    train_loss: float | None
    val_loss: float | None
    train_error: float | None
    val_error: float | None
    seconds: float


@dataclass(frozen=True, kw_only=True)
class RunEpoch:
    """An epoch that a worker reported.

    Attributes:
        run_id: Its run.
        epoch: Its metrics.
        best_epoch: The epoch whose state the run keeps so far.
        worker: Where it was trained, e.g. ``"host pid device"``.
    """

    run_id: int
    epoch: EpochRecord
    best_epoch: int
    worker: str


@dataclass(frozen=True, kw_only=True)
class TrialStep:
    """A value that a trial reports to Optuna; its pruners judge by it.

    Attributes:
        trial_id: Optuna's number of the trial.
        step: The step, from 1.
        value: The objective's value; need not be finite.
    """

    trial_id: int
    step: int
    value: float


@dataclass(frozen=True, kw_only=True)
class ResultRecord:
    """What a benchmark run ended in: errors (fractions of pairs), losses (nats) of its kept state.

    `data_fingerprint` is of the training and the test images together.
    """

    run_id: int
    train_error: float
    val_error: float
    test_error: float
    train_loss: float
    val_loss: float
    test_loss: float
    data_fingerprint: str


@dataclass(frozen=True, kw_only=True)
class BenchmarkConfig:
    """One config of a benchmark.

    Attributes:
        name: What tables call it.
        config: The config, complete, with the seeds of seed 0.
        config_hashes: `RunConfig.config_hash()` of the run on each seed 0, 1, ...
        n_parameters: Trainable parameters.
        has_aux: Whether the network has auxiliary heads.
        reported: What a publication reports for it, if anything.
    """

    name: str
    config: RunConfig
    config_hashes: tuple[str, ...]
    n_parameters: int
    has_aux: bool
    reported: Reported | None


@dataclass(frozen=True, kw_only=True)
class BenchmarkRecord:
    """What a benchmark compares, on one data set; its results are those of its configs' runs.

    Attributes:
        benchmark_id: Its number; None before it is in a store.
        name: What it is called: one row a name and data set.
        data_source: The data's source.
        data_fingerprint: Of the training and the test images together.
        title: What its table is headed with; may be empty.
        reference: The config that the others are compared with.
        n_seeds: The seeds asked for are 0 to n_seeds - 1.
        configs: The configs, in the table's order.
        updated_at: When it was last asked for.
    """

    benchmark_id: int | None = None
    name: str
    data_source: str
    data_fingerprint: str
    title: str
    reference: str
    n_seeds: int
    configs: tuple[BenchmarkConfig, ...]
    updated_at: datetime.datetime | None = None
