"""Sheets drawn as HTML: read back with a parser, whatever is in them."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.tables.drawing import Sheet, draw

HOSTILE = "<img src=x onerror=\"alert('1')\"> & </td></table><script>"
ROW = ("MLP", "0.1 ± 0.2", "better")


class Reader(HTMLParser):
    """Reads one sheet: cells as (tag, attributes, text), and what else has text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[tuple[str, dict[str, str | None], str]]] = []
        self.texts: dict[str, list[str]] = {"caption": [], "p": []}
        self.tags: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open.append(tag)
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append((tag, dict(attrs), ""))
        elif tag in self.texts:
            self.texts[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        inside = self._open[-1] if self._open else ""
        if inside in ("th", "td"):
            tag, attributes, text = self.rows[-1].pop()
            self.rows[-1].append((tag, attributes, text + data))
        elif inside in self.texts:
            self.texts[inside][-1] += data
        else:
            assert not data.strip()


def test_header_cells_say_what_they_head_and_numbers_are_marked() -> None:
    sheet = Sheet(
        title="A title", columns=("model", "error", "verdict"), left=frozenset({0, 2}), rows=[ROW]
    )
    header, row = Reader(draw(sheet, "html")).rows
    assert [(tag, attributes["scope"]) for tag, attributes, _ in header] == [("th", "col")] * 3
    assert [tag for tag, _, _ in row] == ["th", "td", "td"]
    assert row[0][1]["scope"] == "row"
    for cells in (header, row):
        classes = [attributes.get("class") for _, attributes, _ in cells]
        assert classes == ["short", "number short", "short"]


def test_a_column_is_short_if_all_of_its_cells_are() -> None:
    sheet = Sheet(columns=("model", "command"), rows=[("a", "b"), ("a", "a long text " * 5)])
    for cells in Reader(draw(sheet, "html")).rows:
        assert [attributes["class"] for _, attributes, _ in cells] == ["short", "number"]


def test_a_sheet_without_rows_has_its_header() -> None:
    (header,) = Reader(draw(Sheet(columns=("model", "error"), rows=[]), "html")).rows
    assert [text for *_, text in header] == ["model", "error"]


@given(st.text(), st.lists(st.text(), min_size=1, max_size=4), st.text())
def test_every_text_comes_back_as_text(title: str, cells: list[str], note: str) -> None:
    texts = [_plain(text) for text in (title, *cells, note)]
    title, cells, note = texts[0], texts[1:-1], texts[-1]
    read = Reader(draw(Sheet(title=title, columns=cells, rows=[cells], notes=[note]), "html"))
    assert [[text for *_, text in row] for row in read.rows] == [cells, cells]
    assert read.texts == {"caption": [title] if title else [], "p": [note]}


def test_names_that_look_like_html_make_no_element() -> None:
    sheet = Sheet(title=HOSTILE, columns=(HOSTILE,), rows=[(HOSTILE,)], notes=[HOSTILE])
    read = Reader(draw(sheet, "html"))
    assert set(read.tags) == {"div", "table", "caption", "thead", "tbody", "tr", "th", "p"}
    assert read.rows[1][0][2] == HOSTILE


@pytest.mark.parametrize("title", ["", "A title"])
def test_without_a_title_there_is_no_caption(title: str) -> None:
    drawn = draw(Sheet(title=title, columns=("a",), rows=[]), "html")
    assert ("<caption>" in drawn) == bool(title)


def _plain(text: str) -> str:
    """Without what an HTML parser reads differently: line ends, and characters that are none."""
    return "".join(each for each in text if each.isprintable())
