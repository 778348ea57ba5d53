"""What commands print: their result to stdout; progress and logs to stderr, through one console."""

from __future__ import annotations

import csv
import datetime
import functools
import io
import json
import logging
import math
import sys
from collections import deque
from collections.abc import Sequence
from typing import Any, TextIO

from rich.console import Console, RenderableType
from rich.text import Text

from space.terminal.layout import Line, Paper, command_lines, table_lines, wrapped
from space.terminal.streams import shown

__all__ = [
    "ConsoleHandler",
    "as_csv",
    "as_json",
    "as_text",
    "error_console",
    "forget_said",
    "last_lines",
    "last_warnings",
    "paper_of",
    "remember",
    "say",
    "say_command",
    "say_error",
    "say_event",
    "say_json",
    "say_table",
    "say_whole",
    "write",
]

_LAST: deque[str] = deque(maxlen=30)
"""What this process said last on stderr."""
_WARNINGS: deque[str] = deque(maxlen=20)
"""The warnings among it, each once."""
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")
"""A spreadsheet runs a cell that begins so."""


def paper_of(stream: TextIO) -> Paper:
    """What is written to a stream is laid out so: for the terminal's width if it is one."""
    stream = getattr(stream, "rich_proxied_file", stream)  # What a bar puts in its place is none.
    width = Console(file=stream).width if stream.isatty() else None
    return Paper(width=width, encoding=getattr(stream, "encoding", None) or "utf-8")


def as_text(drawing: RenderableType, width: int = 120) -> str:
    """What rich would draw on a terminal, without colours.

    Args:
        drawing: A table, say.
        width: Columns.
    """
    console = Console(file=io.StringIO(), width=width, record=True, force_jupyter=False)
    console.print(drawing)
    return console.export_text()


def write(text: str) -> None:
    """Print to stdout what is laid out already; it ends with a line break."""
    sys.stdout.write(text)


def say(text: str = "", indent: str = "") -> None:
    """Print a sentence to stdout, broken between words on a terminal."""
    write("".join(f"{line}\n" for line in wrapped(text, paper_of(sys.stdout), indent)))


def say_whole(text: str) -> None:
    """Print a line to stdout that is not to be broken, such as a path."""
    write(f"{paper_of(sys.stdout).plain(text)}\n")


def say_command(label: str, command: str) -> None:
    """Print a command to stdout that a shell takes as it stands there."""
    lines = command_lines(label, command, paper_of(sys.stdout))
    write("".join(f"{line}\n" for line in lines))


def say_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    left: frozenset[int] = frozenset({0}),
    n_keys: int = 1,
) -> None:
    """Print a table to stdout that fits; see `table_lines`."""
    paper = paper_of(sys.stdout)
    _print_lines(list(table_lines(columns, rows, paper, left=left, n_keys=n_keys)))


def _print_lines(lines: Sequence[Line]) -> None:
    console = Console(file=sys.stdout, highlight=False)
    for line, is_heading in lines:
        console.print(Text(line, style="bold" if is_heading else ""), soft_wrap=True)


def say_json(tree: Any) -> None:
    """Print a tree to stdout as JSON; see `as_json`."""
    write(as_json(tree))


def as_json(tree: Any) -> str:
    """A tree as JSON that every encoding can write and every parser reads.

    Args:
        tree: Of what JSON has. Numbers that JSON does not have are the strings ``"NaN"``,
            ``"Infinity"`` and ``"-Infinity"``.

    Returns:
        Lines of ASCII.
    """
    return json.dumps(_finite(tree), indent=2, allow_nan=False) + "\n"


def _finite(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _finite(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_finite(each) for each in tree]
    if isinstance(tree, float) and not math.isfinite(tree):
        return "NaN" if math.isnan(tree) else "Infinity" if tree > 0 else "-Infinity"
    return tree


def as_csv(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table as CSV that a spreadsheet may open: no name in it is run as a formula.

    Args:
        columns: The headings.
        rows: The values, as many a row as there are columns; None is an empty cell.

    Returns:
        Lines. A text that a spreadsheet would run has an apostrophe before it; numbers are numbers.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerows([_inert(value) for value in row] for row in (columns, *rows))
    return stream.getvalue()


def _inert(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return shown(f"'{value}" if value.lstrip(" ").startswith(_FORMULA) else value)


@functools.cache
def error_console() -> Console:
    """The console of stderr, of which a process has one: what is printed stands above its bars."""
    return Console(stderr=True, highlight=False)


def say_error(text: str, *, command: str | None = None) -> None:
    """Print a sentence to stderr, or a command after its label, above whatever bar is there."""
    _LAST.append(text if command is None else f"{text} {command}")
    paper = paper_of(sys.stderr)
    lines = wrapped(text, paper) if command is None else command_lines(text, command, paper)
    console = error_console()
    for line in lines:
        console.print(Text(line), soft_wrap=True)


def last_lines() -> tuple[str, ...]:
    """What this process said last on stderr, oldest first; bars and tables are not among it."""
    return tuple(_LAST)


def forget_said() -> None:
    """Begin anew with what this process said: a process may run several launches."""
    _LAST.clear()
    _WARNINGS.clear()


def remember(text: str) -> None:
    """Count a text among the warnings of this process."""
    if text not in _WARNINGS:
        _WARNINGS.append(text)


def last_warnings() -> tuple[str, ...]:
    """The warnings of this process, oldest first."""
    return tuple(_WARNINGS)


def say_event(text: str) -> None:
    """Print to stderr what happened just now, after the time of day."""
    say_error(f"{datetime.datetime.now():%H:%M:%S} {text}")


class ConsoleHandler(logging.Handler):
    """Prints log messages to the console of stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a message; what is not printable in it is spelled."""
        try:
            text = self.format(record)
            if record.levelno >= logging.WARNING:
                remember(text)
            for line in text.split("\n"):
                say_error(line)
        except Exception:  # noqa: BLE001 - logging's own contract
            self.handleError(record)
