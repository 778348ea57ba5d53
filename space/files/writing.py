"""Files written whole or not at all."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from space.errors import UsageError
from space.files.reader import file_name

__all__ = ["write_output", "write_whole"]


def write_output(option: str, path: Path, text: str) -> None:
    """Write a file that an option named, as `write_whole` does.

    Args:
        option: The option, for the error.
        path: Where to.
        text: The file's text.

    Raises:
        UsageError: If it cannot be written.
    """
    try:
        write_whole(path, text)
    except OSError as error:
        raise UsageError(
            f"{option} {file_name(path)}: cannot be written ({error.strerror or error}); name a "
            "file in a directory that you may write to."
        ) from error


def write_whole(path: Path, *parts: str | bytes | memoryview) -> None:
    """Write a file so that it is at every moment either the old one or the new one.

    Args:
        path: Where to; its directory is made, a link is followed, what is there is replaced.
        parts: What it holds, one after the other; text is written as UTF-8.

    Raises:
        OSError: If it cannot be written; what was there is there still.
    """
    target = Path(os.path.realpath(path))
    scratch = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with scratch.open("xb") as file:
            for part in parts:
                file.write(part.encode() if isinstance(part, str) else part)
            file.flush()
            # Else a power cut could leave the new name with the old disk's content.
            os.fsync(file.fileno())
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)
