"""SQLite files that cannot be used: every command says so in one sentence."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dashboards import publish, report, serve
from search import grid_report
from search.export import __main__ as export
from search.launch import __main__ as launch
from space.errors import StorageError
from storage import __main__ as storage_command
from storage import open_store

from ..harness.disks import Disk, mounted

pytestmark = pytest.mark.usefixtures("no_ray_ahead")

Command = Callable[[str], int]

SPACE = """
study: made
trainable: closed-form
parameters: {learning_rate: {type: float, low: 1.0e-4, high: 1.0e-2}}
budget: {trials: 1}
"""


@pytest.fixture
def space(tmp_path: Path) -> Path:
    path = tmp_path / "space.yaml"
    path.write_text(SPACE)
    return path


@pytest.fixture
def commands(space: Path, tmp_path: Path) -> dict[str, Command]:
    """Every command over a store, to be given the store's URL."""
    study, out = ("--study", "made"), str(tmp_path / "out")

    def of(main: Callable[[list[str]], int], *arguments: str) -> Command:
        return lambda url: main([*arguments, "--storage", url])

    return {
        "launch": of(launch.main, "--space", str(space)),
        "list": of(storage_command.main, "list"),
        "show": of(storage_command.main, "show", "made"),
        "check": of(storage_command.main, "check"),
        "upgrade": of(storage_command.main, "upgrade"),
        "copy from": lambda url: storage_command.main(["copy", "--from", url, "--to", f"{out}.db"]),
        "export": of(export.main, *study, "--output", f"{out}.yaml"),
        "grid report": of(grid_report.main, *study),
        "report": of(report.main, *study, "--output", f"{out}.html"),
        "publish": of(publish.main, *study),
        "serve": of(serve.main, "--port", "0"),
    }


def _foreign(path: Path, sound: bytes) -> None:
    path.write_text("no database at all\n" * 1000)


def _cut_short(path: Path, sound: bytes) -> None:
    path.write_bytes(sound[: 2**14])


def _overwritten(path: Path, sound: bytes) -> None:
    path.write_bytes(sound[: 2**13] + os.urandom(len(sound) - 2**13))


def _directory(path: Path, sound: bytes) -> None:
    path.mkdir()


def _newer(path: Path, sound: bytes) -> None:
    path.write_bytes(sound)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE search_schema_version SET version_num = '9999'")


FAULTS: dict[str, tuple[Callable[[Path, bytes], None], str]] = {
    "foreign": (_foreign, "file is not a database; "),
    "cut short": (_cut_short, "database disk image is malformed; "),
    "overwritten": (_overwritten, "database disk image is malformed; "),
    "a directory": (_directory, "this is a directory; "),
    "newer": (_newer, "its schema version is 9999, newer than "),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_that_is_no_store_of_ours(
    fault: str, tmp_path: Path, made_file: Path, commands: dict[str, Command]
) -> None:
    path = tmp_path / "s.db"
    spoil, sentence = FAULTS[fault]
    spoil(path, made_file.read_bytes())
    before = path.read_bytes() if path.is_file() else b""
    for name, command in commands.items():
        with pytest.raises(StorageError) as caught:
            command(str(path))
        assert str(caught.value).startswith(f"storage sqlite:///{path}: {sentence}"), name
    assert before == (path.read_bytes() if path.is_file() else b"")


def test_a_file_that_is_not_there(tmp_path: Path, commands: dict[str, Command]) -> None:
    del commands["launch"]  # It makes one.
    path = tmp_path / "none" / "s.db"
    for name, command in commands.items():
        with pytest.raises(StorageError) as caught:
            command(str(path))
        assert f"{path}: there is no such file; " in str(caught.value), name
    assert not path.parent.exists()


def test_a_directory_that_cannot_be_made(tmp_path: Path, commands: dict[str, Command]) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "s.db"
    with pytest.raises(StorageError, match=r"/s\.db: cannot make its directory \(File exists\)"):
        commands["launch"](str(path))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with mounted(tmp_path / "disk", "4m") as made:
        yield made


def test_a_read_only_disk(disk: Disk, made_file: Path, commands: dict[str, Command]) -> None:
    path = disk.path / "s.db"
    before = made_file.read_bytes()
    path.write_bytes(before)
    disk.set_read_only(True)
    for name in ("launch", "upgrade", "publish"):
        with pytest.raises(StorageError) as caught:
            commands[name](str(path))
        said = str(caught.value)
        assert said.startswith(f"storage sqlite:///{path}: "), name
        assert said.endswith(
            (
                "unable to open database file; it and its directory must be there and readable, "
                "and writable for what writes to it.",
                f"[Errno 30] Read-only file system: '{path}.lock'; make the file and its directory "
                "writable.",
            )
        ), name
    for name in ("list", "show", "check", "copy from", "export", "report"):
        assert commands[name](str(path)) == 0, name
    disk.set_read_only(False)
    assert path.read_bytes() == before
    assert [each.name for each in disk.path.iterdir()] == ["s.db"]


def test_a_full_disk(disk: Disk, commands: dict[str, Command]) -> None:
    path = disk.path / "s.db"
    disk.fill()
    with pytest.raises(StorageError, match=r"/s\.db: database or disk is full"):
        commands["launch"](str(path))
    disk.free()
    open_store(str(path)).close()
    assert commands["check"](str(path)) == 0
