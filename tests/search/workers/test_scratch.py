"""Scratch directories: those of launches that were killed go, all others stay."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from search.workers import scratch
from search.workers.scratch import scratch_directory, sweep_scratch
from space.errors import ClusterError

ROOT = Path(__file__).resolve().parents[3]
HOLDER = """
import time
from search.workers.scratch import scratch_directory
with scratch_directory() as path:
    (path / "session" / "logs").mkdir(parents=True)
    (path / "session" / "logs" / "raylet.out").touch()
    print(path, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    return tmp_path


def holder(root: Path) -> tuple[subprocess.Popen[str], Path]:
    """Another launch, and its directory."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        cwd=ROOT,
        env={**os.environ, "RAY_TMPDIR": str(root)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_directory_is_gone_with_its_launch(root: Path) -> None:
    with scratch_directory() as path:
        assert path.parent == root
        (path / "search").mkdir()
        assert sweep_scratch(root) == 0  # It lives.
        assert path.is_dir()
    assert list(root.iterdir()) == []


def test_next_launch_deletes_what_a_killed_one_left(root: Path) -> None:
    (killed, left), (living, kept) = holder(root), holder(root)
    try:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert (left / "session" / "logs" / "raylet.out").exists()
        with scratch_directory() as path:
            assert sorted(root.iterdir()) == sorted([path, kept])
            assert (kept / "session" / "logs" / "raylet.out").exists()
    finally:
        for process in (killed, living):
            process.kill()
            process.communicate()


def test_only_our_own_directories_are_deleted(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / scratch.LOCK).touch()
    (root / "ray-search-link").symlink_to(elsewhere)
    foreign = root / "ray-search-foreign"
    foreign.mkdir()
    (foreign / "file").touch()
    begun = root / "ray-search-begun"
    begun.mkdir()
    assert sweep_scratch(root) == 0
    assert sorted(path.name for path in root.iterdir()) == [
        "ray-search-begun",
        "ray-search-foreign",
        "ray-search-link",
    ]
    assert (elsewhere / scratch.LOCK).exists()


def test_one_launch_deletes_a_bounded_number(root: Path) -> None:
    for i in range(scratch.MOST_SWEPT + 3):
        (root / f"ray-search-{i}").mkdir()
        (root / f"ray-search-{i}" / scratch.LOCK).touch()
    assert sweep_scratch(root) == scratch.MOST_SWEPT
    assert sweep_scratch(root) == 3


def test_path_is_short_enough_for_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with scratch_directory() as path:
        socket = path / "session_2026-01-01_00-00-00_000000_4194304" / "sockets" / "plasma_store"
        assert len(os.fsencode(socket)) <= 107
    assert not path.exists()


def test_what_cannot_be_deleted_yet_is_deleted_later(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(path: Path) -> None:
        raise OSError("Directory not empty")

    with monkeypatch.context() as patched, scratch_directory() as path:
        (path / "session").mkdir()
        patched.setattr("search.workers.scratch.shutil.rmtree", busy)
        assert (path / scratch.LOCK).exists()
    assert (path / "session").is_dir()
    assert sweep_scratch(root) == 1
    assert not path.exists()


def test_agents_of_a_killed_launch_end_before_its_directory_goes(root: Path) -> None:
    left, kept = root / "ray-search-left", root / "ray-search-kept"
    for path in (left, kept):
        path.mkdir()
        (path / scratch.LOCK).touch()
    wait = [sys.executable, "-c", "import time; time.sleep(600)"]
    title = ["ray::RuntimeEnvAgent", *wait[1:]]

    def begin(arguments: list[str], file: Path | None = None) -> subprocess.Popen[bytes]:
        with open(file or os.devnull, "w") as output:
            return subprocess.Popen(arguments, executable=sys.executable, stdout=output)

    agents = [begin([*wait, f"--session-dir={left}/session"]), begin(title, left / "agent.out")]
    others = [
        begin([*wait, f"--session-dir={kept}/session"]),
        begin(title, kept / "agent.out"),
        begin([*wait, f"{left}/agent.out"]),
        begin(wait, left / "copy"),
    ]
    try:
        with (kept / scratch.LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            assert sweep_scratch(root) == 1
        assert [agent.wait(60) for agent in agents] == [-signal.SIGKILL] * 2
        assert [other.poll() for other in others] == [None] * 4
    finally:
        for process in (*agents, *others):
            process.kill()
            process.wait()


def test_a_directory_that_is_not_ascii_is_one_that_ray_cannot_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", "/tmp/é")
    assert scratch.scratch_root() == Path("/tmp")
    monkeypatch.setenv("RAY_TMPDIR", "/tmp/é")
    with pytest.raises(ClusterError, match=r"RAY_TMPDIR .*: Ray takes a path of ASCII letters"):
        scratch.scratch_root()
