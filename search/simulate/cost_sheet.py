"""The table of what samplers and pruners find: as text, Markdown or JSON, with its notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from dashboards.tables.drawing import Sheet, draw
from search.runs.provenance import collect_provenance
from search.simulate.cost import EVERY_POINT, CostTable, Row
from search.simulate.curves_file import LearningCurves
from space.errors import UsageError
from space.notation import Notation
from space.terminal.layout import Paper
from space.terminal.printing import as_json
from space.words import NOTHING, count

__all__ = ["check_telling", "cost_sheet", "notes", "render", "same_rows"]


def render(
    curves: LearningCurves,
    table: CostTable,
    output_format: str,
    *,
    command: str,
    paper: Paper | None = None,
) -> str:
    """A table as text (laid out for a paper), Markdown or JSON."""
    if output_format != "json":
        return draw(cost_sheet(curves, table), output_format, paper)
    code = collect_provenance()
    tree = {
        "command": command,
        "git_commit": code.git_commit,
        "git_dirty": code.git_dirty,
        "versions": code.versions,
        "hardware": code.hardware,
        "curves": {
            "model": curves.space.model_dump(mode="json").get("model"),
            "parameters": curves.space.model_dump(mode="json")["parameters"],
            "truth": curves.truth,
            "provenance": curves.provenance,
        },
        "table": asdict(table),
        "notes": notes(curves, table),
    }
    return as_json(tree)


def cost_sheet(curves: LearningCurves, table: CostTable) -> Sheet:
    """The table to be drawn."""
    stopped = f", {curves.n_stopped} of them stopped early" if curves.n_stopped else ""
    return Sheet(
        title=f"Winners within {_tolerance(curves, table)} of the best of {table.n_points} "
        f"recorded points{stopped}, after {table.max_epochs:,} epochs",
        columns=(
            "sampler",
            "pruner",
            "good at the end",
            "behind the best" + (" (%)" if curves.metric.is_share else ""),
            "a quarter by",
            "half by",
            "trials",
        ),
        left=frozenset({0, 1}),
        rows=[_cells(row, _notation(curves)) for row in table.rows],
        notes=notes(curves, table),
    )


def _cells(row: Row, notation: Notation) -> tuple[str, ...]:
    return (
        row.sampler,
        row.pruner,
        f"{row.good_share:.0%}",
        notation.value(row.behind),
        *(NOTHING if each is None else f"{each:,}" for each in (row.quarter_by, row.half_by)),
        f"{sum(row.trials.values()):.0f}",
    )


def _notation(curves: LearningCurves) -> Notation:
    """How what points are worth is written."""
    return curves.metric.notation(curves.true_values().tolist())


def _tolerance(curves: LearningCurves, table: CostTable) -> str:
    notation = _notation(curves)
    return f"{notation.quoted(table.tolerance)}{notation.of_difference}"


def notes(curves: LearningCurves, table: CostTable) -> list[str]:
    """What the numbers are, and what they leave out."""
    given, notation = curves.provenance, _notation(curves)
    replicates = table.rows[0].replicates
    seeds = "" if replicates == 1 else f" x {replicates} seeds"
    left_out = replicates < table.n_recorded_seeds
    scored = (
        f"a winner is judged by the other {table.n_scored_seeds}"
        if left_out
        else "no seed is left over, so a winner is judged by what its search saw, which flatters it"
    )
    lines = [
        f"the full grid is {table.n_points} points x {count(curves.epochs, 'epoch')}{seeds} = "
        f"{table.grid_epochs * replicates:,} epochs; the best point is worth "
        f"{notation.value(table.best)}{notation.unit}, and {table.n_within} of the points are "
        f"within {_tolerance(curves, table)} of it",
        f"worth: {curves.truth}; a trial is trained on {replicates} of the "
        f"{curves.n_seeds} recorded seeds, the same for all trials of a search; {scored}",
        f"{count(table.n_seeds, 'search')} a row, {count(table.n_workers, 'trial')} at a time, "
        f"{table.max_epochs:,} epochs a search; every point: to the end of the grid, in random "
        "order; good at the end: the best complete trial is within the tolerance of the best "
        "point; a quarter by, half by: epochs after which so many of the searches had a winner "
        "that was good and stayed so",
        f"the searches of a row differ in the sampler's seed and share {curves.n_seeds} draws of "
        "data, so a share is rougher than their number suggests, and rows are not tested against "
        "each other",
        "a proposal is answered by the recorded point nearest to it (Gower distance), so settings "
        "between points are not told apart, and no setting is better than the recorded ones; "
        "baselines are left out; asking and deciding take no simulated time",
    ]
    if any(", warm start of " in row.sampler for row in table.rows):
        lines.append(
            "warm start: so many of an earlier study's best trials are a search's first ones; what "
            "the earlier study cost is not counted"
        )
    if curves.n_stopped:
        lines += _of_stopped(curves, table)
    elif "study" in given:
        lines.append(
            f"the points are {given['trials_replayed']} complete trials of the "
            f"{given['trials']} of study '{given['study']}': where it searched little or pruned, "
            "whatever lies nearest answers, which flatters a way that goes there"
        )
    return lines


def _of_stopped(curves: LearningCurves, table: CostTable) -> list[str]:
    """What is assumed of the points whose trials were stopped, and which way it errs."""
    given = curves.provenance
    trained = [each for each in (point.n_trained for point in curves.points) if each is not None]
    n_good = sum(
        point.n_trained is not None and worth <= curves.metric.rank(table.best) + table.tolerance
        for point, worth in zip(curves.points, curves.true_values(), strict=True)
    )
    n_points = len(curves.points)
    others = ", ".join(f"{n} {why}" for why, n in given.get("trials_left_out", {}).items())
    return [
        f"the points are {n_points} of the {given.get('trials', n_points)} trials of study "
        f"'{given.get('study')}': {n_points - len(trained)} complete, {len(trained)} stopped after "
        f"{_range(trained)} of {count(curves.epochs, 'epoch')}"
        f"{f'; left out: {others}' if others else ''}",
        f"assumed of the {len(trained)} stopped trials: after its last recorded epoch the "
        f"{curves.metric.words} of each stays what it last was, and its further epochs take as "
        "long as those before and count in full",
        "the assumption favours settings that stop early: whatever the study stopped is rightly "
        "stopped here, so beside settings that train on they look better than they are; it is "
        "conservative for quality: a stopped trial is worth what it had shown by then, and would "
        "rather have ended better, so a setting gains nothing by training it on",
        f"points within {_tolerance(curves, table)} of the best: {table.n_within}, of which "
        f"{n_good} stopped; a search is good by proposing what lies nearest to one of these, so "
        "with few of them that is luck as well: 'behind the best' says more, and a larger "
        "--tolerance asks for less; every point tries the study's own trials, its baselines "
        "included, which a search has to find first; where the study searched little, whatever "
        "lies nearest answers, which flatters a way that goes there",
    ]


def _range(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low} to {high}"


def same_rows(table: CostTable) -> list[list[Row]]:
    """The searches that came out alike in every number but their trials, in groups of 2 or more."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in _searched(table):
        groups.setdefault(_numbers(row), []).append(row)
    return [group for group in groups.values() if len(group) > 1]


