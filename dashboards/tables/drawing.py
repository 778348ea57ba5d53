"""A table of strings, drawn as text, Markdown, LaTeX or HTML, whatever characters are in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from html import escape

from space.terminal.layout import Paper, table_lines, wrapped
from space.terminal.streams import shown

__all__ = ["Sheet", "draw", "escape_latex", "escape_markdown"]

SHORT = 24
"""Characters of a cell that is never broken into lines."""

# A bracket alone is text; one that closes a link's text is not.
_MARKDOWN_SPECIAL = re.compile(r"([\\`*_<>|~&$#]|\](?=[(\[]))")
_LATEX_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    # At the start of a row LaTeX takes these for arguments of the line break before it.
    "[": "{[}",
    "*": "{*}",
}
_LATEX_PATTERN = re.compile("|".join(map(re.escape, _LATEX_SPECIAL)))
_MINUS = re.compile(r"(?<!\w)-(?=\d)")


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A table of strings, none of which has a line break.

    Attributes:
        title: Its heading; may be empty.
        columns: The columns' headings.
        left: The columns that are aligned to the left, by number; the others are to the right.
        rows: The cells, as many a row as there are columns.
        notes: What to say below it, a line each.
    """

    title: str = ""
    columns: Sequence[str]
    left: frozenset[int] = frozenset({0})
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


def draw(sheet: Sheet, kind: str, paper: Paper | None = None) -> str:
    """Draw a sheet.

    Args:
        sheet: The sheet.
        kind: ``"text"``, ``"markdown"``, ``"latex"`` or ``"html"``.
        paper: Where text is written; default: where lines have no end.

    Returns:
        Whole lines. HTML is a ``<div class="sheet">`` with a ``<table>`` that the title is the
        caption of, and a ``<p class="note">`` a note. Cells have the classes ``number`` where they
        are aligned to the right, and ``short`` where no cell of their column needs two lines.
    """
    sheet = replace(
        sheet,
        title=shown(sheet.title),
        columns=[*map(shown, sheet.columns)],
        rows=[[*map(shown, row)] for row in sheet.rows],
        notes=[*map(shown, sheet.notes)],
    )
    return _text(sheet, paper or Paper()) if kind == "text" else _DRAWERS[kind](sheet)


def escape_markdown(text: str) -> str:
    """Text that Markdown (GitHub's) shows as it is, in a table too."""
    return _MARKDOWN_SPECIAL.sub(r"\\\1", text)


def escape_latex(text: str) -> str:
    """Text that LaTeX typesets as it is, negative numbers with a minus sign.

    Letters beyond ASCII stay: today's LaTeX reads UTF-8, and a font must have them.
    """
    escaped = _LATEX_PATTERN.sub(lambda match: _LATEX_SPECIAL[match.group()], text)
    return _MINUS.sub("$-$", escaped)


def _text(sheet: Sheet, paper: Paper) -> str:
    lines = wrapped(sheet.title, paper) if sheet.title else []
    lines += [line for line, _ in table_lines(sheet.columns, sheet.rows, paper, left=sheet.left)]
    for note in sheet.notes:
        lines += wrapped(note, paper)
    return "".join(f"{line}\n" for line in lines)


def _markdown(sheet: Sheet) -> str:
    def row(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cells)} |"

    ruler = [":--" if index in sheet.left else "--:" for index in range(len(sheet.columns))]
    drawn = [f"**{escape_markdown(sheet.title)}**", ""] if sheet.title else []
    drawn += [row([*map(escape_markdown, sheet.columns)]), row(ruler)]
    drawn += [row([*map(escape_markdown, cells)]) for cells in sheet.rows]
    for note in sheet.notes:
        drawn += ["", escape_markdown(note)]
    return "".join(f"{line}\n" for line in drawn)


def _latex(sheet: Sheet) -> str:
    def row(cells: Sequence[str]) -> str:
        return f"{' & '.join(map(escape_latex, cells))} \\\\"

    alignment = "".join("l" if index in sheet.left else "r" for index in range(len(sheet.columns)))
    drawn = [f"% {sheet.title}"] if sheet.title else []
    drawn += [rf"\begin{{tabular}}{{{alignment}}}", r"\toprule", row(sheet.columns), r"\midrule"]
    drawn += [row(cells) for cells in sheet.rows]
    drawn += [r"\bottomrule", r"\end{tabular}", *(f"% {note}" for note in sheet.notes)]
    return "".join(f"{line}\n" for line in drawn)


def _html(sheet: Sheet) -> str:
    styles = []
    for index, cells in enumerate(zip(*sheet.rows, strict=True)):
        names = [] if index in sheet.left else ["number"]
        names += ["short"] if max(map(len, cells)) <= SHORT else []
        styles.append(f' class="{" ".join(names)}"' if names else "")
    styles = styles or [""] * len(sheet.columns)

    def row(cells: Sequence[str], first: str, other: str) -> str:
        drawn = []
        for index, (cell, style) in enumerate(zip(cells, styles, strict=True)):
            opening = other if index else first
            drawn.append(f"<{opening}{style}>{escape(cell)}</{opening[:2]}>")
        return f"<tr>{''.join(drawn)}</tr>"

    header = 'th scope="col"'
    drawn = ['<div class="sheet">', "<table>"]
    if sheet.title:
        drawn.append(f"<caption>{escape(sheet.title)}</caption>")
    drawn += ["<thead>", row(sheet.columns, header, header), "</thead>", "<tbody>"]
    drawn += [row(cells, 'th scope="row"', "td") for cells in sheet.rows]
    drawn += ["</tbody>", "</table>"]
    drawn += [f'<p class="note">{escape(note)}</p>' for note in sheet.notes]
    return "".join(f"{line}\n" for line in [*drawn, "</div>"])


_DRAWERS: dict[str, Callable[[Sheet], str]] = {
    "markdown": _markdown,
    "latex": _latex,
    "html": _html,
}
