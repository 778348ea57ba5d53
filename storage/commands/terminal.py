"""Consoles for what people read."""

from __future__ import annotations

import sys
from typing import TextIO

from rich.console import Console

__all__ = ["console_for"]

WIDTH_OF_A_FILE = 200


def console_for(stream: TextIO | None = None) -> Console:
    """A console that fits the terminal, and does not fold lines in files and pipes.

    Args:
        stream: Where it writes; default: stdout.
    """
    stream = sys.stdout if stream is None else stream
    width = None if stream.isatty() else WIDTH_OF_A_FILE
    return Console(file=stream, width=width, highlight=False)
