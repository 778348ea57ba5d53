"""What the commands over a store share: one-sentence errors, logging, stopping when asked to."""

from __future__ import annotations

import argparse
import contextlib
import errno
import logging
import os
import re
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

import optuna

from space.errors import StorageError, UsageError, UserError
from storage.connect.engine import DEFAULT_URL, parse_url, redact

__all__ = [
    "EXIT_DONE",
    "EXIT_INTERRUPTED",
    "EXIT_NOTHING",
    "EXIT_USER",
    "FULL_DISK",
    "Parser",
    "add_storage_option",
    "configure_logging",
    "default_storage",
    "positive_int",
    "run_command",
    "seed",
    "stop_signals",
    "storage_arguments",
]

STORAGE_VARIABLE = "SEARCH_STORAGE"

FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
"""What the system says where there is no room left."""

_PASSWORD = re.compile(r"(://[^:@/]*:).*@", re.DOTALL)

EXIT_DONE = 0
EXIT_NOTHING = 1
EXIT_USER = 2
EXIT_INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one sentence, like all others."""

    def __init__(self, **kwargs: Any) -> None:
        """Make a parser that does not guess abbreviated options."""
        super().__init__(
            allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **kwargs
        )

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """Read a command line.

        Raises:
            UsageError: If it is wrong, or holds bytes that are no UTF-8: no store takes those.
        """
        for argument in sys.argv[1:] if args is None else args:
            try:
                argument.encode()
            except UnicodeEncodeError:
                self.error(f"{argument!r} is not UTF-8 text")
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Refuse the command line.

        Raises:
            UsageError: Always.
        """
        # A URL in the wrong place keeps its password to itself, too.
        shown = _PASSWORD.sub(r"\1***@", message)
        raise UsageError(f"{self.prog}: {shown}; see --help.")


def positive_int(text: str) -> int:
    """An option's whole number of at least 1.

    Raises:
        argparse.ArgumentTypeError: If it is none.
    """
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least 1")
    return value


def seed(text: str) -> int:
    """An option's seed.

    Raises:
        argparse.ArgumentTypeError: If it is no whole number from 0 to 2**63 - 1.
    """
    if not (text.isascii() and text.isdigit() and int(text) < 2**63):
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 0 to 2**63 - 1")
    return int(text)


def add_storage_option(parser: argparse.ArgumentParser) -> None:
    """Give a command the option that names its store; see `default_storage`."""
    parser.add_argument(
        "--storage",
        metavar="URL",
        help="sqlite:///FILE or postgresql+psycopg://USER@HOST/DB; default: $SEARCH_STORAGE, else "
        f"{DEFAULT_URL}",
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


def run_command(main: Callable[[list[str]], int]) -> NoReturn:
    """Run a command and leave with its exit status.

    A `UserError` is one sentence on stderr and exit status 2; a bug of ours keeps its traceback.

    Args:
        main: Takes the arguments, returns the exit status.
    """
    try:
        status = main(sys.argv[1:])
        sys.stdout.flush()
    except UserError as error:
        print(f"error: {_one_line(str(error))}", file=sys.stderr)  # noqa: T201
        status = EXIT_USER
    except BrokenPipeError:
        # The reader of our output went away (`| head`).
        _give_up_stdout()
        status = EXIT_NOTHING
    except OSError as error:
        if error.errno not in FULL_DISK:
            raise
        _give_up_stdout()
        print(  # noqa: T201
            f"error: {error.filename or 'the output'} cannot be written ({error.strerror}); free "
            "some disk space, then run the same command again.",
            file=sys.stderr,
        )
        status = EXIT_USER
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)  # noqa: T201
        status = EXIT_INTERRUPTED
    sys.exit(status)


def _one_line(text: str) -> str:
    """A sentence on one line, though what a user typed may stand in it."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def _give_up_stdout() -> None:
    """Write no more of the output: Python would complain once more at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def configure_logging(*, verbose: bool) -> None:
    """Send our messages to stderr and keep the libraries' to themselves, unless asked for.

    Args:
        verbose: Let the libraries' own messages and warnings through.
    """
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.DEBUG if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s" if verbose else "%(message)s",
        datefmt="%H:%M:%S",
    )
    for name in ("search", "space", "storage", "trainables", "dashboards"):
        logging.getLogger(name).setLevel(logging.DEBUG if verbose else logging.INFO)
    optuna.logging.disable_default_handler()
    optuna.logging.set_verbosity(logging.INFO if verbose else logging.ERROR)
    if verbose:
        optuna.logging.enable_propagation()
    else:
        # Among them Optuna's that some samplers and options are experimental.
        warnings.simplefilter("ignore")


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
