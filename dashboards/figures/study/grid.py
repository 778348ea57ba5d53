"""The curve of a grid search over the weight of the auxiliary losses."""

from __future__ import annotations

from dashboards.figures.panel import Panel
from dashboards.figures.study.drawing import Drawing, axis_title, rounded
from dashboards.figures.template import BASELINE_COLOUR, config_colours, escape, figure, shorten
from dashboards.numbers.grid import Finding, GridReport
from space.words import count, number

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
    models = [str(curve.group.get("model")) for curve in report.curves]
    colours = config_colours({str(index): model for index, model in enumerate(models)})
    for index, curve in enumerate(report.curves):
        words = ", ".join(f"{value}" for value in curve.group.values())
        name = escape(shorten(words)) or escape(shorten(report.parameter))
        colour = colours[str(index)]
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
                    f"{number(point.summary.mean)} over "
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
    drawn.add_vline(
        x=report.reference,
        line={"color": BASELINE_COLOUR, "width": 2, "dash": "dash"},
        annotation={
            "text": f"the report's choice: {report.reference:g}",
            "y": 1,
            "yanchor": "bottom",
            "xanchor": "center",
        },
    )
    title = {"aux_weight": "weight of the auxiliary losses"}.get(report.parameter)
    drawn.update_xaxes(title_text=title or escape(shorten(report.parameter)))
    drawn.update_yaxes(title_text=axis_title(drawing.view.metrics[0]))
    drawn.update_layout(margin={"t": 64}, legend={"y": 1.07})
    return Panel(
        key="grid",
        title="The weight of the auxiliary losses",
        caption=_caption(report),
        figures=[drawn],
    )


def _caption(report: GridReport) -> str:
    """How to read the figure, and what it says of each network."""
    words = [
        "A large mark is the mean over the seeds and its bar the 95 % interval of that mean, from "
        "6 seeds on; a "
        "small mark is one seed. Lower is better.",
    ]
    if report.parameter == "aux_weight":
        words.insert(
            0,
            "The auxiliary losses count in training with this weight, the main loss with the rest "
            "up to 1.",
        )
    for curve in report.curves:
        group = ", ".join(f"{value}" for value in curve.group.values())
        words.append(f"{group + ': ' if group else ''}{_found(curve.finding, report.reference)}.")
    return " ".join(words)


def _found(finding: Finding, reference: float) -> str:
    """What a curve says of the report's choice."""
    at, rival = f"{reference:g}", f"{finding.rival:g}" if finding.rival is not None else ""
    if finding.verdict == "not known":
        return f"too few seeds to compare {at} with other weights"
    if finding.verdict == "worse":
        return f"{rival} has a lower mean than {at}, by more than chance explains"
    if finding.verdict == "within noise":
        said = f"{rival} has a lower mean than {at}, but chance may be the reason"
    else:
        said = f"no other weight has a lower mean than {at}"
    n_others = finding.n_points - 1
    if finding.n_worse:
        return f"{said}; {finding.n_worse} of the {n_others} others are worse by more than chance"
    return f"{said}; of the {n_others} others none is worse by more than chance explains"


def _against(verdict: str) -> str:
    """A point's verdict as the words before the value that it is compared with."""
    return f"{verdict} than" if verdict in ("better", "worse") else f"{verdict} from"
