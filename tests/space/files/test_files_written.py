"""A file is written whole or stays as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from space.files.writing import write_whole


def test_what_is_there_is_replaced_and_its_directory_made(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "file.txt"
    write_whole(path, "one é\n")
    write_whole(path, "two\n")
    assert path.read_bytes() == b"two\n"
    assert [each.name for each in path.parent.iterdir()] == ["file.txt"]


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    write_whole(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "text"


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("before")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "half \ud800")
    assert path.read_text() == "before"
    with pytest.raises(OSError, match="directory"):
        write_whole(tmp_path, "text")
    assert [each.name for each in tmp_path.iterdir()] == ["file.txt"]
