"""Text laid out for where it is read: tables and sentences that fit a terminal's width."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from space.terminal.streams import shown, spelled

__all__ = ["Line", "Paper", "command_lines", "table_lines", "wrapped"]

_GAP = "  "
_NARROW = 20
"""Cells that a column of words keeps, where its table has to be made to fit."""

Line = tuple[str, bool]
"""A line, and whether it is a heading."""


@dataclass(frozen=True, kw_only=True)
class Paper:
    """What text is laid out on.

    Attributes:
        width: Cells in a line; None: as many as it takes, for files and pipes.
        encoding: The characters that there are.
    """

    width: int | None = None
    encoding: str = "utf-8"

    def plain(self, text: str) -> str:
        """A text on one line, as it can be written there."""
        return spelled(shown(text), self.encoding)


def wrapped(text: str, paper: Paper, indent: str = "") -> list[str]:
    """A text in lines that are broken between words.

    Args:
        text: The text; it begins with the spaces that its first line begins with.
        paper: Where it is written. A word that is longer than a line stays whole.
        indent: What all lines but the first begin with.
    """
    text = paper.plain(text)
    if paper.width is None:
        return [text]
    return _broken(_words(text), paper.width, indent)


def _words(text: str) -> list[str]:
    """A text's words, each with the spaces before it."""
    return re.findall(r" *[^ ]+", text) or [""]


def _broken(words: Sequence[str], width: int, indent: str = "", more: str = "") -> list[str]:
    """Words in lines, each of which but the last ends with `more`."""
    lines, line = [], words[0]
    for word in words[1:]:
        if cell_len(line) + cell_len(word) + cell_len(more) <= width:
            line += word
        else:
            lines.append(line + more)
            line = indent + word.lstrip(" ")
    return [*lines, line]


def command_lines(label: str, command: str, paper: Paper) -> list[str]:
    """A shell command after a label, broken between arguments so that a shell takes it as it is."""
    line = paper.plain(f"{label}{command}")
    if paper.width is None or cell_len(line) <= paper.width:
        return [line]
    first, *others = map(shlex.quote, shlex.split(command))
    words = [paper.plain(each) for each in (f"{label}{first}", *(f" {each}" for each in others))]
    return _broken(words, paper.width, "    ", " \\")


def table_lines(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    paper: Paper,
    *,
    left: frozenset[int] = frozenset({0}),
    n_keys: int = 1,
) -> Iterator[Line]:
    """A table that fits: no cell is cut, and no word or number in it is broken.

    Where all columns fit beside each other, they stand so. Else columns of words have their cells
    broken into lines; else the columns are dealt out to several tables, each of which begins with
    the columns that name the row; else each row is a list of its own.

    Args:
        columns: The headings.
        rows: The cells, as many a row as there are columns.
        paper: Where it is written.
        left: The columns that hold words and are aligned to the left, by number.
        n_keys: So many columns name the row.

    Yields:
        The lines.
    """
    cells = [[paper.plain(cell) for cell in row] for row in (columns, *rows)]
    table = _Table(cells, left, n_keys, paper.width)
    groups = table.groups()
    if groups is None:
        yield from table.as_lists()
        return
    for place, (group, widths) in enumerate(groups):
        if place:
            yield "", False
        yield from table.drawn(group, widths)


class _Table:
    """A table's cells, the headings first, in the characters that they are written in."""

    def __init__(
        self, cells: list[list[str]], left: frozenset[int], n_keys: int, width: int | None
    ) -> None:
        self._cells, self._left, self._n_keys, self._width = cells, left, n_keys, width
        by_column = list(zip(*cells, strict=True))
        self._natural = [max(map(cell_len, column)) for column in by_column]
        self._least = [
            min(natural, max(_NARROW, *map(_longest_word, column)))
            if index in left and index >= n_keys
            else natural
            for index, (column, natural) in enumerate(zip(by_column, self._natural, strict=True))
        ]

    def groups(self) -> list[tuple[list[int], list[int]]] | None:
        """The columns that stand beside each other, with their widths; None: they cannot."""
        keys = list(range(self._n_keys))
        groups = [keys]
        for index in range(self._n_keys, len(self._natural)):
            if self._fits([*groups[-1], index]):
                groups[-1] = [*groups[-1], index]
            elif not self._fits([*keys, index]):
                return None
            elif groups[-1] == keys:
                groups[-1] = [*keys, index]
            else:
                groups.append([*keys, index])
        if not self._fits(groups[0]):
            return None
        return [(group, self._widths(group)) for group in groups]

    def _fits(self, group: list[int]) -> bool:
        if self._width is None:
            return True
        return sum(self._least[i] for i in group) + len(_GAP) * (len(group) - 1) <= self._width

    def _widths(self, group: list[int]) -> list[int]:
        """Each column's width: its own, or what is left of the line for columns of words."""
        widths = [self._natural[index] for index in group]
        if self._width is None:
            return widths
        over = sum(widths) + len(_GAP) * (len(group) - 1) - self._width
        while over > 0:
            # The widest that can become narrower.
            place = max(
                (p for p, index in enumerate(group) if widths[p] > self._least[index]),
                key=widths.__getitem__,
            )
            widths[place] -= 1
            over -= 1
        return widths

    def drawn(self, group: list[int], widths: list[int]) -> Iterator[Line]:
        """Columns beside each other."""
        for place, row in enumerate(self._cells):
            broken = [
                _broken(_words(row[index]), width) if cell_len(row[index]) > width else [row[index]]
                for index, width in zip(group, widths, strict=True)
            ]
            for number in range(max(map(len, broken))):
                padded = []
                for index, width, lines in zip(group, widths, broken, strict=True):
                    cell = lines[number] if number < len(lines) else ""
                    room = " " * (width - cell_len(cell))
                    padded.append(cell + room if index in self._left else room + cell)
                yield _GAP.join(padded).rstrip(), place == 0

    def as_lists(self) -> Iterator[Line]:
        """Each row by itself, a line or more a column."""
        titles, *rows = self._cells
        width = max(map(cell_len, titles[self._n_keys :]), default=0)
        for row in rows:
            names = zip(titles, row[: self._n_keys], strict=False)
            yield _GAP.join(f"{title} {cell}".strip() for title, cell in names), True
            for title, cell in zip(titles[self._n_keys :], row[self._n_keys :], strict=True):
                start = f"  {title}{' ' * (width - cell_len(title))}  "
                room = max(1, (self._width or 0) - cell_len(start))
                first, *others = _broken(_words(cell), room)
                yield f"{start}{first}".rstrip(), False
                yield from ((" " * cell_len(start) + each, False) for each in others)


def _longest_word(text: str) -> int:
    return max(map(cell_len, text.split(" ")))
