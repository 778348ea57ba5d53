"""Records of launches, runs and results for tests: whole ones, of which a test changes what it is
about."""

from __future__ import annotations

from typing import Any

from space import RunConfig
from space.epochs import Epoch
from storage import NewLaunch, NewRun, NewStudy, ResultRecord, RunEpoch, RunRecord, Store
from trainables.shipped.digit_pairs.config import DIGIT_PAIRS

__all__ = [
    "FINGERPRINT",
    "begin_launch",
    "begin_run",
    "epoch",
    "new_launch",
    "new_study",
    "record_epoch",
    "result",
]

FINGERPRINT = "f" * 16


def new_launch(study_id: int | None = None, **changes: Any) -> NewLaunch:
    """What is known of a launch when it begins."""
    known: dict[str, Any] = {
        "study_id": study_id,
        "command": "python -m search.launch --space space/made.yaml",
        "config": {},
        "changes": [],
        "git_commit": "0123456789abcdef0123456789abcdef01234567",
        "git_dirty": False,
        "versions": {"python": "3.11.7", "torch": "2.9.0", "optuna": "5.0.0"},
        "hardware": {"processor": "Abacus", "cpus": 4, "memory_bytes": 2**33, "gpus": []},
        "data_source": "digits",
        "data_fingerprint": FINGERPRINT,
        "host": "somewhere",
        "pid": 1,
    }
    return NewLaunch(**{**known, **changes})


def begin_launch(store: Store, study_id: int | None = None, **changes: Any) -> int:
    """Record that a launch began."""
    return store.begin_launch(new_launch(study_id, **changes))


def new_study(study_id: int, **changes: Any) -> NewStudy:
    """The terms of a study of pairs of digits."""
    known: dict[str, Any] = {
        "identity": {},
        "metrics": ["val_error"],
        "measured": DIGIT_PAIRS,
        "data_source": "digits",
        "data_fingerprint": FINGERPRINT,
    }
    return NewStudy(study_id=study_id, **{**known, **changes})


def begin_run(
    store: Store,
    launch_id: int,
    trial_id: int | None = None,
    of: RunConfig | None = None,
    **changes: Any,
) -> RunRecord:
    """Record that a run of a search began, of a config; of no study unless one is named."""
    known: dict[str, Any] = {
        "launch_id": launch_id,
        "study_id": None,
        "trial_id": trial_id,
        "purpose": "search",
        "replicate": 0,
        "config_hash": "h" if of is None else of.config_hash(),
        "config": {} if of is None else of.model_dump(mode="json"),
    }
    return store.begin_run(NewRun(**{**known, **changes}))


def epoch(number: int, *, seconds: float = 2.0, **changes: float) -> Epoch:
    """The numbers of an epoch, some of its metrics replaced."""
    known = {"train_loss": 0.5, "val_loss": 0.6, "train_error": 0.25, "val_error": 0.1 * number}
    return Epoch(epoch=number, metrics={**known, **changes}, seconds=seconds)


def record_epoch(
    store: Store, run: RunRecord, recorded: Epoch, *, best_epoch: int = 1, worker: str = "w"
) -> None:
    """Record an epoch of a run as the launch that has it would."""
    said = RunEpoch(run_id=run.run_id, epoch=recorded, best_epoch=best_epoch, worker=worker)
    store.record_epochs(run.launch_id, [said])


def result(
    run_id: int, test_error: float, *, data_fingerprint: str = FINGERPRINT, **changes: float
) -> ResultRecord:
    """A finished run's metrics; the errors of training and validation lie 0.1 and 0.05 lower."""
    known = {
        "train_error": test_error - 0.1,
        "val_error": test_error - 0.05,
        "test_error": test_error,
        "train_loss": 0.1,
        "val_loss": 0.2,
        "test_loss": 0.3,
    }
    return ResultRecord(
        run_id=run_id, metrics={**known, **changes}, data_fingerprint=data_fingerprint
    )
