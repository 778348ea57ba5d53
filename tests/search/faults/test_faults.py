"""Faults that a search meets in its course: one sentence, a sound store, and the way on."""

from __future__ import annotations

import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from search.launch.__main__ import main
from search.runs.checkpoints import require_writable
from search.workers.ray_session import ray_session
from space.errors import CheckpointError, ClusterError, StorageError
from space.terminal.command import run_command
from storage import open_store
from storage.admin.check import check_store

from ...harness.disks import mounted
from ..here import Here
from ..launch.test_launch import ROOT

SPACE: dict[str, Any] = {
    "study": "faulty",
    "trainable": "closed-form",
    "training": {"epochs": 30},
    "parameters": {"learning_rate": {"type": "float", "low": 1e-4, "high": 1e-2, "log": True}},
    "sampler": {"name": "random", "seed": 0},
    "pruner": {"name": "none"},
    "budget": {"trials": 4},
}


@pytest.fixture(autouse=True)
def _every_epoch_has_a_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainables.worker.assigned.CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr("trainables.worker.assigned.CHECKPOINT_SHARE", float("inf"))


def launch(folder: Path, database: Path, *options: str, **changes: Any) -> int:
    """Launch in this process."""
    path = folder / "space.json"
    path.write_text(json.dumps({**SPACE, **changes}))
    return main(["--space", str(path), "--storage", str(database), *options])


def refusal(folder: Path, database: Path) -> str:
    """What a launch that could not go on says."""
    with pytest.raises(StorageError) as caught:
        launch(folder, database)
    return str(caught.value)


