"""The result of a launch, as a table for people and as JSON for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from search.plan import Plan
from search.progress import show_params
from search.snapshot import Snapshot, TrialRow
from search.study import Outcome
from space import format_duration
from storage import Store

__all__ = ["print_result", "result_as_json"]

N_SHOWN = 5

_ENDINGS = {
    "done": "the budget is spent",
    "time limit": "the time limit was reached",
    "interrupted": "it was interrupted",
}


def result_as_json(plan: Plan, store: Store, outcome: Outcome, snapshot: Snapshot) -> Any:
    """The result for `--format json`."""
    return {
        "study": plan.space.study,
        "storage": store.name,
        "launch": outcome.launch_id,
        "ended": outcome.status,
        "seconds": round(outcome.seconds, 3),
        "data": {"source": plan.data_source, "fingerprint": plan.data_fingerprint},
        "metrics": [objective.metric for objective in plan.space.objectives],
        "trials": snapshot.counts,
        "interrupted": outcome.n_interrupted,
        "best": [asdict(row) for row in snapshot.best],
        "baseline": None if snapshot.baseline is None else asdict(snapshot.baseline),
        "leading": [asdict(row) for row in snapshot.leading[:N_SHOWN]],
        "continue": plan.command,
    }


def print_result(
    plan: Plan, store: Store, outcome: Outcome, snapshot: Snapshot, console: Console
) -> None:
    """Print the result: the best trials, where everything is, and what to do next."""

    def say(line: str = "") -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    counts = snapshot.counts
    say()
    say(
        f"study '{plan.space.study}': {_ENDINGS[outcome.status]} after "
        f"{format_duration(round(outcome.seconds))}; {counts['COMPLETE']} trials complete, "
        f"{counts['PRUNED']} pruned, {counts['FAIL']} failed, {counts['WAITING']} waiting"
    )
    if snapshot.leading:
        console.print(_table(plan, snapshot))
        say(_comparison(plan, snapshot))
    else:
        say("no trial has a value yet")
    say()
    say(f"every trial and epoch: {store.name}, launch {outcome.launch_id}")
    if outcome.status != "done" or counts["WAITING"]:
        say(f"go on with:            {plan.command}")
    elif plan.space.budget.trials is not None:
        say(f"search further with:   {plan.command} --trials {2 * plan.space.budget.trials}")
    say(f"look at it with:       optuna-dashboard {store.name}")


def _table(plan: Plan, snapshot: Snapshot) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    metrics = [objective.metric for objective in plan.space.objectives]
    for title in ("", "trial", *metrics, "epochs", "state", "parameters"):
        table.add_column(
            title, justify="right" if title in ("trial", "epochs", *metrics) else "left"
        )
    shown = list(snapshot.leading[:N_SHOWN])
    if snapshot.baseline is not None and snapshot.baseline not in shown:
        shown.append(snapshot.baseline)
    best = {row.number for row in snapshot.best}
    for row in shown:
        values = [f"{value:.4g}" for value in row.values]
        values += [""] * (len(metrics) - len(values))
        table.add_row(
            _role(row, best),
            str(row.number),
            *values,
            str(row.n_epochs),
            row.state.lower(),
            Text(show_params(row.params)),
        )
    return table


def _role(row: TrialRow, best: set[int]) -> str:
    if row.number in best:
        return "best, baseline" if row.is_baseline else "best"
    return "baseline" if row.is_baseline else ""


def _comparison(plan: Plan, snapshot: Snapshot) -> str:
    """What the best trial is worth beside the baseline, said with its uncertainty."""
    baseline = snapshot.baseline
    if len(plan.space.objectives) > 1:
        return f"{len(snapshot.best)} trials on the Pareto front"
    if not snapshot.best:
        return "no trial has reached its full number of epochs yet"
    if baseline is None or baseline.state != "COMPLETE":
        return "the baseline has not reached its full number of epochs yet"
    best = snapshot.best[0]
    metric = plan.space.objectives[0].metric
    return (
        f"best {metric} {best.values[0]:.4g} beside the baseline's {baseline.values[0]:.4g}, on "
        "one seed each: the best of many trials is partly luck"
    )
