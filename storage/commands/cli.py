"""What the commands over a store share beside what all commands do: the store, and stopping."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import optuna

from space.errors import StorageError
from space.terminal import command
from space.terminal.command import (
    EXIT_DONE,
    EXIT_INTERRUPTED,
    EXIT_NOTHING,
    EXIT_USER,
    FULL_DISK,
    Parser,
    add_format,
    local_path,
    positive_int,
    run_command,
    seed,
)
from storage.connect.engine import DEFAULT_URL, parse_url, redact

__all__ = [
    "EXIT_DONE",
    "EXIT_INTERRUPTED",
    "EXIT_NOTHING",
    "EXIT_USER",
    "FULL_DISK",
    "Parser",
    "add_cluster_options",
    "add_format",
    "add_storage_option",
    "configure_logging",
    "default_storage",
    "local_path",
    "positive_int",
    "run_command",
    "seed",
    "stop_signals",
    "storage_arguments",
]

STORAGE_VARIABLE = "SEARCH_STORAGE"


def add_storage_option(parser: argparse.ArgumentParser) -> None:
    """Give a command the option that names its store; see `default_storage`."""
    parser.add_argument(
        "--storage",
        metavar="URL",
        help="sqlite:///FILE or postgresql+psycopg://USER@HOST/DB; default: $SEARCH_STORAGE, else "
        f"{DEFAULT_URL}",
    )


def add_cluster_options(parser: argparse.ArgumentParser) -> None:
    """Give a command that trains the options that say where."""
    parser.add_argument(
        "--ray-address",
        metavar="ADDRESS",
        help="join a Ray cluster: auto or HOST:PORT; default: a Ray of its own on this machine",
    )
    parser.add_argument(
        "--checkpoints",
        type=local_path,
        metavar="DIR",
        help="where unfinished runs lie, shared in a cluster; default: checkpoints/ beside an "
        "SQLite store, else results/checkpoints",
    )


def default_storage(option: str | None) -> str:
    """The store to use: ``--storage``, else the environment's, else a file of our own."""
    return option or os.environ.get(STORAGE_VARIABLE) or DEFAULT_URL


def storage_arguments(name: str) -> list[str]:
    """How a command that a user may type next names a store.

    Args:
        name: The store's name; see `Store.name`.

    Returns:
        Nothing where the command finds the store by itself: a password is in no store's name.
    """
    with contextlib.suppress(StorageError):
        if redact(parse_url(default_storage(None))) == name:
            return []
    return ["--storage", name]


def configure_logging(*, verbose: bool) -> None:
    """As `space.terminal.command.configure_logging`, for Optuna too.

    Args:
        verbose: Let the libraries' own messages and warnings through.
    """
    command.configure_logging(verbose=verbose)
    optuna.logging.disable_default_handler()
    optuna.logging.set_verbosity(logging.INFO if verbose else logging.ERROR)
    if verbose:
        optuna.logging.enable_propagation()


class StopFlag:
    """Whether somebody asked the command to stop."""

    def __init__(self) -> None:
        """Nobody did yet."""
        self.requested = False

    def __call__(self) -> bool:
        """Whether somebody did."""
        return self.requested


@contextmanager
def stop_signals() -> Iterator[StopFlag]:
    """Turn the first SIGINT or SIGTERM into a request to stop; a second one stops at once.

    Yields:
        The flag that is raised.
    """
    flag = StopFlag()

    def handle(number: int, _frame: FrameType | None) -> None:
        if flag.requested:
            raise KeyboardInterrupt
        flag.requested = True

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
