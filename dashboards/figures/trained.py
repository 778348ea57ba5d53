"""Curves of what was trained with one config, or with several that are compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from dashboards.figures.panel import CURVES, Panel
from dashboards.figures.study.drawing import rounded
from dashboards.figures.template import (
    PALETTE,
    config_colours,
    count_axis,
    escape,
    figure,
    metric_axis,
    shorten,
    translucent,
)
from dashboards.numbers.trained import Band, Trained
from space.metrics import Metric
from space.words import capitalised, joined

__all__ = ["compared_panels", "trained_panels"]

DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
"""Where there are more lines than colours, the next dash tells them apart."""

COMPARED = (
    "A line is the mean of the runs of a config, in a band from the lowest to the highest; a dot "
    "marks an epoch whose state is kept."
)


class _Line(NamedTuple):
    name: str
    metric: Metric
    band: Band
    colour: str
    dash: str
    kept: tuple[int, ...]


def trained_panels(trained: Trained, rungs: Iterable[int] = ()) -> list[Panel]:
    """A panel for each quantity that was measured, with a line for each split.

    Args:
        trained: What was trained.
        rungs: Epochs at which the pruner decides.
    """
    quantities: dict[str, list[Metric]] = {}
    for metric in trained.metrics:
        quantities.setdefault(metric.of or metric.name, []).append(metric)
    panels = []
    for place, metrics in enumerate(quantities.values()):
        lines = [
            _Line(metric.words, metric, band, PALETTE[3 * at % 7], DASHES[at % 5], ())
            for at, metric in enumerate(metrics)
            for band in [trained.band(metric)]
            if band is not None
        ]
        if not lines:
            continue
        # The dots stand on the last line, that of the validation split where there is one.
        lines[-1] = lines[-1]._replace(kept=trained.kept_epochs)
        caption = (
            "The lowest and the highest run bound the band; " if len(trained.epochs) > 1 else ""
        )
        caption += "a dot marks an epoch whose state is kept." if trained.kept_epochs else ""
        rungs = tuple(rungs)
        caption += " A dotted line is an epoch at which trials are stopped." if rungs else ""
        title = capitalised(joined(shorten(line.metric.words) for line in lines))
        panels.append(
            _panel(f"curves-{place}", title, capitalised(caption), lines, trained.step, rungs)
        )
    return panels


def compared_panels(compared: Sequence[Trained]) -> list[Panel]:
    """A panel for each metric, with a line for each of what is compared.

    Args:
        compared: What is compared.
    """
    colours = config_colours(each.name for each in compared)
    metrics = dict.fromkeys(metric for each in compared for metric in each.metrics)
    # What decides comes first: it is measured on the validation split.
    ordered = sorted(metrics, key=lambda metric: not metric.name.startswith("val_"))
    panels = []
    for place, metric in enumerate(ordered):
        lines = [
            _Line(each.name, metric, band, colours[each.name], DASHES[at // 7], each.kept_epochs)
            for at, each in enumerate(compared)
            for band in [each.band(metric)]
            if band is not None
        ]
        if lines:
            title = capitalised(shorten(metric.words))
            panels.append(_panel(f"compared-{place}", title, COMPARED, lines, compared[0].step))
    return panels


def _panel(
    key: str,
    title: str,
    caption: str,
    lines: Sequence[_Line],
    step: str,
    rungs: Iterable[int] = (),
) -> Panel:
    drawn = figure(height=360)
    last = max(int(line.band.epoch_E[-1]) for line in lines)
    for epoch in rungs:
        if epoch <= last:
            drawn.add_vline(x=epoch, line={"width": 1, "dash": "dot"})
    for line in lines:
        _draw(drawn, line)
    drawn.update_xaxes(title_text=step, **count_axis(0, last))
    last_metric = lines[-1].metric
    of = last_metric.of.replace("_", " ")
    drawn.update_yaxes(metric_axis(replace(last_metric, words=of or last_metric.words)))
    return Panel(key=key, title=title, caption=caption, figures=[drawn], switches=CURVES)


def _draw(drawn: Any, line: _Line) -> None:
    band, words = line.band, escape(shorten(line.name, 28))
    metric = escape(shorten(line.metric.words))
    epochs = band.epoch_E.tolist()
    shared = {"x": epochs, "legendgroup": line.name}
    if (band.low_E < band.high_E).any():
        edge = {**shared, "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
        drawn.add_scatter(**edge, y=rounded(band.low_E.tolist()), showlegend=False)
        drawn.add_scatter(
            **edge,
            y=rounded(band.high_E.tolist()),
            showlegend=False,
            fill="tonexty",
            fillcolor=translucent(line.colour, 0.16),
        )
    drawn.add_scatter(
        **shared,
        name=words,
        y=rounded(band.mean_E.tolist()),
        mode="lines" if len(epochs) > 1 else "markers",
        line={"color": line.colour, "dash": line.dash, "width": 2},
        hoverinfo="text",
        hovertext=[
            f"{words}, epoch {epoch}<br>{metric} {line.metric.show(mean)}"
            for epoch, mean in zip(epochs, band.mean_E.tolist(), strict=True)
        ],
    )
    kept = [place for place, epoch in enumerate(epochs) if epoch in line.kept]
    if kept:
        drawn.add_scatter(
            x=[epochs[place] for place in kept],
            y=rounded(float(band.mean_E[place]) for place in kept),
            mode="markers",
            marker={"color": line.colour, "size": 9},
            legendgroup=line.name,
            showlegend=False,
            hoverinfo="text",
            hovertext=[f"{words}: keeps the state of epoch {epochs[place]}" for place in kept],
        )
