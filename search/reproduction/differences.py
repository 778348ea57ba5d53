"""Where our errors are not consistent with the report's, and what was measured to explain it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dashboards.numbers.benchmark import BenchmarkView
from dashboards.numbers.settings import differing_settings
from dashboards.numbers.tables import BenchmarkTable, ReportedValue, Row
from dashboards.statistics.means import summarise
from dashboards.statistics.sign_flips import Interval
from dashboards.statistics.verdicts import ReportComparison
from dashboards.tables.drawing import Sheet, draw
from dashboards.words import show_interval
from space import RunConfig
from space.words import NOTHING, number

__all__ = ["differences_section"]

Values = Mapping[int, float]
"""Seed -> a metric."""

_WIDTH = "model.width"
_OPTIONS = "model.options."
_OF_THE_PROTOCOL = {"training.shuffle", "training.selection", "training.aux_weight"}
"""Settings in which the authors' published code differs from ours, beside options of networks."""


def differences_section(
    tables: dict[str, BenchmarkTable], benchmarks: Sequence[BenchmarkView]
) -> str:
    """What each setting of the authors' protocol does to the rows that are not consistent.

    Args:
        tables: The report's tables filled with our runs, by label.
        benchmarks: All other benchmarks of the store. Those count whose reference is a row of a
            table, at that width or another.

    Returns:
        The section, in Markdown.
    """
    blocks = [
        "## Where ours differ from the report, and why\n",
        "For every error that is not consistent with the report's: what settings of the authors' "
        "published code do to ours, seed by seed, one at a time and then all of them. An effect of "
        "the sign and about the size of what is reported minus ours explains the difference, at "
        "the width at which it was measured; one near zero does not. Verdicts are on test errors, "
        "by which a benchmark compares.\n",
    ]
    for label, table in tables.items():
        rows = [
            cells
            for row in table.rows
            for found in row.reported
            if found.verdict == "not consistent" and found.comparison is not None
            for cells in _of_row(row, found, found.comparison, table, benchmarks)
        ]
        if rows:
            sheet = Sheet(
                title=f"{label}: what is not consistent, and effects on it",
                columns=(
                    *("row", "error", "what", "width", "n"),
                    *("difference", "95 % interval", "verdict"),
                ),
                left=frozenset({0, 1, 2, 7}),
                rows=rows,
            )
            blocks.append(draw(sheet, "markdown"))
    if len(blocks) == 2:
        blocks[1] = "Every error is consistent with the report's, as far as they were run.\n"
    return "\n".join(blocks)


def _of_row(
    row: Row,
    found: ReportedValue,
    comparison: ReportComparison,
    table: BenchmarkTable,
    benchmarks: Sequence[BenchmarkView],
) -> Iterator[Sequence[str]]:
    """What is to be explained first, then what was measured."""
    config, metric, notation = row.result.config, found.metric, table.notation(found.metric)
    width = number(config.value(_WIDTH))
    low, high = comparison.interval
    yield (
        *(row.name, metric.heading, "reported minus ours", width, str(row.n)),
        notation.signed(-comparison.difference),
        show_interval(Interval(-high, -low), notation),
        found.verdict,
    )

    def effect(
        what: str, width: str, minuend: Values, subtrahend: Values, verdict: str
    ) -> Sequence[str]:
        seeds = minuend.keys() & subtrahend.keys()
        measured = summarise([minuend[seed] - subtrahend[seed] for seed in sorted(seeds)])
        mean, interval = notation.signed(measured.mean), show_interval(measured.interval, notation)
        return "", "", what, width, str(measured.n), mean, interval, verdict

    by_metric, by_loss = row.result.by_selection(metric.name)
    if by_metric:
        yield effect("kept by loss", width, by_loss, by_metric, NOTHING)
    for view in benchmarks:
        reference = view.table.row(view.table.reference).result
        if reference.config.what != config.what or (
            set(differing_settings([config, reference.config])) - {_WIDTH}
        ):
            continue
        for other in view.table.rows:
            if other.comparison is None or not _is_of_the_protocol(other, reference.config):
                continue
            yield effect(
                other.name,
                number(reference.config.value(_WIDTH)),
                other.result.by_seed(metric.name),
                reference.by_seed(metric.name),
                other.verdict if metric == view.table.metric else NOTHING,
            )


def _is_of_the_protocol(row: Row, reference: RunConfig) -> bool:
    """Whether a config is the reference but for settings of the authors' protocol."""
    config = row.result.config
    changed = set(differing_settings([config, reference]))
    changed = {path for path in changed if not path.startswith(_OPTIONS)}
    return config.what == reference.what and changed <= _OF_THE_PROTOCOL
