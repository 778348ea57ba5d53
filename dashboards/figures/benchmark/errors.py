"""Test errors of a benchmark seed by seed, and their differences from the reference's."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from dashboards.figures.benchmark.colours import colours_of
from dashboards.figures.panel import Panel
from dashboards.figures.template import (
    BASELINE_COLOUR,
    BEST_COLOUR,
    PALETTE,
    STATE_COLOURS,
    escape,
    figure,
    shorten,
)
from dashboards.numbers.benchmark import BenchmarkView, PairedDifferences
from dashboards.numbers.tables import Row
from space.terminal.counts import count

__all__ = ["differences_panel", "errors_panel"]

ROW_HEIGHT, FRAME_HEIGHT = 68, 120
"""In pixels."""
SEEDS_FROM, SEEDS_TO = -0.34, 0.02
"""Where in its row a config's seeds lie, of a row's height; each seed at one height in all rows."""
MEAN_AT, REPORTED_AT = 0.2, 0.36
NEUTRAL = PALETTE[-1]
ERROR_BAR = {"thickness": 2.5, "width": 6, "color": NEUTRAL}
VERDICTS = {
    "better": (BEST_COLOUR, "triangle-left"),
    "worse": (STATE_COLOURS["FAIL"], "triangle-right"),
}
"""Colour and marker of a verdict; any other is `NEUTRAL` and a diamond."""


def errors_panel(view: BenchmarkView) -> Panel:
    """Every seed's test error, the mean with its interval, and what a publication reports."""
    rows = [row for row in view.table.rows if row.n or row.reported]
    seeds = go.Scatter(
        name="a seed",
        mode="markers",
        hoverinfo="text",
        marker={"size": 6, "color": []},
    )
    _fill(
        seeds,
        [
            (
                found.result.test_error,
                place + _seed_height(seed, view.record.n_seeds),
                f"{escape(row.name)}<br>seed {seed}: test error {found.result.test_error:.2%}"
                f"<br>best epoch {found.run.best_epoch}, {found.run.train_seconds:.0f} s",
            )
            for place, row in enumerate(rows)
            for seed, found in row.result.seeds.items()
        ],
    )
    colours = colours_of(view)
    seeds.marker.color = [colours[row.name] for row in rows for _ in row.result.seeds]
    drawn = go.Figure(figure(height=FRAME_HEIGHT + ROW_HEIGHT * len(rows)))
    drawn.add_traces([seeds, _means(rows), *_reported(rows)])
    labels = [f"{escape(shorten(row.name))}<br>{_progress(row)}" for row in rows]
    _name_rows(drawn, labels)
    drawn.update_xaxes(title_text="test error (% of the test pairs)", tickformat=".1~%")
    caption = (
        "A dot is a seed, at the same height in every row; the bar below is their mean with its "
        "95 % interval, from 6 seeds on"
    )
    if any(row.reported for row in rows):
        caption += ", the diamond the reported mean with its standard deviation over runs"
    return Panel(
        key="benchmark-test-errors",
        title="Test error, seed by seed",
        caption=f"{caption}.",
        figure=drawn,
    )


def differences_panel(view: BenchmarkView) -> Panel | None:
    """Every seed's difference from the reference, the mean with its interval, the verdict."""
    if not view.differences:
        return None
    drawn = go.Figure(
        figure(height=FRAME_HEIGHT + ROW_HEIGHT * len(view.differences), showlegend=True)
    )
    seeds = go.Scatter(name="a seed", mode="markers", hoverinfo="text", marker={"size": 6})
    reference = escape(view.table.reference)
    _fill(
        seeds,
        [
            (
                difference,
                place + _seed_height(seed, view.record.n_seeds),
                f"{escape(found.row.name)}<br>seed {seed}: {_points(difference)} against "
                f"{reference}",
            )
            for place, found in enumerate(view.differences)
            for seed, difference in zip(found.seeds, found.differences, strict=True)
        ],
    )
    seeds.marker.color = [
        _verdict_style(found)[0] for found in view.differences for _ in found.seeds
    ]
    drawn.add_traces([seeds, _mean_differences(view.differences)])
    drawn.add_vline(x=0, line={"width": 1, "dash": "dot"})
    _name_rows(
        drawn,
        [
            f"{escape(shorten(found.row.name))}<br>{escape(found.row.verdict)}"
            for found in view.differences
        ],
    )
    drawn.update_xaxes(
        title_text="difference in test error (% of the test pairs)",
        tickformat="+.1~%",
    )
    return Panel(
        key="benchmark-differences",
        title=f"Against {shorten(view.table.reference)}, seed by seed",
        caption="A dot is a seed that both were trained on; left of zero is better. The bar is the "
        "mean difference with its 95 % interval, from 6 seeds on, and the verdict below the name "
        "counts every comparison of the benchmark.",
        figure=drawn,
    )