def let_launches_die(database: Path) -> None:
    """Make this process's launches ones of a process that is gone, as one that was refused is."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(f"UPDATE search_launches SET pid = {2**22 + 1}")


def findings(url: str | Path) -> list[str]:
    """What is wrong with a store, but for what the next launch puts right."""
    store = open_store(str(url), create=False)
    try:
        return [
            each.what
            for each in check_store(store).findings
            if "run the same command again" not in each.mend
        ]
    finally:
        store.close()


def assert_done(database: Path, n_trials: int = 4) -> None:
    """Every trial of the budget has every epoch once, and nothing is left to find."""
    store = open_store(str(database), create=False)
    study = optuna.load_study(study_name="faulty", storage=store.optuna_storage)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * n_trials
    for trial in study.trials:
        assert list(trial.intermediate_values) == list(range(1, 31))
    assert [run.n_epochs for run in store.runs()] == [30] * n_trials
    assert not check_store(store).findings
    store.close()


def test_a_disk_that_fills_up_and_checkpoints_cut_short(
    tmp_path: Path, here: Here, caplog: pytest.LogCaptureFixture
) -> None:
    with mounted(tmp_path / "disk", "16m") as disk:
        database = disk.path / "s.db"
        here.at[25] = disk.fill
        assert f"{database}: database or disk is full" in refusal(tmp_path, database)
        assert findings(database) == []
        disk.free()
        let_launches_die(database)

        checkpoints = list(disk.path.glob("checkpoints/faulty/*.pt"))
        assert checkpoints
        for each in checkpoints:
            each.write_bytes(each.read_bytes()[:-100])
        assert launch(tmp_path, database) == 0
        for each in checkpoints:
            assert f"the checkpoint {each} is damaged or cut short" in caplog.text
        assert_done(database)
        assert not list(disk.path.rglob("*.pt*"))


def test_a_disk_too_full_for_checkpoints_costs_no_trial(
    tmp_path: Path, here: Here, caplog: pytest.LogCaptureFixture
) -> None:
    with mounted(tmp_path / "disk", "4k") as disk:
        disk.fill()
        assert launch(tmp_path, tmp_path / "s.db", "--checkpoints", str(disk.path)) == 0
    warnings = [line for line in caplog.messages if "checkpoint" in line]
    assert len(warnings) == 4  # One a run, however often it tried.
    for line in warnings:
        assert f"the checkpoint {disk.path}/faulty/" in line
        assert "cannot be written (No space left on device)" in line
        assert line.endswith("goes on without")
    assert_done(tmp_path / "s.db")


def test_results_deleted_in_mid_search(tmp_path: Path, here: Here) -> None:
    database = tmp_path / "results" / "s.db"
    here.at[25] = lambda: shutil.rmtree(database.parent)
    assert f"{database}: the file was deleted, moved or rep" in refusal(tmp_path, database)
    assert launch(tmp_path, database) == 0
    assert_done(database)


def test_a_locked_database_in_mid_search_and_at_the_start(
    tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("storage.connect.engine.BUSY_TIMEOUT_SECONDS", 0.2)
    database = tmp_path / "s.db"
    with closing(sqlite3.connect(database, isolation_level=None, timeout=60)) as holder:
        here.at[5] = lambda: holder.execute("BEGIN EXCLUSIVE")
        for _ in ("in mid-search", "at the start"):
            assert f"{database}: database is locked; " in refusal(tmp_path, database)
        holder.execute("ROLLBACK")
    assert findings(database) == []
    let_launches_die(database)
    assert launch(tmp_path, database) == 0
    assert "wait to go on" in capsys.readouterr().err
    assert_done(database)


@pytest.mark.slow
def test_too_little_memory_fails_the_trial_and_not_the_study(
    tmp_path: Path, here: Here, capsys: pytest.CaptureFixture[str]
) -> None:
    database = tmp_path / "s.db"
    limits = resource.getrlimit(resource.RLIMIT_AS)
    # No allocator may promise terabytes, as some systems let it.
    resource.setrlimit(resource.RLIMIT_AS, (2**37, limits[1]))
    try:
        status = launch(
            tmp_path,
            database,
            trainable="digit-pairs",
            model={"name": "mlp"},
            data={"source": "digits", "n_train_pairs": 60, "n_test_pairs": 50},
            training={"epochs": 1},
            parameters={"width": {"type": "categorical", "choices": [100000000, 4]}},
            sampler={"name": "grid"},
            budget={"trials": 2},
        )
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    assert status == 0
    assert "1 trial complete, 0 pruned, 1 failed" in capsys.readouterr().out
    store = open_store(str(database), create=False)
    (reason,) = [run.reason for run in store.runs() if run.state == "failed"]
    store.close()
    assert reason is not None
    assert reason.startswith("'mlp' ran out of memory: can't allocate memory: you tried to")
    assert findings(database) == []


NO_ROOM = (
    "Ray cannot be started on this machine: ",
    "; check that its directory for temporary files can be written and has some 100 MB left, or "
    "name another with RAY_TMPDIR and TMPDIR.",
)


@pytest.mark.slow
def test_a_full_disk_for_temporary_files(tmp_path: Path) -> None:
    code = (
        "from search.workers.ray_session import ray_session\n"
        "from space.terminal.command import run_command\n"
        "def main(_):\n with ray_session(None, verbose=False):\n  return 0\nrun_command(main)"
    )
    with mounted(tmp_path / "t", "64k") as disk:
        disk.fill()
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "RAY_TMPDIR": str(disk.path), "TMPDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {NO_ROOM[0]}")
    assert line.endswith(NO_ROOM[1])


def test_a_read_only_disk_for_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mounted(tmp_path / "t", "64k") as disk:
        disk.set_read_only(True)
        monkeypatch.setenv("RAY_TMPDIR", str(disk.path))
        with pytest.raises(ClusterError) as caught, ray_session(None, verbose=False):
            pass
    assert str(caught.value).startswith(NO_ROOM[0])
    assert str(caught.value).endswith(NO_ROOM[1])


def a_file(folder: Path) -> Path:
    path = folder / "checkpoints"
    path.touch()
    return path


@pytest.mark.parametrize(
    ("make", "reason"),
    [(a_file, "File exists"), (lambda folder: a_file(folder) / "sub", "Not a directory")],
)
def test_checkpoints_that_can_be_nowhere_are_refused_before_ray(
    tmp_path: Path, make: Callable[[Path], Path], reason: str
) -> None:
    directory = make(tmp_path)
    with pytest.raises(CheckpointError, match=rf"checkpoints {directory}: .* \({reason}\)"):
        launch(tmp_path, tmp_path / "s.db", "--checkpoints", str(directory))


def test_checkpoints_on_a_read_only_disk_are_refused_and_on_a_full_one_are_not(
    tmp_path: Path,
) -> None:
    with mounted(tmp_path / "disk", "4k") as disk:
        disk.fill()
        require_writable(disk.path / "sub")
        disk.set_read_only(True)
        with pytest.raises(CheckpointError, match=r"cannot be written \(Read-only file system\)"):
            require_writable(disk.path / "sub")


def test_an_output_that_cannot_be_written_is_one_sentence(
    tmp_path: Path,
) -> None:
    database = tmp_path / "s.db"
    open_store(str(database)).close()
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "storage", "list", "--storage", str(database)],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: the output cannot be written (No space left on device)")


def test_other_errors_of_the_system_keep_their_traceback() -> None:
    def main(_argv: list[str]) -> int:
        raise PermissionError(13, "Permission denied", "somewhere")

    with pytest.raises(PermissionError):
        run_command(main)
