"""The headline as the first thing on a page: a sentence and a small picture, as HTML."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from dashboards.headline import Headline, Side
from dashboards.pages.documents import render
from dashboards.words import show_mean
from space.words import count

__all__ = ["banner"]

WIDTH, MARGIN = 260.0, 6.0
"""Of the picture, in its own units."""


@dataclass(frozen=True, kw_only=True)
class _Line:
    """A side as it is drawn: places are from left to right."""

    name: str
    is_reference: bool
    dots: list[float]
    mean: float
    interval: tuple[float, float] | None
    said: str
    """Mean and spread, without a unit."""
    heard: str
    """The whole line for who cannot see it."""


def banner(headline: Headline, command: str | None = None, *, is_small: bool = False) -> Markup:
    """Draw an headline.

    Args:
        headline: The headline.
        command: What trains what is missing, where something is.
        is_small: Whether it stands in a table's row.
    """
    values = [value for side in headline.sides for value in side.values]
    values += [end for side in headline.sides for end in side.summary.interval or ()]
    low, high = min(values, default=0.0), max(values, default=1.0)
    notation = headline.notation
    return Markup(
        render(
            "banner.html",
            headline=headline,
            command=command if headline.lacking else None,
            is_small=is_small,
            lines=[_line(headline, side, low, high) for side in headline.sides],
            width=WIDTH,
            low=f"{notation.value(low)}{notation.unit}",
            high=f"{notation.value(high)}{notation.unit}",
        )
    )


def _line(headline: Headline, side: Side, low: float, high: float) -> _Line:
    def place(value: float) -> float:
        share = (value - low) / (high - low) if high > low else 0.5
        return round(MARGIN + share * (WIDTH - 2 * MARGIN), 1)

    notation, summary = headline.notation, side.summary
    said = show_mean(summary, notation)
    interval = summary.interval
    return _Line(
        name=side.name,
        is_reference=side.is_reference,
        dots=[place(value) for value in side.values],
        mean=place(summary.mean),
        interval=None if interval is None else (place(interval.low), place(interval.high)),
        said=said,
        heard=f"{side.name}: mean {said}{notation.unit} over {count(summary.n, 'seed')}, from "
        f"{notation.value(min(side.values))} to {notation.value(max(side.values))}",
    )
