"""The colour of every config of a benchmark."""

from __future__ import annotations

from dashboards.figures.template import config_colours
from dashboards.numbers.benchmark import BenchmarkView

__all__ = ["colours_of"]


def colours_of(view: BenchmarkView) -> dict[str, str]:
    """Config -> its colour, the same in every figure and however much of the benchmark is done."""
    rows = view.table.rows
    colours = config_colours([row.result.config.model.name for row in rows])
    return {row.name: colour for row, colour in zip(rows, colours, strict=True)}
