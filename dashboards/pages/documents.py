"""What a page is filled with: pieces of HTML and figures, as one JSON document."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from plotly.io.json import to_json_plotly

from dashboards.figures.panel import Panel
from dashboards.figures.template import DARK, LIGHT
from dashboards.numbers.statistics import summarise
from dashboards.pages import words
from space.terminal.counts import count

__all__ = ["Document", "figure_templates", "render"]

DIRECTORY = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Document:
    """The content of a page.

    Attributes:
        title: The page's title, plain text.
        is_running: Whether something of it is in progress, so that it will soon be another.
        summary: HTML above the figures.
        details: HTML below them.
        panels: The figures.
    """

    title: str
    is_running: bool
    summary: str
    details: str = ""
    panels: Sequence[Panel] = ()

    def as_json(self) -> bytes:
        """For the page's script. Figures come without their template, which it has already."""
        tree = {
            "title": self.title,
            "running": self.is_running,
            "summary": self.summary,
            "details": self.details,
            "panels": [
                {
                    "key": panel.key,
                    "title": panel.title,
                    "caption": panel.caption,
                    "figure": _without_template(panel),
                    "narrow": panel.narrow,
                }
                for panel in self.panels
            ],
        }
        text: str = to_json_plotly(tree)
        return text.encode()


def render(name: str, **context: Any) -> str:
    """Fill a template; every value in it is escaped.

    Args:
        name: A file of ``templates/``.
        context: What it names.
    """
    return _environment().get_template(name).render(**context)


def figure_templates() -> bytes:
    """The figures' light and dark template, for the page's script."""
    templates = {"light": LIGHT.to_plotly_json(), "dark": DARK.to_plotly_json()}
    text: str = to_json_plotly(templates)
    return text.encode()


def _without_template(panel: Panel) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads(panel.figure.to_json())
    tree["layout"].pop("template", None)
    return tree


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(DIRECTORY / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=count,
        number=words.number,
        values=words.values,
        duration=words.duration,
        time=words.time_element,
        unit=words.unit_of,
        metric=words.metric_name,
        summarise=summarise,
    )
    return environment
