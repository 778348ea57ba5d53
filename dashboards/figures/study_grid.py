"""The curve of a grid search over the weight of the auxiliary losses."""

from __future__ import annotations

from dashboards.figures.panel import Panel
from dashboards.figures.study_words import Drawing, metric_axis, metric_value, rounded
from dashboards.figures.template import (
    BASELINE_COLOUR,
    PALETTE,
    escape,
    figure,
    model_colour,
    shorten,
    translucent,
)

__all__ = ["grid_panel"]

SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "star")


def grid_panel(drawing: Drawing) -> Panel | None:
    """Error against the weight: mean, interval and every seed, with the report's choice marked."""
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
        model = curve.group.get("model")
        colour = model_colour(str(model)) if model is not None else PALETTE[index % len(PALETTE)]
        symbol = SYMBOLS[index % len(SYMBOLS)]
        # Curves stand side by side, so that their intervals can be told apart.
        shift = 0.12 * step * (index - (n_curves - 1) / 2)
        seeds = [(point.value, error) for point in curve.points for error in point.errors.values()]
        drawn.add_trace(
            {
                "type": "scatter",
                "mode": "markers",
                "name": f"{name}, seeds",
                "legendgroup": name,
                "showlegend": False,
                "x": rounded(value + shift for value, _ in seeds),
                "y": rounded(error for _, error in seeds),
                "marker": {"color": translucent(colour, 0.35), "size": 5, "symbol": symbol},
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
                    f"{metric_value(report.metric, point.summary.mean)} over "
                    f"{point.summary.n} seeds"
                    + (
                        f"<br>beside {report.reference:g}: {point.comparison.verdict}"
                        if point.comparison
                        else ""
                    )
                    for point in curve.points
                ],
            }
        )
    rest = 1 - report.reference
    drawn.add_vline(
        x=report.reference,
        line={"color": BASELINE_COLOUR, "width": 2, "dash": "dash"},
        annotation={
            "text": f"the report's {report.reference:g} / {rest:.2g}",
            "y": 1,
            "yanchor": "bottom",
            "xanchor": "center",
        },
    )
    title = {"aux_weight": "weight of the auxiliary losses"}.get(report.parameter)
    drawn.update_xaxes(title_text=title or escape(shorten(report.parameter)))
    drawn.update_yaxes(**metric_axis(report.metric))
    drawn.update_layout(margin={"t": 64}, legend={"y": 1.07})
    verdicts = []
    for curve in report.curves:
        group = ", ".join(f"{value}" for value in curve.group.values())
        verdicts.append(f"{group + ': ' if group else ''}{curve.finding.verdict}")
    return Panel(
        key="grid",
        title="The weight of the auxiliary losses",
        caption="Mean with its 95 % interval, and every seed; "
        f"{report.reference:g} among the points is {'; '.join(verdicts)}.",
        figure=drawn,
    )
