"""What a page or a chapter of a report is filled with: pieces of HTML and figures."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape
from plotly.io.json import to_json_plotly

from dashboards.figures.panel import Panel
from dashboards.figures.template import DARK, LIGHT, STATE_COLOURS
from dashboards.glossary import explained, word_id
from dashboards.tables.drawing import Sheet, draw
from dashboards.words import on_data
from space.amounts import size_in_words
from space.words import STATES, capitalised, count, duration, number
from storage.tables.service import new_uid

__all__ = ["STATIC", "Document", "drawn", "figure_templates", "render", "static"]

DIRECTORY = Path(__file__).parent
STATIC = DIRECTORY / "static"


@dataclass(frozen=True, kw_only=True)
class Document:
    """The content of a page or of a chapter.

    Attributes:
        title: What it is of, plain text.
        kind: "study" or "benchmark"; empty for the overview.
        is_running: Whether something of it is in progress, so that it will soon be another.
        outcome: What came out of it, plain text.
        lead: HTML that everything else stands below: the answer.
        summary: HTML above the figures.
        details: HTML below them.
        panels: The figures.
    """

    title: str
    kind: str = ""
    is_running: bool
    outcome: str = ""
    lead: str = ""
    summary: str
    details: str = ""
    panels: Sequence[Panel] = ()

    def figures(self) -> list[dict[str, Any]]:
        """The panels for the script that draws them, which has the figures' template already."""
        return [
            {
                "key": panel.key,
                "title": panel.title,
                "caption": panel.caption,
                "width": panel.width,
                "switches": sorted(panel.switches),
                "figures": [_without_template(figure) for figure in panel.figures],
            }
            for panel in self.panels
        ]

    def as_json(self) -> bytes:
        """All of it, for the page's script; words that a newcomer may not know are explained."""
        (lead, summary, details), words = explained((self.lead, self.summary, self.details))
        tree = {
            "running": self.is_running,
            "lead": lead,
            "summary": summary,
            "details": details + render("words.html", words=words),
            "panels": self.figures(),
        }
        return bytes(to_json_plotly(tree), "utf-8")


def drawn(sheets: Iterable[Sheet]) -> list[Markup]:
    """Sheets as HTML, which escapes every text in them."""
    return [Markup(draw(sheet, "html")) for sheet in sheets]


def render(name: str, **context: Any) -> str:
    """Fill a template; every value in it is escaped.

    Args:
        name: A file of ``templates/``.
        context: What it names.
    """
    return _environment().get_template(name).render(**context)


def static(name: str) -> str:
    """A file of ``static/``."""
    return (STATIC / name).read_text(encoding="utf-8")


def figure_templates() -> str:
    """The figures' light and dark template as JSON, for the script that draws them."""
    templates = {"light": LIGHT.to_plotly_json(), "dark": DARK.to_plotly_json()}
    return str(to_json_plotly(templates))


def _without_template(figure: Any) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads(figure.to_json())
    del tree["layout"]["template"]
    return tree


def _unbroken(text: str) -> str:
    """A text in which no line ends between a number and its unit or its spread."""
    return text.replace(" %", "\u00a0%").replace(" ± ", "\u00a0±\u00a0")


def _breakable(name: str) -> Markup:
    """A name whose lines may end after an underscore, where lines end at all."""
    return escape(name).replace("_", Markup("_<wbr>"))


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(DIRECTORY / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        new_uid=new_uid, word_id=word_id, STATES=STATES, STATE_COLOURS=STATE_COLOURS
    )
    environment.filters.update(
        breakable=_breakable,
        capitalised=capitalised,
        count=count,
        number=number,
        size=size_in_words,
        on_data=on_data,
        unbroken=_unbroken,
        duration=duration,
    )
    return environment
