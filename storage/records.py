"""What the store holds of ours, as plain records."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

__all__ = [
    "EpochRecord",
    "LaunchRecord",
    "NewLaunch",
    "ResultRecord",
    "RunRecord",
    "StudyRecord",
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


@dataclass(frozen=True, kw_only=True)
class LaunchRecord(NewLaunch):
    """One launch of a command."""

    launch_id: int
    status: str
    started_at: datetime.datetime
    heartbeat_at: datetime.datetime
    ended_at: datetime.datetime | None


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One training run; `n_epochs` of its epochs are in the store, taking `train_seconds`.

    Its purpose is ``"search"``, ``"confirm"`` or ``"benchmark"``; its `uid` belongs to no other run
    of any store, and names its checkpoint.
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
