"""A launch's scratch directory, gone with its launch however that ends.

A launch that ends by itself deletes it. One that was killed leaves it to the next launch on the
machine: the directory holds a locked file, and the kernel lets go of the lock with the process.
Ray's agents outlive a killed launch by a minute, and one that is just starting would make its
directories anew; so the next launch ends them first.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from space.errors import ClusterError
from space.words import describe

__all__ = ["scratch_directory", "scratch_root", "sweep_scratch"]

logger = logging.getLogger(__name__)

PREFIX = "ray-search-"
LOCK = "launch.lock"

LONGEST_ROOT = 26
"""Bytes of the path above: Ray puts sockets 81 bytes deeper, whose paths may have 107, or fewer."""

MOST_SWEPT = 20
"""Directories that one launch deletes at the most: it is not to wait long for others' dirt."""


@contextmanager
def scratch_directory() -> Iterator[Path]:
    """A directory of this launch alone, for as long as the block lasts.

    It lies in ``RAY_TMPDIR``, else in the system's directory for temporary files if that is not too
    deep for Ray's sockets. What launches that were killed have left beside it is deleted first.

    Raises:
        ClusterError: If Ray cannot use what ``RAY_TMPDIR`` names.
        OSError: If it cannot be made.
    """
    root = scratch_root()
    sweep_scratch(root)
    path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root))
    made = path / f"{LOCK}.new"
    with made.open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made.rename(path / LOCK)  # Nobody ever finds it there and free.
        try:
            yield path
        finally:
            # Processes that were just told to end may still write; the next launch tries again.
            with contextlib.suppress(OSError):
                _delete(path)


def sweep_scratch(root: Path) -> int:
    """Delete the scratch directories of this user's launches that were killed.

    Args:
        root: The directory they lie in.

    Returns:
        How many were deleted.
    """
    n_swept = 0
    for path in sorted(root.glob(f"{PREFIX}*")):
        if n_swept == MOST_SWEPT:
            break
        # Whatever is in the way is another launch's doing, or another user's: it stays.
        with contextlib.suppress(OSError):
            if not path.is_symlink() and path.stat().st_uid == os.getuid():
                _sweep(path)
                n_swept += 1
    if n_swept:
        logger.debug("deleted the scratch directories of %d launches that were killed", n_swept)
    return n_swept


def _sweep(path: Path) -> None:
    """Delete a scratch directory whose launch was killed.

    Raises:
        OSError: If its launch lives, or it cannot be deleted. One without a lock is another
            program's, or of a launch that is about to take the lock.
    """
    with (path / LOCK).open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _end_agents(path)
        _delete(path)


def _end_agents(path: Path) -> None:
    """End the processes of a Ray whose launch was killed, where the system tells which they are."""
    for process in Path("/proc").glob("[0-9]*"):
        # One may end at any moment, and another user's may not be looked into.
        with contextlib.suppress(OSError):
            if process.stat().st_uid == os.getuid() and _is_agent(process, path):
                os.kill(int(process.name), signal.SIGKILL)


def _is_agent(process: Path, path: Path) -> bool:
    """Whether a process belongs to the Ray whose directory this is.

    Ray names the directory in an argument, until the process has given itself a title; by then its
    log lies open there. A person's own look into the directory is neither.
    """
    arguments = (process / "cmdline").read_bytes().split(b"\0")
    inside = os.fsencode(path) + b"/"
    if arguments[0].startswith(b"ray::"):
        return any(
            os.readlink(os.fsencode(fd)).startswith(inside) for fd in (process / "fd").iterdir()
        )
    return any(
        name.startswith(b"--") and value.startswith(inside)
        for name, _, value in (argument.partition(b"=") for argument in arguments)
    )


def _delete(path: Path) -> None:
    """Delete a scratch directory, the lock last: by it the next launch finds what stays."""
    for child in path.iterdir():
        if child.is_dir() and not child.is_symlink():
            shutil.rmtree(child)
        elif child.name != LOCK:
            child.unlink()
    (path / LOCK).unlink()
    path.rmdir()


def scratch_root() -> Path:
    """Where scratch directories lie: Ray's own choice, or ``/tmp`` where Ray cannot use that.

    Ray's sockets do not reach deep directories, and its paths are of ASCII letters.

    Raises:
        ClusterError: If the user names a directory that Ray cannot use.
    """
    named = os.environ.get("RAY_TMPDIR")
    if named:
        if not named.isascii():
            raise ClusterError(
                f"RAY_TMPDIR {describe(named)}: Ray takes a path of ASCII letters alone; name "
                "another directory."
            )
        return Path(named)
    root = tempfile.gettempdir()
    return Path(root if root.isascii() and len(root) <= LONGEST_ROOT else "/tmp")
