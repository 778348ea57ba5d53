"""What a benchmark compares by, seed by seed, and its differences from the reference's."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

import plotly.graph_objects as go

from dashboards.figures.panel import Panel
from dashboards.figures.template import (
    BASELINE_COLOUR,
    BEST_COLOUR,
    PALETTE,
    STATE_COLOURS,
    config_colours,
    escape,
    figure,
    metric_axis,
    shorten,
)
from dashboards.numbers.benchmark import BenchmarkView
from dashboards.numbers.tables import Row
from dashboards.statistics.sign_flips import Interval
from dashboards.words import show_interval
from space.metrics import Metric
from space.notation import Notation
from space.words import capitalised, count

__all__ = ["differences_panel", "seeds_panel"]

ROW_HEIGHT, FRAME_HEIGHT = 68, 120
"""In pixels."""
SEEDS_FROM, SEEDS_TO = -0.34, 0.02
"""Where in its row a config's seeds lie, of a row's height; each seed at one height in all rows."""
MEAN_AT, REPORTED_AT = 0.2, 0.36
NEUTRAL = PALETTE[-1]
VERDICTS = {
    "better": (BEST_COLOUR, "triangle-left"),
    "worse": (STATE_COLOURS["FAIL"], "triangle-right"),
    "equivalent": (BEST_COLOUR, "square"),
}
"""Colour and marker of a verdict; any other is `NEUTRAL` and a diamond."""


class Line(NamedTuple):
    """What is drawn of a config."""

    row: Row
    said: str
    """What stands below its name, and in the hover text of its mean."""
    seeds: dict[int, float]
    """Seed -> what is measured on it."""
    interval: Interval | None
    """Of the mean of these."""
    colour: str
    """Of the seeds."""
    mark: tuple[str, str] = (NEUTRAL, "line-ns-open")
    """Colour and symbol of the mean."""


def seeds_panel(view: BenchmarkView) -> Panel:
    """Every seed's value, the mean with its interval, and what a publication reports."""
    rows = [row for row in view.table.rows if row.n or row.reported]
    metric = view.table.metric
    colours = config_colours(row.name for row in view.table.rows)
    lines = [
        Line(
            row,
            _progress(row),
            row.result.by_seed(metric.name),
            row.means[metric.name].interval if metric.name in row.means else None,
            colours[row.name],
        )
        for row in rows
    ]
    drawn = _draw(lines, view)
    drawn.add_traces(_reported(rows, metric, view.table.notation()))
    drawn.update_xaxes(metric_axis(metric))
    caption = (
        "A dot is a seed, at the same height in every row; the bar below is their mean with its "
        "95 % interval, from 6 seeds on"
    )
    if any(row.reported for row in rows):
        caption += ", the diamond the reported mean with its standard deviation over runs"
    return Panel(
        key="benchmark-seeds",
        title=f"{capitalised(metric.words)}, seed by seed",
        caption=f"{caption}.",
        figures=[drawn],
    )


def differences_panel(view: BenchmarkView) -> Panel | None:
    """Every seed's difference from the reference, the mean with its interval, the verdict."""
    lines = []
    for row in view.table.rows:
        seeds = view.differences(row)
        if row.name != view.table.reference and seeds:
            interval = None if row.comparison is None else row.comparison.paired.interval
            mark = VERDICTS.get(row.verdict, (NEUTRAL, "diamond"))
            lines.append(Line(row, row.verdict, seeds, interval, mark[0], mark))
    if not lines:
        return None
    metric = view.table.metric
    drawn = _draw(lines, view, signed=True)
    drawn.add_vline(x=0, line={"width": 1, "dash": "dot"})
    drawn.update_xaxes(metric_axis(metric, "difference in ", narrow=True))
    return Panel(
        key="benchmark-differences",
        title=f"Against {shorten(view.table.reference)}, seed by seed",
        caption="A dot is a seed that both were trained on; "
        f"{'right' if metric.maximize else 'left'} of zero is better. The bar is the mean "
        "difference with its 95 % interval, from 6 seeds on, and the verdict below the name counts "
        "every comparison of the benchmark.",
        figures=[drawn],
    )


