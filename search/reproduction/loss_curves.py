"""The loss curves of the reproduction: figures, and their ends in a table."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from dashboards.numbers.learning_curves import Curves, learning_curves
from dashboards.numbers.tables import BenchmarkTable
from dashboards.tables.drawing import Sheet, draw, escape_markdown
from search.reproduction.charts import curves_svg
from space.words import NOTHING, count
from storage import Store

__all__ = ["curves_section"]

FIGURE_3 = ("deepconvnet", "siamese-aux")


def curves_section(
    store: Store, tables: Mapping[str, BenchmarkTable]
) -> tuple[str, dict[str, str]]:
    """Draw the losses of every row that ran, those of the report's Figure 3 first.

    Args:
        store: The store that the tables are from.
        tables: What a table is called -> the table.

    Returns:
        The section, in Markdown, and its figures: file name -> SVG.
    """
    figures: dict[str, str] = {}
    blocks = [
        "## Loss curves\n",
        "As in the report's Figure 3, for DeepConvNet and Siamese with auxiliary losses first, "
        "then for every other row that ran: mean over the seeds, in a band from the lowest to the "
        "highest. The training loss is the mean over an epoch's pairs, each batch before its own "
        "update and with dropout; the validation loss is measured after the epoch. With auxiliary "
        "losses both are the weighted sum, so that curves of different networks differ in what "
        "they show.\n",
    ]
    drawn = []
    for label, table in tables.items():
        rows = sorted(
            enumerate(table.rows, start=1),
            key=lambda item: _figure_3_rank(item[1].result.config.what),
        )
        for line, row in rows:
            curves = learning_curves(store, row.result, table.measured)
            if curves is None:
                continue
            title = f"{row.name}, {label}, {count(curves.n_seeds, 'seed')}"
            slug = re.sub(r"[^a-z0-9]+", "-", f"{label}-{line}-{row.name}".lower())
            file = slug.strip("-") + ".svg"
            figures[file] = curves_svg(curves, f"Loss of {title}")
            drawn.append((title, file, curves))
    if not drawn:
        return "\n".join([*blocks[:1], "Not yet run.\n"]), {}
    blocks.append(draw(_curves_sheet([(title, curves) for title, _, curves in drawn]), "markdown"))
    blocks += [f"![Loss of {escape_markdown(title)}](figures/{file})\n" for title, file, _ in drawn]
    return "\n".join(blocks), figures


def _figure_3_rank(model: str) -> int:
    return FIGURE_3.index(model) if model in FIGURE_3 else len(FIGURE_3)


def _curves_sheet(curves: Sequence[tuple[str, Curves]]) -> Sheet:
    rows = []
    for title, found in curves:
        train, val = (band.mean_E.tolist() for band in found.bands)
        finite = [(loss, index) for index, loss in enumerate(val) if loss == loss]
        lowest, at = min(finite, default=(float("nan"), 0))
        rows.append(
            (
                title,
                _loss(train[0]),
                _loss(train[-1]),
                _loss(val[0]),
                _loss(val[-1]),
                _loss(lowest),
                str(found.epoch_E[at]) if finite else NOTHING,
            )
        )
    columns = ("row", "training, first epoch", "last epoch", "validation, first epoch")
    return Sheet(columns=(*columns, "last epoch", "lowest mean", "at epoch"), rows=rows)


def _loss(value: float) -> str:
    return f"{value:.4f}" if value == value else NOTHING
