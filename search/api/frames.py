"""Rows as a DataFrame, where pandas is installed, and those of trials."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from dashboards.numbers.rows.trials import distinct
from dashboards.numbers.study.view import StudyView
from storage.summaries.study import INTERRUPTED

__all__ = ["frame", "trial_records"]


def frame(rows: list[dict[str, Any]], index: str | None = None) -> Any:
    """A pandas DataFrame of some rows; without pandas the rows themselves.

    Args:
        rows: Column -> value, each.
        index: The column that becomes the index.
    """
    if find_spec("pandas") is None:
        return rows
    import pandas as pd

    table = pd.DataFrame(rows)
    return table if index is None or table.empty else table.set_index(index)


def trial_records(view: StudyView) -> list[dict[str, Any]]:
    """A row a trial: see `Study.trials`."""
    rows = []
    for trial in view.trials:
        state = INTERRUPTED if trial.number in view.interrupted else trial.state
        first = {"number": trial.number, "state": state}
        last = {
            "epochs": trial.n_epochs if view.is_ours else None,
            "seconds": trial.seconds if view.is_ours else None,
            "is_baseline": trial.is_baseline,
            "warm_start": trial.warm_start,
            "reason": trial.reason,
        }
        own = {*first, *last}
        named = distinct([metric.name for metric in view.metrics], own, "objectives")
        params = distinct(view.distributions, {*own, *named.values()}, "params")
        values = trial.values or [None] * len(named)
        rows.append(
            {
                **first,
                **dict(zip(named.values(), values, strict=True)),
                **{column: trial.params.get(name) for name, column in params.items()},
                **last,
            }
        )
    return rows