def check_telling(table: CostTable) -> None:
    """Refuse a table that tells no setting from another.

    Raises:
        UsageError: If no search came within the tolerance and none differs by what it found, or if
            all came out alike.
    """
    rows = _searched(table)
    n_alike = len({_numbers(row) for row in rows})
    found_nothing = all(row.good_share == 0 for row in rows)
    if n_alike == 1 and found_nothing and (len(rows) > 1 or rows[0].behind is None):
        raise UsageError(
            f"no search of {count(table.max_epochs, 'epoch')} came within {table.tolerance:g} of "
            f"the best of {table.n_points} points; give more with --epochs, or a larger "
            "--tolerance."
        )
    if n_alike == 1 and len(rows) > 1:
        raise UsageError(
            f"all {len(rows)} settings came out alike in {count(table.n_seeds, 'search')} of "
            f"{count(table.max_epochs, 'epoch')} each over {table.n_points} points; give more with "
            "--epochs, a smaller --tolerance, or curves of more trials."
        )


def _searched(table: CostTable) -> list[Row]:
    return [row for row in table.rows if row.sampler != EVERY_POINT]


def _numbers(row: Row) -> tuple[Any, ...]:
    """What the row says that another could say otherwise; how many trials it took is not it."""
    return (row.good_share, row.behind, row.epochs_by_seed)
