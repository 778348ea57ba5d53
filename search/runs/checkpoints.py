"""Where the state of unfinished runs lies, and the weights of finished ones."""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path

import sqlalchemy as sa

from space.errors import CheckpointError
from space.files.places import Place, reaching
from space.terminal.command import FULL_DISK

__all__ = ["checkpoint_directory", "require_writable", "weights_of"]


def checkpoint_directory(url: sa.URL, option: Place | None = None) -> Place:
    """Where the state of unfinished runs lies.

    Args:
        url: The store.
        option: What ``--checkpoints`` says: a place that all machines of a cluster share.

    Returns:
        That, else a directory beside an SQLite file, else one under ``results/``.
    """
    if option is not None:
        return option.resolve() if isinstance(option, Path) else option
    if url.get_backend_name() == "sqlite":
        return Path(str(url.database)).parent / "checkpoints"
    return Path("results/checkpoints").resolve()


def require_writable(directory: Place) -> None:
    """Make the directory of unfinished runs' state, or refuse a place that cannot be one.

    A full disk is let pass: whatever has no checkpoint is trained all the same.

    Raises:
        CheckpointError: If it is no directory, cannot be made or cannot be written.
    """
    try:
        if isinstance(directory, Path):
            directory.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=directory).close()
        else:
            with reaching(directory):
                probe = directory / f".{uuid.uuid4().hex}"
                probe.write_bytes(b"")
                probe.unlink()
    except OSError as error:
        if error.errno not in FULL_DISK:
            raise CheckpointError(
                f"checkpoints {directory}: cannot be written ({error.strerror or error}); name "
                "another directory with --checkpoints, or make this one writable."
            ) from error


def weights_of(checkpoints: Place, uid: str) -> Place:
    """Where the weights of a run lie whose checkpoints lie in a directory."""
    return checkpoints / "weights" / f"{uid}.safetensors"
