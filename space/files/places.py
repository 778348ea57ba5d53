"""Directories and files wherever they lie: on this machine, or where a URL says, through fsspec."""

from __future__ import annotations

import argparse
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from space.errors import CheckpointError
from space.words import describe

__all__ = [
    "Place",
    "found",
    "is_remote",
    "is_url",
    "place_of",
    "place_option",
    "reaching",
    "read_place",
    "retried",
]

if TYPE_CHECKING:
    from upath import UPath

Place: TypeAlias = "Path | UPath"
"""A file or directory on this machine, or elsewhere."""
T = TypeVar("T")

WAITS = (0.5, 2.0)
"""Seconds before a place elsewhere, which did not answer, is asked again."""
_LASTING = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
"""What does not pass by waiting."""


def is_url(text: str) -> bool:
    """Whether a text that may be a path is a URL, such as ``s3://bucket/x`` or ``file:/x``."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", text) is not None


def place_option(text: str) -> Place:
    """An option's place; see `place_of`.

    Raises:
        argparse.ArgumentTypeError: Where that raises its error.
    """
    try:
        return place_of(text)
    except CheckpointError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def place_of(text: str) -> Place:
    """What a path, with ``~`` as the user's own directory, or a URL names.

    Raises:
        CheckpointError: If the URL is of a kind that is not known, needs a package that is not
            installed, or has credentials in it.
    """
    if not is_url(text):
        return Path(os.path.expanduser(text))
    if "@" in text:
        raise CheckpointError(
            "a URL with credentials in it would be recorded: leave them to the environment"
        )
    from upath import UPath

    try:
        place = UPath(text)
        _ = place.fs
    except ImportError as error:
        name = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs"}.get(text.partition(":")[0])
        missing = f"install {name}" if name else str(error)
        raise CheckpointError(f"{describe(text)} cannot be reached: {missing}") from error
    except ValueError as error:
        raise CheckpointError(f"{describe(text)} is of no kind that is known") from error
    return place


def is_remote(place: Place) -> bool:
    """Whether a place is not a path on this machine."""
    return not isinstance(place, Path)


@contextmanager
def reaching(place: Place) -> Iterator[None]:
    """Inside, what the library of a place elsewhere raises is an `OSError`, as a disk's is."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        if not is_remote(place):
            raise
        said = " ".join(str(error).split())
        raise OSError(f"{type(error).__name__}: {said}") from error


def retried(place: Place, work: Callable[[], T]) -> T:
    """What some work gives; at a place elsewhere it is tried again where it fails.

    Raises:
        OSError: If it fails for good.
    """
    for wait in WAITS if is_remote(place) else ():
        try:
            with reaching(place):
                return work()
        except _LASTING:
            raise
        except OSError:
            time.sleep(wait)
    with reaching(place):
        return work()


def found(place: Place) -> bool:
    """Whether there is a file.

    Raises:
        OSError: If it cannot be told.
    """
    return retried(place, place.is_file)


def read_place(place: Place) -> bytes:
    """What is in a file.

    Raises:
        OSError: If it cannot be read.
    """
    return retried(place, place.read_bytes)
