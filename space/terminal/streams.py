"""Standard streams that a command can always write to, whoever reads them and in what encoding."""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from typing import TextIO

__all__ = ["mend_streams", "shown", "spelled"]

_SPELLED = "search.spelled"
"""Our way of writing a character that an encoding does not have; see `spelled`."""

_ASCII = {
    "±": "+/-",
    "×": "x",
    "–": "-",
    "—": "-",
    "−": "-",
    "…": "...",
    "≤": "<=",
    "≥": ">=",
    "→": "->",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "·": "*",
}
"""Signs of ours that ASCII has a spelling for."""

_GONE = (errno.EPIPE, errno.EBADF, errno.ECONNRESET)
"""What the system says where nobody reads any longer."""


def shown(text: str) -> str:
    """A text on one line, safe to print: names of other tools' studies may hold anything.

    Args:
        text: Any text.

    Returns:
        The text with what is not printable (line breaks, escape bytes, marks that turn the
        direction of writing, lone surrogates) spelled as Python does: ``\\x1b``.
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def spelled(text: str, encoding: str) -> str:
    """A text in the characters that an encoding has.

    Args:
        text: Any text.
        encoding: A codec's name.

    Returns:
        The text; signs that ASCII can spell are spelled (``+/-``), other characters that the
        encoding lacks are ``\\xe9``, ``\\u4e2d`` and the like, so that nothing is lost.
    """
    return text if text.isascii() else text.encode(encoding, _SPELLED).decode(encoding)


def _spell(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    written = "".join(
        _ASCII.get(each) or each.encode("ascii", "backslashreplace").decode() for each in lacking
    )
    return written, error.end


codecs.register_error(_SPELLED, _spell)


class _Stream(io.FileIO):
    """A standard stream that swallows what nobody reads any longer.

    A command's work is in its store and its files: it is not to be stopped or to lose any of that
    because `head` has seen enough or a terminal was closed.
    """

    def __init__(self, number: int) -> None:
        """Take over a file descriptor, which stays open."""
        super().__init__(number, "w", closefd=False)
        self._is_terminal = self.isatty()

    def write(self, data: object, /) -> int:
        """Write, or pretend to once the reader is gone."""
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError as error:
            if error.errno not in _GONE and not (error.errno == errno.EIO and self._is_terminal):
                raise
            _to_nowhere(self.fileno())
            return memoryview(data).nbytes  # type: ignore[arg-type]


def mend_streams() -> None:
    """Let this process write to stdout and stderr whatever it has to say.

    A stream that was closed before the process began leads nowhere from here on: its number would
    go to the next file that is opened, and output of a library into a store. A stream that breaks
    later leads nowhere from then on. Characters that a stream's encoding lacks are spelled.
    A stream that is no file of the system's, such as a test's, stays as it is.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            _to_nowhere(number)
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115 - for good
    sys.stdout = _mended(sys.stdout, 1)
    sys.stderr = _mended(sys.stderr, 2)


def _mended(stream: TextIO | None, number: int) -> TextIO:
    if stream is None:
        # Its number may be another file's by now.
        return open(os.devnull, "w", encoding="utf-8")
    try:
        if stream.fileno() != number:
            return stream
    except (OSError, ValueError):
        return stream
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Stream(number)),
        encoding=stream.encoding,
        errors=_SPELLED,
        line_buffering=number == 2 or stream.isatty(),
    )


def _to_nowhere(number: int) -> None:
    """Let a file descriptor lead nowhere, also where it is not open."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere == number:
        os.set_inheritable(number, True)
    else:
        os.dup2(nowhere, number)
        os.close(nowhere)
