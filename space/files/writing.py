"""Files written whole or not at all."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from upath import UPath

from space.errors import UsageError
from space.files.places import Place, retried
from space.files.reader import file_name

__all__ = ["write_output", "write_whole"]

_OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "az", "abfs")
"""They have no directories; to make one may make a bucket, which nobody asked for."""


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


def write_whole(path: Place, *parts: str | bytes | memoryview) -> None:
    """Write a file so that it is at every moment either the old one or the new one.

    Args:
        path: Where to; its directory is made, a link is followed, what is there is replaced. A
            place elsewhere has to make a file whole by itself, as object stores do.
        parts: What it holds, one after the other; text is written as UTF-8.

    Raises:
        OSError: If it cannot be written; what was there is there still.
    """
    if not isinstance(path, Path):
        content = b"".join(each.encode() if isinstance(each, str) else each for each in parts)
        retried(path, lambda: _put(path, content))
        return
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


def _put(path: UPath, content: bytes) -> None:
    if path.protocol not in _OBJECT_STORES:
        path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
