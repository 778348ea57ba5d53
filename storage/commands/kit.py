"""What the commands over a store share beside what all do: options, the store, and stopping.

SQLAlchemy and Optuna are loaded once a command begins its work: help does not wait for them.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from space.errors import StorageError
from space.files.places import place_option
from space.terminal import command
from space.terminal.command import Command, Option, count_of, local_path
from storage import DEFAULT_URL
from storage.commands.command_line import command_line

if TYPE_CHECKING:
    from storage.store import Store

__all__ = [
    "CALLBACKS",
    "CHECKPOINTS",
    "CONCURRENCY",
    "OUTPUT",
    "RAY_ADDRESS",
    "STORAGE",
    "STORAGE_VARIABLE",
    "STUDY",
    "TIME_LIMIT",
    "VERBOSE",
    "StoreCommand",
    "configure_logging",
    "default_storage",
    "format_of",
    "opened",
    "stop_signals",
    "storage_arguments",
]

STORAGE_VARIABLE = "SEARCH_STORAGE"

STORAGE = Option(
    "--storage",
    metavar="URL",
    help="sqlite:///FILE or postgresql+psycopg://USER@HOST/DB; default: $SEARCH_STORAGE, else "
    f"{DEFAULT_URL}",
)
STUDY = Option("--study", required=True, metavar="NAME", help="the study")
OUTPUT = Option("--output", type=local_path, required=True, metavar="FILE")
TIME_LIMIT = Option("--time-limit", metavar="TIME")
CONCURRENCY = count_of("--concurrency", "workers at once, at the most; default: as many as fit")
RAY_ADDRESS = Option(
    "--ray-address",
    metavar="ADDRESS",
    help="join a Ray cluster: auto or HOST:PORT; default: a Ray of its own on this machine",
)
CALLBACKS = Option(
    "--callbacks",
    nargs="+",
    action="extend",
    default=[],
    metavar="NAME",
    help="who is told of the runs, too: tensorboard, mlflow, wandb, FILE.py:CLASS, or {name: ..., "
    "...} with options",
)
CHECKPOINTS = Option(
    "--checkpoints",
    type=place_option,
    metavar="DIR",
    help="where unfinished runs lie, shared in a cluster; a URL such as s3://BUCKET/DIR, too; "
    "default: checkpoints/ beside an SQLite store, else results/checkpoints",
)
VERBOSE = Option(
    "-v", "--verbose", action="store_true", help="let the libraries' own messages through"
)


def format_of(what: str, formats: Sequence[str] = ("text", "json")) -> Option:
    """The option that says how a command prints its result, by default as text."""
    return Option("--format", choices=formats, default="text", help=f"of {what}; default: text")


class StoreCommand(Command):
    """A command over a store: its messages are shown, and its options know how it was typed."""

    def prepare(self, options: Namespace, argv: list[str]) -> None:
        """Begin to log, and keep the command as it may be shown and stored in ``options.typed``."""
        configure_logging(verbose=getattr(options, "verbose", False))
        options.typed = command_line(self.module, argv)

    def options(self, argv: list[str]) -> Namespace:
        """What some arguments say, for a caller that does the work itself."""
        options: Namespace = self.build_parser().parse_args(argv)
        options.typed = command_line(self.module, argv)
        return options


def default_storage(option: str | None) -> str:
    """The store to use: ``--storage``, else the environment's, else a file of our own."""
    return option or os.environ.get(STORAGE_VARIABLE) or DEFAULT_URL


@contextmanager
def opened(option: str | None, *, look: bool = True) -> Iterator[Store]:
    """The store that a command's ``--storage`` names, which has to be there.

    Args:
        option: As for `default_storage`.
        look: As for `open_store`.

    Yields:
        The store, which is closed at the end.

    Raises:
        StorageError: If it cannot be opened.
    """
    from storage.store import open_store

    with closing(open_store(default_storage(option), create=False, look=look)) as store:
        yield store


def storage_arguments(name: str) -> list[str]:
    """How a command that a user may type next names a store.

    Args:
        name: The store's name; see `Store.name`.

    Returns:
        Nothing where the command finds the store by itself: a password is in no store's name.
    """
    from storage.connect.engine import parse_url, redact

    with contextlib.suppress(StorageError):
        if redact(parse_url(default_storage(None))) == name:
            return []
    return ["--storage", name]


def configure_logging(*, verbose: bool) -> None:
    """As `space.terminal.command.configure_logging`, for Optuna too.

    Args:
        verbose: Let the libraries' own messages and warnings through.
    """
    import optuna

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

    In another thread than the first, where Python takes no signals, nothing is turned.

    Yields:
        The flag that is raised.
    """
    flag = StopFlag()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return

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
