"""Where the state of unfinished runs lies, and the weights of finished ones."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from space.files.places import Place, place_of
from storage.commands.command_line import option_values
from storage.tables.records import RunRecord

__all__ = ["checkpoint_directory", "weights_of", "weights_of_run"]


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


def weights_of(checkpoints: Place, uid: str) -> Place:
    """Where the weights of a run lie whose checkpoints lie in a directory."""
    return checkpoints / "weights" / f"{uid}.safetensors"


def weights_of_run(
    url: sa.URL, study: str, run: RunRecord, command: str, checkpoints: Place | None = None
) -> Place:
    """Where the weights of a study's run lie, if they were kept.

    Args:
        url: The store.
        study: The study's name.
        run: The run.
        command: That of the launch which trained it.
        checkpoints: Where the study's checkpoints lay; None: where the launch put them.
    """
    named = option_values(command, "--checkpoints")
    root = checkpoints or (place_of(named[-1]) if named else None)
    where = checkpoint_directory(url, root) / study
    return weights_of(where / "confirm" if run.purpose == "confirm" else where, run.uid)
