"""Where our errors are not consistent with the report's, and what was measured to explain it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dashboards.numbers.benchmark import BenchmarkView
from dashboards.numbers.settings import differing_settings
from dashboards.numbers.tables import BenchmarkTable, ReportedValue, Row
from dashboards.statistics.means import summarise
from dashboards.statistics.sign_flips import Interval
from dashboards.tables.drawing import Sheet, draw
from dashboards.words import show_interval
from space import RunConfig
from space.words import NOTHING, number

__all__ = ["differences_section"]

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
        "For every test error that is not consistent with the report's: what settings of the "
        "authors' published code do to ours, seed by seed, one at a time and then all of them. An "
        "effect of the sign and about the size of what is reported minus ours explains the "
        "difference, at the width at which it was measured; one near zero does not.\n",
    ]
    for label, table in tables.items():
        rows = [
            cells
            for row in table.rows
            for found in row.reported
            if found.metric == table.metric and found.verdict == "not consistent"
            for cells in _of_row(row, found, table, benchmarks)
        ]
        if rows:
            sheet = Sheet(
                title=f"{label}: effects on the test error",
                columns=("row", "what", "width", "n", "difference", "95 % interval", "verdict"),
                left=frozenset({0, 1, 6}),
                rows=rows,
            )
            blocks.append(draw(sheet, "markdown"))
    if len(blocks) == 2:
        blocks[1] = "Every test error is consistent with the report's, as far as they were run.\n"
    return "\n".join(blocks)


def _of_row(
    row: Row, found: ReportedValue, table: BenchmarkTable, benchmarks: Sequence[BenchmarkView]
) -> Iterator[Sequence[str]]:
    """What is to be explained first, then what was measured."""
    if found.comparison is None:
        return
    config, notation, metric = row.result.config, table.notation(), table.metric
    width = number(config.value(_WIDTH))
    low, high = found.comparison.interval
    yield (
        *(row.name, "reported minus ours", width, str(row.n)),
        notation.signed(-found.comparison.difference),
        show_interval(Interval(-high, -low), notation),
        found.verdict,
    )
    by_metric, by_loss = row.result.by_selection(metric.name)
    if by_metric:
        effect = summarise([by_loss[seed] - by_metric[seed] for seed in by_metric])
        yield (
            *("", "kept by loss", width, str(len(by_metric)), notation.signed(effect.mean)),
            *(show_interval(effect.interval, notation), NOTHING),
        )
    for view in benchmarks:
        reference = view.table.row(view.table.reference).result.config
        if reference.what != config.what or (
            set(differing_settings([config, reference])) - {_WIDTH}
        ):
            continue
        for other in view.table.rows:
            if other.comparison is None or not _is_of_the_protocol(other, reference):
                continue
            paired = other.comparison.paired
            yield (
                *("", other.name, number(reference.value(_WIDTH)), str(paired.n)),
                notation.signed(paired.mean_difference),
                show_interval(paired.interval, notation),
                other.verdict,
            )


def _is_of_the_protocol(row: Row, reference: RunConfig) -> bool:
    """Whether a config is the reference but for settings of the authors' protocol."""
    config = row.result.config
    changed = set(differing_settings([config, reference]))
    changed = {path for path in changed if not path.startswith(_OPTIONS)}
    return config.what == reference.what and changed <= _OF_THE_PROTOCOL
