"""Every error that a user can cause, in one tree.

    UserError                    one sentence: what, where, how to mend it; exit status 2
    ├── SpaceError               a search-space file, a config file or a ``--set`` override
    ├── UsageError               a command-line option or an environment variable
    ├── DataError                a data set that is absent, damaged or too small
    ├── ModelError               a model name or a model option
    ├── TrainingError            a training setting that this device or model cannot honour
    ├── CheckpointError          a checkpoint that cannot be written, read or used
    ├── StorageError             a store that cannot be reached, read, written or understood
    │   ├── NoStudiesError       a file or a database that is absent, or has no tables for studies
    │   ├── StudyNotFoundError   a study that the store does not hold
    │   ├── StudyMismatchError   a study that was begun under other terms
    │   ├── LeaseLostError       another launch took the trials of this one over
    │   └── DeletedError         another program deleted what a launch works on
    ├── ClusterError             Ray cannot be started or reached, or has too few resources
    └── SearchError              a search of which trial after trial fails

Errors of the libraries below are translated into these at the boundary with ``raise ... from``.
Whatever is not a `UserError` is a bug of ours and keeps its traceback. What ends one trial without
ending the study (a loss that is not finite, say) is no error of the user's and lives in
`trainables.failures`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "CheckpointError",
    "ClusterError",
    "DataError",
    "DeletedError",
    "LeaseLostError",
    "ModelError",
    "NoStudiesError",
    "SearchError",
    "SpaceError",
    "StorageError",
    "StudyMismatchError",
    "StudyNotFoundError",
    "TrainingError",
    "UsageError",
    "UserError",
    "nearest",
]


class UserError(Exception):
    """Something the user can mend; its text is one sentence that says how, or several lines."""


class SpaceError(UserError):
    """A search-space file, a config file or a ``--set`` override is wrong.

    Attributes:
        lines: A sentence for each mistake; together they are the error's text.
    """

    def __init__(self, *lines: str) -> None:
        """Say what is wrong, a line for each mistake."""
        super().__init__("\n".join(lines))
        self.lines = lines


class UsageError(UserError):
    """A command-line option or an environment variable is wrong."""


class DataError(UserError):
    """A data set is absent, damaged or too small."""


class ModelError(UserError):
    """A model name or a model option is wrong."""


class TrainingError(UserError):
    """A training setting cannot be honoured on this device or by this model."""


class CheckpointError(UserError):
    """A checkpoint cannot be written, read or used."""


class StorageError(UserError):
    """A store cannot be reached, read, written or understood."""


class NoStudiesError(StorageError):
    """A store is not there yet: a file is absent, or has no tables for studies."""


class StudyNotFoundError(StorageError):
    """The store does not hold the study that was named."""


class StudyMismatchError(StorageError):
    """The study was begun under other terms than those given now."""


class LeaseLostError(StorageError):
    """The launch was suspended for so long that another took its trials over."""


class DeletedError(StorageError):
    """Another program deleted the study or a trial that a launch works on."""


class ClusterError(UserError):
    """Ray cannot be started or reached, or has too few resources."""


class SearchError(UserError):
    """Trial after trial of a search fails."""


def nearest(name: str, allowed: Iterable[str]) -> str:
    """A suggestion to end an error sentence with.

    Args:
        name: What was found.
        allowed: What would have been right.

    Returns:
        ``"; did you mean 'x'?"`` with the closest allowed name, or ``""`` where none is close.
    """
    close = difflib.get_close_matches(name, list(allowed), n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""
