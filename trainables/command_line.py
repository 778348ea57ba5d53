"""What the two commands of this package share."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from space.errors import UserError

__all__ = ["positive_int", "run_command", "table"]


def positive_int(text: str) -> int:
    """An argument type for argparse.

    Args:
        text: What was typed.

    Returns:
        The number, at least 1.

    Raises:
        argparse.ArgumentTypeError: If it is no such number.
    """
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least 1")
    return int(text)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A plain table: the first column flush left, the others flush right.

    Args:
        header: Names of the columns.
        rows: Cells, as many a row as there are columns.

    Returns:
        Lines without the last line break.
    """
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (header, *rows)
    )


def run_command(command: Callable[[], str]) -> int:
    """Prints a command's result, or a user's mistake as one sentence.

    Args:
        command: Gives the text for stdout.

    Returns:
        Exit status: 0, or 2 for a `UserError`.
    """
    try:
        print(command())  # noqa: T201 - the result of a command
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - handlers are for logs
        return 2
    return 0
