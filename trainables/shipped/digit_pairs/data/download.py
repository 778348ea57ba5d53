"""Fetches MNIST in a process of its own: ``python -m [this module] DIRECTORY``.

torchvision sets no limit on the time a download takes, and a network that swallows packets can hold
a thread for ever. A child process can be stopped.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from trainables.shipped.digit_pairs.data.torchvision_compat import mnist_class

__all__ = ["MNIST_FILES", "DownloadError", "download_mnist"]

_log = logging.getLogger(__name__)

MNIST_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
"""What lies in ROOT/MNIST/raw in torchvision's layout."""


class DownloadError(Exception):
    """MNIST could not be fetched; the text says why in a few words."""


def download_mnist(root: Path, timeout_seconds: float) -> None:
    """Downloads MNIST into a data root.

    The files appear under their names only when all are complete, so that a process that reads the
    same root never sees half of one.

    Args:
        root: Data root; it and MNIST/raw below it are made where missing.
        timeout_seconds: How long the download may take.

    Raises:
        DownloadError: If the time is over, nothing can be fetched or the root cannot be written.
    """
    made_root = not root.exists()
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=root) as directory:
            _fetch(directory, timeout_seconds)
            raw = root / "MNIST" / "raw"
            raw.mkdir(parents=True, exist_ok=True)
            for name in MNIST_FILES:
                os.replace(Path(directory) / "MNIST" / "raw" / name, raw / name)
    except OSError as error:
        raise DownloadError(f"cannot write {root}: {error.strerror or error}") from error
    finally:
        if made_root:
            # Where another process has put its files there meanwhile, it is not empty, and stays.
            with contextlib.suppress(OSError):
                root.rmdir()


def _fetch(directory: str, timeout_seconds: float) -> None:
    package_parent = str(Path(__file__).resolve().parents[4])
    search_path = [package_parent, *filter(None, [os.environ.get("PYTHONPATH")])]
    try:
        child = subprocess.run(
            [sys.executable, "-m", "trainables.shipped.digit_pairs.data.download", directory],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(search_path),
                "PYTHONIOENCODING": "utf-8",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="backslashreplace",
            timeout=timeout_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DownloadError(f"not done after {timeout_seconds:g} s") from error
    if child.returncode != 0:
        _log.debug("download of MNIST: %s", child.stderr)
        lines = child.stderr.strip().splitlines()
        raise DownloadError(_reason(lines) if lines else f"exit status {child.returncode}")


def _reason(lines: list[str]) -> str:
    """The words of a traceback's last line, without what Python and urllib put around them."""
    said = re.sub(r"^[\w.]*Error: ", "", lines[-1])
    said = re.sub(r"<urlopen error (.*)>", r"\1", said)
    return re.sub(r"\[Errno -?\d+\] ", "", said).strip()


if __name__ == "__main__":
    mnist_class()(sys.argv[1], download=True)
