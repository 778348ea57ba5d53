"""What all commands share: their options, one-sentence errors, streams, logging, exit status."""

from __future__ import annotations

import argparse
import errno
import logging
import os
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from space.errors import SpaceError, UsageError, UserError
from space.files.messages import describe
from space.terminal.layout import Paper, command_lines
from space.terminal.printing import ConsoleHandler, say_error
from space.terminal.streams import mend_streams

__all__ = [
    "EXIT_DONE",
    "EXIT_INTERRUPTED",
    "EXIT_NOTHING",
    "EXIT_USER",
    "FULL_DISK",
    "Parser",
    "add_format",
    "configure_logging",
    "is_url",
    "local_path",
    "positive_int",
    "run_command",
    "seed",
]

FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
"""What the system says where there is no room left."""

EXIT_DONE = 0
EXIT_NOTHING = 1
EXIT_USER = 2
EXIT_INTERRUPTED = 130

_PASSWORD = re.compile(r"(://[^:@/]*:).*@", re.DOTALL)


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one sentence, and whose help has examples."""

    def __init__(self, *, examples: Sequence[str] = (), epilog: str = "", **kwargs: Any) -> None:
        """Make a parser that does not guess abbreviated options.

        Args:
            examples: Arguments that the command may be given, shown below its options.
            epilog: What else is shown there.
            kwargs: For `argparse.ArgumentParser`.
        """
        super().__init__(
            allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **kwargs
        )
        self.examples = tuple(examples)
        lines = ["examples:"]
        for each in examples:
            lines += command_lines("  ", f"{self.prog} {each}".rstrip(), Paper(width=79))
        self.epilog = "\n".join([*lines, "", epilog] if examples else [epilog]).rstrip()

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
        shown_message = _PASSWORD.sub(r"\1***@", message)
        raise UsageError(f"{self.prog}: {shown_message}; see --help.")


def add_format(
    parser: argparse.ArgumentParser, what: str, formats: Sequence[str] = ("text", "json")
) -> None:
    """Give a command the option that says how it prints its result, by default as text."""
    parser.add_argument("--format", choices=formats, default="text", help=f"{what}; default: text")


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


def is_url(text: str) -> bool:
    """Whether a text that should be a path is a URL, such as ``s3://bucket/x`` or ``file:/x``."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", text) is not None


def local_path(text: str) -> str:
    """An option's path to be written to, with ``~`` as the user's own directory.

    Raises:
        argparse.ArgumentTypeError: If it is a URL: what lies elsewhere is not supported, and a
            directory named ``s3:`` is not what was meant.
    """
    if is_url(text):
        raise argparse.ArgumentTypeError(
            f"{describe(text)} is a URL, and only paths are supported: name a path, e.g. one where "
            "the other place is mounted"
        )
    return os.path.expanduser(text)


def run_command(main: Callable[[list[str]], int]) -> NoReturn:
    """Run a command and leave with its exit status.

    A `UserError` is one sentence on stderr and exit status 2; a bug of ours keeps its traceback.
    Streams that are closed, or whose encoding lacks a character, change neither what is done nor
    the status; see `mend_streams`.

    Args:
        main: Takes the arguments, returns the exit status.
    """
    mend_streams()
    try:
        status = main(sys.argv[1:])
        sys.stdout.flush()
    except UserError as error:
        for line in error.lines if isinstance(error, SpaceError) else (str(error),):
            say_error(f"error: {line}")
        status = EXIT_USER
    except OSError as error:
        if error.errno not in FULL_DISK:
            raise
        # Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        say_error(
            f"error: {error.filename or 'the output'} cannot be written ({error.strerror}); free "
            "some disk space, then run the same command again."
        )
        status = EXIT_USER
    except KeyboardInterrupt:
        say_error("interrupted")
        status = EXIT_INTERRUPTED
    sys.exit(status)


def configure_logging(*, verbose: bool) -> None:
    """Send our messages to stderr and keep the libraries' to themselves, unless asked for.

    Args:
        verbose: Let the libraries' own messages and warnings through.
    """
    logging.basicConfig(
        handlers=[ConsoleHandler()],
        level=logging.DEBUG if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s" if verbose else "%(message)s",
        datefmt="%H:%M:%S",
    )
    for name in ("search", "space", "storage", "trainables", "dashboards"):
        logging.getLogger(name).setLevel(logging.DEBUG if verbose else logging.INFO)
    if not verbose:
        # Among them Optuna's that some samplers and options are experimental.
        warnings.simplefilter("ignore")
