"""The curve of a grid search over one parameter."""

from __future__ import annotations

from dashboards.figures.panel import Panel
from dashboards.figures.study.drawing import Drawing, rounded
from dashboards.figures.template import (
    BASELINE_COLOUR,
    PALETTE,
    escape,
    figure,
    metric_axis,
    named_line,
    shorten,
)
from dashboards.numbers.study.grid import GridReport
from dashboards.story import grid_outcome
from space.words import capitalised, count

__all__ = ["grid_panel"]

SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "star")


def grid_panel(drawing: Drawing) -> Panel | None:
    """The objective against the parameter: mean, interval and every seed, the reference marked."""
    report = drawing.view.grid
    if report is None:
        return None
    drawn = figure(height=420)
    n_curves = len(report.curves)
    values = [point.value for curve in report.curves for point in curve.points]
    step = (max(values) - min(values)) / max(1, len(set(values)) - 1)
    for index, curve in enumerate(report.curves):
        words = ", ".join(f"{value}" for value in curve.group.values())
        name = escape(shorten(words)) or escape(shorten(report.parameter))
        colour = PALETTE[index % len(PALETTE)]
        symbol = SYMBOLS[index % len(SYMBOLS)]
        # Curves stand side by side, so that their intervals can be told apart.
        shift = 0.12 * step * (index - (n_curves - 1) / 2)
        seeds = [(point.value, value) for point in curve.points for value in point.values.values()]
        drawn.add_trace(
            {
                "type": "scatter",
                "mode": "markers",
                "name": f"{name}, seeds",
                "legendgroup": name,
                "showlegend": False,
                "x": rounded(place + shift for place, _ in seeds),
                "y": rounded(value for _, value in seeds),
                "marker": {"color": colour, "size": 4, "symbol": f"{symbol}-open"},
                "hoverinfo": "skip",
            }
        )
        means = [point.summary.mean for point in curve.points]
        intervals = [
            point.summary.interval or (point.summary.mean, point.summary.mean)
            for point in curve.points
        ]
        drawn.add_trace(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": name,
                "legendgroup": name,
                "x": rounded(point.value + shift for point in curve.points),
                "y": rounded(means),
                "error_y": {
                    "symmetric": False,
                    "array": rounded(
                        high - mean for (_, high), mean in zip(intervals, means, strict=True)
                    ),
                    "arrayminus": rounded(
                        mean - low for (low, _), mean in zip(intervals, means, strict=True)
                    ),
                    "width": 4,
                    "thickness": 1.5,
                },
                "line": {"color": colour, "width": 2},
                "marker": {"color": colour, "size": 9, "symbol": symbol},
                "hoverinfo": "text",
                "hovertext": [
                    f"<b>{name}</b><br>{escape(report.parameter)} {point.value:g}: mean "
                    f"{report.notation.value(point.summary.mean)}{report.notation.unit} over "
                    f"{count(point.summary.n, 'seed')}"
                    + (
                        f"<br>{_against(point.comparison.verdict)} {report.reference:g}"
                        if point.comparison
                        else ""
                    )
                    for point in curve.points
                ],
            }
        )
    if report.reference is not None:
        named_line(
            drawn,
            report.reference,
            f"compared with {report.reference:g}",
            report.metric,
            color=BASELINE_COLOUR,
            width=2,
            dash="dash",
        )
    drawn.update_xaxes(title_text=escape(shorten(report.parameter)))
    drawn.update_yaxes(metric_axis(drawing.view.metrics[0]))
    return Panel(
        key="grid",
        title=capitalised(f"{report.metric.words} against {report.parameter}"),
        caption=_caption(report),
        figures=[drawn],
    )


def _caption(report: GridReport) -> str:
    """How to read the figure, and what it says of each network."""
    words = [
        "A large mark is the mean over the seeds and its bar the 95 % interval of that mean, from "
        "6 seeds on; a "
        f"small mark is one seed. {capitalised(report.metric.better)} is better.",
    ]
    for curve in report.curves if report.reference is not None else ():
        group = ", ".join(f"{value}" for value in curve.group.values())
        words.append(f"{group + ': ' if group else ''}{grid_outcome(report, curve)}")
    return " ".join(words)


def _against(verdict: str) -> str:
    """A point's verdict as the words before the value that it is compared with."""
    return f"{verdict} than" if verdict in ("better", "worse") else f"{verdict} from"
