"""Where the variance of a config's results comes from, as a sheet."""

from __future__ import annotations

from dashboards.numbers.variance import VarianceSplit
from dashboards.statistics.spreads import Spread
from dashboards.tables.drawing import Sheet
from dashboards.words import show_interval
from space.metrics import Metric
from space.notation import Notation
from space.sources import SOURCES
from space.words import NOTHING, count, joined

__all__ = ["variance_outcome", "variance_sheet"]

_READ = (
    "each source was drawn anew by itself, all others kept, over seeds two by two; its share is of "
    "the variance of runs that share no source. The 95 % intervals (chi-square, for normal values) "
    "are wide with few runs: shares whose intervals overlap are not told apart. left: what the "
    "sources leave of the variance, which is other sources or chance; below zero, sources act "
    "together, so that each alone already brings what another would, or chance has it so"
)


def variance_sheet(name: str, split: VarianceSplit, metric: Metric, notation: Notation) -> Sheet:
    """A row a source, then all of them together, then what is left.

    Args:
        name: The config.
        split: What makes its runs differ.
        metric: What is measured.
        notation: How its values are written.
    """
    rows = [
        (SOURCES[source].words, *_cells(spread, split, notation))
        for source, spread in split.sources.items()
    ]
    rows.append(("all together", *_cells(split.total, split, notation)))
    rows.append(("left", NOTHING, NOTHING, NOTHING, _percent(split.left)))
    notes = [variance_outcome(split), _READ]
    if split.missing:
        notes.append(f"still to be trained: {count(split.missing, 'run')}")
    return Sheet(
        title=f"{name}: where the variance of the {metric.heading} comes from",
        columns=("drawn anew", "runs", "standard deviation", "95 % interval", "share"),
        rows=rows,
        notes=notes,
    )


def variance_outcome(split: VarianceSplit) -> str:
    """What to average over, in a sentence or two."""
    shares = {name: split.share(each) for name, each in split.sources.items()}
    known = {name: share for name, share in shares.items() if share is not None}
    if not known:
        return "the seeds do not differ at all: there is no variance to split"
    parts = [f"{SOURCES[name].words} {_percent(share)}" for name, share in known.items()]
    least = min(known, key=lambda name: known[name])
    said = f"drawn anew alone, of the variance of runs that share none: {joined(parts)}"
    missed = 1 - known[least]
    if missed > 0:
        said += (
            f". Runs that differ in their {SOURCES[least].words} alone miss {_percent(missed)} of "
            "it: average over all that brings a share"
        )
    return said


def _cells(spread: Spread, split: VarianceSplit, notation: Notation) -> tuple[str, ...]:
    return (
        str(spread.n),
        notation.value(spread.std),
        show_interval(spread.interval, notation),
        _percent(split.share(spread)),
    )


def _percent(share: float | None) -> str:
    # Adding zero turns a rounded -0 into 0.
    return NOTHING if share is None else f"{round(100 * share) + 0} %"
