"""Fetching MNIST in a child process; no test touches a network."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from trainables.shipped.digit_pairs.data.download import MNIST_FILES, DownloadError, download_mnist


def _child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str) -> None:
    """Puts a shell script in the place of the Python that would download; $3 is the directory."""
    path = tmp_path / "child.sh"
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(path))


def test_files_appear_under_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = " ".join(MNIST_FILES)
    script = f'mkdir -p "$3/MNIST/raw"; for f in {names}; do echo $f > "$3/MNIST/raw/$f"; done'
    _child(monkeypatch, tmp_path, script)
    root = tmp_path / "root"
    stale = root / "MNIST" / "raw" / MNIST_FILES[0]
    stale.parent.mkdir(parents=True)
    stale.write_text("half a file")
    download_mnist(root, 20)
    found = {p.relative_to(root) for p in root.rglob("*") if p.is_file()}
    assert found == {Path("MNIST/raw") / name for name in MNIST_FILES}
    assert stale.read_text().strip() == MNIST_FILES[0]


def test_a_hanging_download_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _child(monkeypatch, tmp_path, "exec sleep 100000")
    with pytest.raises(DownloadError, match=r"not done after 0\.3 s"):
        download_mnist(tmp_path / "root", 0.3)
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("URLError: no route", "no route"),
        ("<urlopen error [Errno -2] Name or service not known>", "Name or service not known"),
        ("urllib.error.URLError: <urlopen error timed out>", "timed out"),
        ("ConnectionRefusedError: [Errno 111] Connection refused", "Connection refused"),
        ("HTTP Error 404: Not Found", "HTTP Error 404: Not Found"),
        ("RuntimeError: kein Weg: é", "kein Weg: é"),
    ],
)
def test_a_failed_download_says_why(
    said: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _child(monkeypatch, tmp_path, f"echo Traceback >&2; echo '{said}' >&2; exit 1")
    root = tmp_path / "root"
    root.mkdir()
    with pytest.raises(DownloadError, match=f"^{re.escape(reason)}$"):
        download_mnist(root, 20)
    assert list(root.iterdir()) == []


def test_a_root_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DownloadError, match="cannot write"):
        download_mnist(tmp_path / "file" / "root", 20)
