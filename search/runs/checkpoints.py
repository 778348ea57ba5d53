"""Whether the state of unfinished runs can be written."""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path

from space.errors import CheckpointError
from space.files.places import Place, reaching
from space.terminal.command import FULL_DISK

__all__ = ["require_writable"]


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
