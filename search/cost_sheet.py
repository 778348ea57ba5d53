"""The table of what samplers and pruners cost: as text, Markdown or JSON, with its notes."""

from __future__ import annotations

import json
from dataclasses import asdict

from dashboards.tables.drawing import NOTHING, Sheet, draw
from search.learning_curves import LearningCurves
from search.provenance import collect_provenance
from search.search_cost import CostTable, Quartiles, Row

__all__ = ["cost_sheet", "notes", "render"]


def render(curves: LearningCurves, table: CostTable, output_format: str, *, command: str) -> str:
    """A table as text, Markdown or JSON."""
    if output_format != "json":
        return draw(cost_sheet(curves, table), output_format)
    code = collect_provenance()
    tree = {
        "command": command,
        "git_commit": code.git_commit,
        "git_dirty": code.git_dirty,
        "versions": code.versions,
        "hardware": code.hardware,
        "curves": {
            "model": curves.space.model.model_dump(mode="json"),
            "parameters": curves.space.model_dump(mode="json")["parameters"],
            "truth": curves.truth,
            "provenance": curves.provenance,
        },
        "table": asdict(table),
        "notes": notes(curves, table),
    }
    return json.dumps(tree, indent=2) + "\n"


def cost_sheet(curves: LearningCurves, table: CostTable) -> Sheet:
    """The table to be drawn."""
    return Sheet(
        title=f"Epochs until the incumbent is within {table.tolerance:g} of the best of "
        f"{table.n_points} recorded points",
        columns=(
            "sampler",
            "pruner",
            "epochs",
            "quartiles",
            "of full grid",
            "simulated s",
            "reached",
            "worth at a tenth",
            "worth at the end",
            "good at the end",
            "trials",
        ),
        left=frozenset({0, 1}),
        rows=[_cells(row) for row in table.rows],
        notes=notes(curves, table),
    )


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.sampler,
        row.pruner,
        _number(row.epochs.median),
        _between(row.epochs),
        NOTHING if row.share_of_grid is None else f"{row.share_of_grid:.1%}",
        _number(row.seconds.median),
        f"{row.share_reached:.0%}",
        NOTHING if row.early_value is None else f"{row.early_value:.4f}",
        NOTHING if row.final_value is None else f"{row.final_value:.4f}",
        f"{row.final_share:.0%}",
        f"{sum(row.trials.values()):.0f}",
    )


def _number(value: float | None) -> str:
    return "not reached" if value is None else f"{value:,.0f}"


def _between(quartiles: Quartiles) -> str:
    return f"{_number(quartiles.low)} to {_number(quartiles.high)}"


def notes(curves: LearningCurves, table: CostTable) -> list[str]:
    """What the numbers are, and what they leave out."""
    given = curves.provenance
    replicates = table.rows[0].replicates
    seeds = "" if replicates == 1 else f" x {replicates} seeds"
    lines = [
        f"the full grid is {table.n_points} points x {curves.epochs} epochs{seeds} = "
        f"{table.grid_epochs * replicates:,} epochs; the best point is worth {table.best:.4f}, and "
        f"{table.n_within} of the points are within {table.tolerance:g} of it",
        f"worth: {curves.truth}; a trial is trained on {replicates} of the "
        f"{curves.n_seeds} recorded seeds, the same for all trials of a search",
        f"medians over {table.n_seeds} sampler seeds, {table.n_workers} trials at a time, "
        f"{table.max_epochs:,} epochs a search; every point: to the end of the grid, in random "
        "order; reached: share of the seeds within that budget; worth: mean over seeds of the "
        "best complete trial's; a tenth: of the full grid's epochs; good: within the tolerance",
        "a proposal is answered by the recorded point nearest to it (Gower distance), so settings "
        "between points are not told apart, and no setting is better than the recorded ones; "
        "baselines are left out; asking and deciding take no simulated time",
    ]
    if "study" in given:
        lines.append(
            f"the points are {given['trials_replayed']} complete trials of the "
            f"{given['trials']} of study '{given['study']}': where it searched little or pruned, "
            "whatever lies nearest answers, which flatters a way that goes there"
        )
    return lines