def _draw(lines: Sequence[Line], view: BenchmarkView, *, signed: bool = False) -> go.Figure:
    """A row a config, named at the left: its seeds, and their mean with its interval."""
    notation = view.table.notation()

    def show(value: float) -> str:
        if signed:
            return f"{notation.signed(value)}{notation.of_difference}"
        return f"{notation.value(value)}{notation.unit}"

    drawn = figure(height=FRAME_HEIGHT + ROW_HEIGHT * len(lines), showlegend=True)
    seeds = view.record.seeds
    step = (SEEDS_TO - SEEDS_FROM) / len(seeds)
    points = [
        (
            value,
            place + SEEDS_FROM + step * (seeds.index(seed) + 0.5),
            line.colour,
            f"{escape(line.row.name)}<br>seed {seed}: {show(value)}" + _run(line.row, seed),
            [f"/run/{line.row.result.seeds[seed].run.run_id}"],
        )
        for place, line in enumerate(lines)
        for seed, value in line.seeds.items()
    ]
    x, y, colours, texts, pages = zip(*points, strict=True) if points else ((),) * 5
    drawn.add_scatter(
        name="a seed",
        mode="markers",
        x=x,
        y=y,
        marker={"size": 6, "color": colours},
        hoverinfo="text",
        hovertext=texts,
        customdata=pages,
    )
    means = [
        (place, line, fmean(line.seeds.values())) for place, line in enumerate(lines) if line.seeds
    ]
    bounds = [line.interval or (mean, mean) for _, line, mean in means]
    drawn.add_scatter(
        name="mean, 95 % interval",
        mode="markers",
        x=[mean for *_, mean in means],
        y=[place + MEAN_AT for place, *_ in means],
        error_x={
            "array": [high - mean for (_, high), (*_, mean) in zip(bounds, means, strict=True)],
            "arrayminus": [mean - low for (low, _), (*_, mean) in zip(bounds, means, strict=True)],
            "thickness": 2.5,
            "width": 6,
            "color": NEUTRAL,
        },
        marker={
            "size": 14,
            "color": [line.mark[0] for _, line, _ in means],
            "symbol": [line.mark[1] for _, line, _ in means],
            "line": {"width": 3 if means and means[0][1].mark[1].endswith("open") else 0},
        },
        hoverinfo="text",
        hovertext=[
            f"{escape(line.row.name)}<br>mean {show(mean)}<br>95 % interval "
            f"{show_interval(line.interval, notation)}{_p_value(line.row) if signed else ''}"
            f"<br>{escape(line.said)}"
            for _, line, mean in means
        ],
    )
    for place in range(1, len(lines)):
        drawn.add_hline(y=place - 0.5, line_width=1, opacity=0.3, layer="below")
    drawn.update_yaxes(
        showgrid=False,
        tickvals=list(range(len(lines))),
        ticktext=[f"{escape(shorten(each.row.name))}<br>{escape(each.said)}" for each in lines],
        range=[len(lines) - 0.5, -0.5],
        ticks="",
    )
    return drawn


def _reported(rows: Sequence[Row], metric: Metric, notation: Notation) -> list[go.Scatter]:
    found = [
        (place, row, each)
        for place, row in enumerate(rows)
        for each in row.reported
        if each.metric == metric
    ]
    if not found:
        return []
    return [
        go.Scatter(
            name="reported, standard deviation",
            mode="markers",
            x=[each.reported.mean for *_, each in found],
            y=[place + REPORTED_AT for place, *_ in found],
            error_x={
                "array": [each.reported.std for *_, each in found],
                "thickness": 1.5,
                "width": 4,
                "color": BASELINE_COLOUR,
            },
            marker={
                "size": 9,
                "symbol": "diamond-open",
                "line": {"width": 2},
                "color": BASELINE_COLOUR,
            },
            hoverinfo="text",
            hovertext=[
                f"{escape(row.name)}<br>reported {notation.quoted(each.reported.mean)} ± "
                f"{notation.quoted(each.reported.std)}{notation.unit} over "
                f"{count(each.reported_n, 'run')}"
                f"<br>ours: {each.verdict}"
                for _, row, each in found
            ],
        )
    ]


def _run(row: Row, seed: int) -> str:
    run = row.result.seeds[seed].run
    known = run.best_epoch is not None
    return f"<br>best epoch {run.best_epoch}, {run.train_seconds:.0f} s" if known else ""


def _p_value(row: Row) -> str:
    compared = row.comparison
    if compared is None:
        return ""
    return f"<br>p = {compared.adjusted_p_value:.2g} (sign-flip test, Holm)"


def _progress(row: Row) -> str:
    n_asked = row.n + len(row.result.missing)
    return count(row.n, "seed") if row.n == n_asked else f"{row.n} of {count(n_asked, 'seed')}"
