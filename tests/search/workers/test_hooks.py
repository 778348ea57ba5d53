"""What Ray Tune tells of a worker that died becomes the ledger's, or a user's."""

from __future__ import annotations

import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import RayTaskError

from search.workers.hooks import LedgerScheduler
from space.errors import TrainingError


class _Workers:
    """Notes the workers that were lost, and why."""

    def __init__(self) -> None:
        self.lost: list[str] = []

    def lose(self, worker: str, reason: str) -> bool:
        self.lost.append(reason)
        return True


@pytest.mark.parametrize(
    ("cause", "lost"),
    [
        (TrainingError("resources.gpus: torch sees none"), []),
        (RuntimeError("a mistake\nof ours"), ["RuntimeError: a mistake of ours"]),
    ],
)
def test_what_a_user_has_to_mend_ends_the_launch(
    cause: Exception, lost: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "error.pkl"
    file.write_bytes(pickle.dumps(RayTaskError("step", "a traceback", cause)))
    workers: Any = _Workers()
    scheduler = LedgerScheduler(workers, is_spent=lambda: False)
    trial: Any = SimpleNamespace(trial_id="7", pickled_error_file=str(file))
    scheduler.on_trial_error(None, trial)
    assert workers.lost == lost
    assert (str(scheduler.error) == str(cause)) == (not lost)


def test_a_death_without_a_word_is_a_lost_worker() -> None:
    workers: Any = _Workers()
    scheduler = LedgerScheduler(workers, is_spent=lambda: False)
    trial: Any = SimpleNamespace(trial_id="7", pickled_error_file=None)
    scheduler.on_trial_error(None, trial)
    assert (workers.lost, scheduler.error) == (["no reason was given"], None)
