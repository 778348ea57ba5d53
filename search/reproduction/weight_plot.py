"""A grid search's error against its parameter, drawn as SVG."""

from __future__ import annotations

from dashboards.numbers.grid import GridCurve
from search.reproduction.svg import LEFT, RIGHT, WIDTH, Axes, document, label

__all__ = ["grid_curve_svg"]

COLOURS = ("#0072b2", "#d55e00")
"""Of the points, and of the one that is asked about."""
INSET, HEADROOM = 24, 1.05


def grid_curve_svg(curve: GridCurve, title: str, *, parameter: str, metric: str) -> str:
    """Draw the mean at each point with its 95 % interval.

    Args:
        curve: The curve, of points that are numbers.
        title: What the drawing is headed with.
        parameter: What is on the lower axis.
        metric: What is measured.

    Returns:
        An SVG document, the same for the same curve.
    """
    values = [float(point.value) for point in curve.points]
    spans = [
        (summary.mean, summary.mean) if interval is None else (interval.low, interval.high)
        for point in curve.points
        for summary, interval in [(point.summary, point.summary.interval)]
    ]
    top = max(high for _, high in spans) * HEADROOM
    axes = Axes(values[0], values[-1], top if top > 0 else 1.0, inset=INSET)
    parts = axes.frame(values, parameter, metric)
    means = [point.summary.mean for point in curve.points]
    line = "L".join(axes.points(values, means))
    parts.append(f'<path d="M{line}" stroke="{COLOURS[0]}" stroke-opacity="0.4" fill="none"/>')
    for value, mean, (low, high) in zip(values, means, spans, strict=True):
        colour = COLOURS[value == curve.reference]
        x = f"{axes.x(value):.1f}"
        ends = f"M{x} {axes.y(low):.1f}V{axes.y(high):.1f}"
        parts.append(f'<path d="{ends}" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<circle cx="{x}" cy="{axes.y(mean):.1f}" r="4" fill="{colour}"/>')
    parts.append(label(LEFT, 46, f"orange: {curve.reference:g}", "start"))
    parts.append(label(WIDTH - RIGHT, 46, "mean and 95 % interval over the seeds", "end"))
    return document(title, parts)