def _means(rows: Sequence[Row]) -> go.Scatter:
    points, above, below = [], [], []
    for place, row in enumerate(rows):
        if not row.errors:
            continue
        summary = row.errors["test_error"]
        text = f"{escape(row.name)}<br>mean {summary.mean:.2%} over {count(summary.n, 'seed')}"
        if summary.interval is not None:
            text += f"<br>95 % interval {summary.interval.low:.2%} to {summary.interval.high:.2%}"
        points.append((summary.mean, place + MEAN_AT, text))
        low, high = summary.interval or (summary.mean, summary.mean)
        above.append(high - summary.mean)
        below.append(summary.mean - low)
    trace = go.Scatter(
        name="mean, 95 % interval",
        mode="markers",
        hoverinfo="text",
        marker={"size": 15, "symbol": "line-ns-open", "line": {"width": 3}, "color": NEUTRAL},
        error_x={"array": above, "arrayminus": below, **ERROR_BAR},
    )
    _fill(trace, points)
    return trace


def _reported(rows: Sequence[Row]) -> list[go.Scatter]:
    points, widths = [], []
    for place, row in enumerate(rows):
        for error in row.reported:
            if error.metric == "test_error":
                mean, std = error.reported.mean, error.reported.std
                points.append(
                    (
                        mean,
                        place + REPORTED_AT,
                        f"{escape(row.name)}<br>reported {mean:.2%} ± {std:.2%} over "
                        f"{count(error.reported_n, 'run')}<br>ours: {error.verdict}",
                    )
                )
                widths.append(std)
    if not points:
        return []
    trace = go.Scatter(
        name="reported, standard deviation",
        mode="markers",
        hoverinfo="text",
        marker={"size": 9, "symbol": "diamond-open", "line": {"width": 2}},
        error_x={"array": widths, "thickness": 1.5, "width": 4, "color": BASELINE_COLOUR},
    )
    trace.marker.color = BASELINE_COLOUR
    _fill(trace, points)
    return [trace]


def _mean_differences(differences: Sequence[PairedDifferences]) -> go.Scatter:
    points, above, below = [], [], []
    for place, found in enumerate(differences):
        comparison = found.row.comparison
        mean = sum(found.differences) / len(found.differences)
        text = f"{escape(found.row.name)}<br>mean {_points(mean)}"
        interval = None if comparison is None else comparison.paired.interval
        if interval is not None:
            text += f"<br>95 % interval {_points(interval.low)} to {_points(interval.high)}"
        if comparison is not None:
            text += f"<br>p = {comparison.adjusted_p_value:.2g} (sign-flip test, Holm)"
        points.append((mean, place + MEAN_AT, f"{text}<br>{escape(found.row.verdict)}"))
        above.append(0.0 if interval is None else interval.high - mean)
        below.append(0.0 if interval is None else mean - interval.low)
    trace = go.Scatter(
        name="mean, 95 % interval",
        mode="markers",
        hoverinfo="text",
        marker={
            "size": 12,
            "color": [_verdict_style(found)[0] for found in differences],
            "symbol": [_verdict_style(found)[1] for found in differences],
        },
        error_x={"array": above, "arrayminus": below, **ERROR_BAR},
    )
    _fill(trace, points)
    return trace


def _fill(trace: go.Scatter, points: Sequence[tuple[float, float, str]]) -> None:
    """Give a trace its points: error, height, hover text."""
    trace.x = [point[0] for point in points]
    trace.y = [point[1] for point in points]
    trace.hovertext = [point[2] for point in points]


def _name_rows(drawn: go.Figure, labels: Sequence[str]) -> None:
    """Name the rows, the first at the top, and part them by lines."""
    for place in range(1, len(labels)):
        drawn.add_hline(y=place - 0.5, line_width=1, opacity=0.3, layer="below")
    drawn.update_yaxes(
        showgrid=False,
        tickvals=list(range(len(labels))),
        ticktext=list(labels),
        range=[len(labels) - 0.5, -0.5],
        ticks="",
    )


def _seed_height(seed: int, n_seeds: int) -> float:
    return SEEDS_FROM + (SEEDS_TO - SEEDS_FROM) * (seed + 0.5) / n_seeds


def _progress(row: Row) -> str:
    n_asked = row.n + len(row.result.missing)
    return count(row.n, "seed") if row.n == n_asked else f"{row.n} of {count(n_asked, 'seed')}"


def _verdict_style(found: PairedDifferences) -> tuple[str, str]:
    return VERDICTS.get(found.row.verdict, (NEUTRAL, "diamond"))


def _points(difference: float) -> str:
    return f"{100 * difference:+.2f} percentage points"
