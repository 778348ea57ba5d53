"""A verdict on runs that were trained elsewhere, as an object."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dashboards.numbers.benchmark import BenchmarkView
from dashboards.numbers.tables import BenchmarkTable
from dashboards.pages.documents import Document
from dashboards.report import html_file
from dashboards.tables.formats import render
from search.api.notebook import Shown
from search.verdict.compare import compared, document_of
from search.verdict.rows import Asked, read_table, table_of
from space.errors import UsageError
from space.terminal.layout import Paper

__all__ = ["Verdict", "verdict"]


class Verdict(Shown):
    """Configs compared by runs that were trained elsewhere.

    Attributes:
        view: All that its document shows, as numbers.
    """

    def __init__(self, view: BenchmarkView) -> None:
        """
        Args:
            view: What was compared.
        """
        self.view = view

    @property
    def table(self) -> BenchmarkTable:
        """A row a config: its runs, means and verdict."""
        return self.view.table

    def text(self, output_format: str = "text") -> str:
        """Its table: "text", "markdown", "latex", "csv" or "json"."""
        return render(self.table, output_format, Paper(width=None))

    def html(self) -> str:
        """Tables and figures as one HTML file that works offline."""
        return html_file([self._document()], self.view.record.data_source)

    def __repr__(self) -> str:
        """Its table as text."""
        return self.text()

    def _document(self) -> Document:
        """See `Shown._document`."""
        return document_of(self.view)


def verdict(
    runs: Any,
    *,
    config: str | Sequence[str] | None = None,
    seed: str | None = None,
    metric: str | Sequence[str] | None = None,
    direction: str | None = None,
    unit: str = "",
    reference: str | None = None,
    margin: float | None = None,
    title: str = "",
) -> Verdict:
    """Compare configs by runs that were trained elsewhere, seed by seed.

    As the command ``search verdict``.

    Args:
        runs: A row a run: a pandas DataFrame, or a CSV file.
        config: The column that says which config a run is of, or several that say it together.
        seed: The column of its seed; default: ``seed``.
        metric: The column of what was measured, and behind it what else to show.
        direction: "minimize" or "maximize"; default: as the metric's name says.
        unit: What the metric is measured in.
        reference: The config that others are compared with; default: the first.
        margin: Differences below it do not matter, so that configs may be called equivalent.
        title: What heads the table.

    Returns:
        The verdict.

    Raises:
        UserError: What the user can mend.
    """
    if direction not in (None, "minimize", "maximize"):
        raise UsageError(f"direction is {direction!r}; expected 'minimize' or 'maximize'.")
    if margin is not None and not 0 < margin < float("inf"):
        raise UsageError(f"margin is {margin}; expected a number above 0.")
    if isinstance(runs, str | Path):
        table = read_table(Path(runs))
    else:
        table = table_of(runs.to_csv(index=False), "the frame")
    asked = Asked(
        config=[config] if isinstance(config, str) else config,
        seed=seed,
        metrics=[metric] if isinstance(metric, str) else metric,
        direction=direction,
        unit=unit,
    )
    return Verdict(compared(table, asked, reference=reference, margin=margin, title=title))
