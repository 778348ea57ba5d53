"""A benchmark's table for programs: CSV of every seed's raw values, JSON of everything."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from dashboards.numbers.shift import shift_from_report
from dashboards.numbers.tables import BenchmarkTable, Row
from dashboards.numbers.variance import VarianceSplit
from space.terminal import printing
from storage.summaries.registered import as_json as registered_as_json

__all__ = ["as_csv", "as_json"]


def as_csv(table: BenchmarkTable) -> str:
    """A line a config and finished seed, unrounded."""
    raw = [each for row in table.rows for each in _raw(table, row)]
    columns = (
        *("name", "seed", "config_hash", "run_id"),
        *(metric.name for metric in table.measured.metrics),
        *("best_epoch", "train_seconds", "launch_id", "data_fingerprint"),
        *("other_epoch", *(f"other_{metric.name}" for metric in table.measured.metrics)),
    )
    return printing.as_csv(columns, [[each[column] for column in columns] for each in raw])


def as_json(table: BenchmarkTable) -> str:
    """Everything: summaries, comparisons, and every seed's raw values."""
    tree = {
        "title": table.title,
        "reference": table.reference,
        "best": None if table.best is None else table.best.name,
        "measured": table.measured.as_json(),
        "registered": None if table.registered is None else registered_as_json(table.registered),
        "rows": [_row_as_json(table, row) for row in table.rows],
        "together": {
            metric.name: None if found is None else asdict(found)
            for metric in table.measured.metrics
            if any(each.metric == metric for row in table.rows for each in row.reported)
            for found in [shift_from_report(table.rows, metric)]
        },
    }
    return printing.as_json(tree)


def _row_as_json(table: BenchmarkTable, row: Row) -> dict[str, Any]:
    result = row.result
    config = result.config.model_dump(mode="json")
    return {
        "name": row.name,
        # Of runs that were trained elsewhere neither is known.
        "n_parameters": result.n_parameters if config else None,
        "config": config or None,
        "n": row.n,
        "missing": list(result.missing),
        "failed": {str(seed): reason for seed, reason in result.failed.items()},
        **{
            metric.name: asdict(row.means[metric.name]) if metric.name in row.means else None
            for metric in table.measured.metrics
        },
        "train_seconds": None if row.train_seconds is None else row.train_seconds.mean,
        "comparison": None if row.comparison is None else asdict(row.comparison),
        "verdict": row.verdict,
        "reported": _reported_as_json(row),
        "origin": _origin_as_json(row),
        "variance": _variance_as_json(table.variances.get(row.name)),
        "seeds": list(_raw(table, row)),
    }


def _reported_as_json(row: Row) -> dict[str, Any] | None:
    reported = row.result.reported
    if reported is None:
        return None
    values = {
        each.metric.name: {
            **each.reported.model_dump(),
            "difference": each.difference,
            "comparison": None if each.comparison is None else asdict(each.comparison),
            "verdict": each.verdict,
        }
        for each in row.reported
    }
    return {"source": reported.source, "n": reported.n, **values}


def _variance_as_json(split: VarianceSplit | None) -> dict[str, Any] | None:
    return None if split is None else {**asdict(split), "left": split.left}


def _origin_as_json(row: Row) -> dict[str, Any] | None:
    origin = row.result.origin
    if origin is None:
        return None
    return {**asdict(origin), "settled_at": origin.settled_at.isoformat()}


def _raw(table: BenchmarkTable, row: Row) -> Iterator[dict[str, Any]]:
    """One flat record a finished seed."""
    for seed, found in row.result.seeds.items():
        run, result = found.run, found.result
        yield {
            "name": row.name,
            "seed": seed,
            "config_hash": run.config_hash or None,
            "run_id": run.run_id,
            **{metric.name: result[metric.name] for metric in table.measured.metrics},
            "best_epoch": run.best_epoch,
            "train_seconds": run.train_seconds if math.isfinite(run.train_seconds) else None,
            "launch_id": run.launch_id or None,
            "data_fingerprint": result.data_fingerprint,
            "other_epoch": run.other_epoch,
            **{
                f"other_{metric.name}": result.other.get(metric.name)
                for metric in table.measured.metrics
            },
        }
