"""What all commands share: their options, one-sentence errors, streams, logging, exit status."""

from __future__ import annotations

import argparse
import atexit
import contextlib
import errno
import logging
import os
import re
import sys
import threading
import warnings
from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, Self

from space.errors import SpaceError, UsageError, UserError
from space.files.places import is_url
from space.terminal.layout import Paper, command_lines
from space.terminal.printing import ConsoleHandler, say_error
from space.terminal.program import words_of
from space.terminal.streams import mend_streams
from space.words import describe

__all__ = [
    "EXIT_DONE",
    "EXIT_INTERRUPTED",
    "EXIT_NOTHING",
    "EXIT_USER",
    "FULL_DISK",
    "JSON",
    "LARGEST_INT",
    "SET",
    "Command",
    "OneOf",
    "Option",
    "Parser",
    "configure_logging",
    "count_of",
    "local_path",
    "positive_int",
    "run_command",
    "run_process",
    "seed",
    "whole_int",
]

FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
"""What the system says where there is no room left."""

LARGEST_INT = 2**31 - 1
"""What every database has for a number."""

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
        for each in self._actions:
            if message.startswith("unrecognized") and str(each.metavar).startswith("-- "):
                message += f" ({each.help})"  # Most likely it is one of those.
        # A URL in the wrong place keeps its password to itself, too.
        shown_message = _PASSWORD.sub(r"\1***@", message)
        raise UsageError(f"{self.prog}: {shown_message}; see --help.")


class Option:
    """An option of commands, or an argument without a name."""

    def __init__(self, *names: str, **settings: Any) -> None:
        """Declare an option.

        Args:
            names: As for `argparse.ArgumentParser.add_argument`.
            settings: Likewise.
        """
        self.names = names
        self.settings = settings

    def but(self, **settings: Any) -> Option:
        """The same option with other settings, e.g. with a command's own help."""
        return Option(*self.names, **(self.settings | settings))

    def add_to(self, parser: argparse._ActionsContainer) -> None:
        """Give a command the option."""
        parser.add_argument(*self.names, **self.settings)


class OneOf:
    """Options of which a command takes one at a time."""

    def __init__(self, *options: Option, required: bool = False) -> None:
        """Declare which, and whether one has to be there."""
        self.options = options
        self.required = required

    def add_to(self, parser: argparse._ActionsContainer) -> None:
        """Give a command the options."""
        group = parser.add_mutually_exclusive_group(required=self.required)
        for option in self.options:
            option.add_to(group)


def count_of(name: str, text: str, *, default: int | None = None, metavar: str = "N") -> Option:
    """An option that takes a whole number of at least 1.

    Args:
        name: Its name.
        text: Its help.
        default: Its value where it is not given.
        metavar: What stands for the number in the help.
    """
    return Option(name, type=positive_int, metavar=metavar, default=default, help=text)


JSON = Option("--json", action="store_true", help="print JSON")
SET = Option("--set", action="append", default=[], metavar="KEY=VALUE")

Work = Callable[[Namespace], int | None]
"""What a command does with its options; it returns the exit status, None where all is done."""


class Command:
    """A command: its options, its help and what it does.

    Called with its arguments, it returns its exit status; it raises a `UserError` for what the user
    can mend.
    """

    def __init__(
        self,
        module: str,
        description: str | None,
        *options: Option | OneOf,
        examples: Sequence[str],
        epilog: str = "",
        work: Work | None = None,
    ) -> None:
        """Declare a command.

        Args:
            module: The module that is run, e.g. ``"search.launch"``.
            description: What its help says first.
            options: Its options, in the order of its help.
            examples: As for `Parser`.
            epilog: As for `Parser`.
            work: What it does where none of its parts is named; None where one must be.
        """
        self.module = module
        self._help: dict[str, Any] = {
            "description": description,
            "examples": examples,
            "epilog": epilog,
        }
        self._options = options
        self._work = work
        self._parts: list[tuple[str, Sequence[Option | OneOf], dict[str, Any], Work]] = []

    @classmethod
    def of(cls, *what: Any, **how: Any) -> Callable[[Work], Self]:
        """Make a command of the function below: ``@Command.of("module", "description", ...)``."""
        return lambda work: cls(*what, **how, work=work)

    def part(self, name: str, *options: Option | OneOf, **how: Any) -> Callable[[Work], Work]:
        """Make a command within this one of the function below.

        Args:
            name: What it is called.
            options: Its options.
            how: Its ``help`` and ``examples``, and other settings of `Parser`.
        """

        def added(work: Work) -> Work:
            self._parts.append((name, options, how, work))
            return work

        return added

    def build_parser(self) -> Parser:
        """The parser of its options."""
        parser = Parser(prog=" ".join(words_of(self.module)), **self._help)
        for option in self._options:
            option.add_to(parser)
        if self._parts:
            parts = parser.add_subparsers(dest="command", required=self._work is None)
            for name, options, how, work in self._parts:
                part = parts.add_parser(name, **how)
                for option in options:
                    option.add_to(part)
                part.set_defaults(work=work)
        if self._work is not None:
            parser.set_defaults(work=self._work)
        return parser

    def prepare(self, options: Namespace, argv: list[str]) -> None:
        """Do what comes before the work: nothing, unless a kind of commands says otherwise."""

    def __call__(self, argv: list[str]) -> int:
        """Do what some arguments say, and return the exit status."""
        options = self.build_parser().parse_args(argv)
        self.prepare(options, argv)
        status = options.work(options)
        return EXIT_DONE if status is None else status

    def run(self) -> NoReturn:
        """Do what the process's arguments say, and leave; see `run_command`."""
        run_process(self)


def whole_int(text: str) -> int:
    """An option's whole number, as small as every database has them.

    Raises:
        argparse.ArgumentTypeError: If it is none.
    """
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number") from None
    if not -LARGEST_INT <= value <= LARGEST_INT:
        raise argparse.ArgumentTypeError(
            f"'{text}' is not a whole number from -{LARGEST_INT} to {LARGEST_INT}"
        )
    return value


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
    return whole_int(text)


def seed(text: str) -> int:
    """An option's seed.

    Raises:
        argparse.ArgumentTypeError: If it is no whole number from 0 to 2**63 - 1.
    """
    if not (text.isascii() and text.isdigit() and int(text) < 2**63):
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 0 to 2**63 - 1")
    return int(text)


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


def run_process(main: Callable[[list[str]], int]) -> NoReturn:
    """Run the one command of a process; see `run_command`.

    Python would take all modules down one by one before it leaves, a second's work after PyTorch
    and Ray. Threads are waited for and exit functions called as it does.

    Args:
        main: As for `run_command`.
    """
    try:
        run_command(main)
    except SystemExit as left:
        if not isinstance(left.code, int):
            raise
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        with contextlib.suppress(OSError):  # Python says what cannot be written.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(left.code)
        raise


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
