"""A benchmark's table for programs: CSV of every seed's raw values, JSON of everything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from dashboards.numbers.shift import shift_from_report
from dashboards.numbers.tables import ERRORS, BenchmarkTable, Row
from space.terminal import printing

__all__ = ["as_csv", "as_json"]

_LOSSES = ("train_loss", "val_loss", "test_loss")
_COLUMNS = (
    "name",
    "seed",
    "config_hash",
    "run_id",
    *ERRORS,
    *_LOSSES,
    "best_epoch",
    "train_seconds",
    "launch_id",
    "data_fingerprint",
)


def as_csv(table: BenchmarkTable) -> str:
    """A line a config and finished seed, unrounded."""
    raw = [each for row in table.rows for each in _raw(row)]
    return printing.as_csv(_COLUMNS, [[each[column] for column in _COLUMNS] for each in raw])


def as_json(table: BenchmarkTable) -> str:
    """Everything: summaries, comparisons, and every seed's raw values."""
    tree = {
        "title": table.title,
        "reference": table.reference,
        "best": None if table.best is None else table.best.name,
        "rows": [_row_as_json(row) for row in table.rows],
        "together": {
            metric: None if found is None else asdict(found)
            for metric in ERRORS
            for found in [shift_from_report(table.rows, metric)]
        },
    }
    return printing.as_json(tree)


def _row_as_json(row: Row) -> dict[str, Any]:
    result = row.result
    return {
        "name": row.name,
        "n_parameters": result.n_parameters,
        "aux_weight": row.aux_weight,
        "learning_rate": result.config.value("training.learning_rate"),
        "weight_decay": result.config.value("training.weight_decay"),
        "config": result.config.model_dump(mode="json"),
        "n": row.n,
        "missing": list(result.missing),
        "failed": {str(seed): reason for seed, reason in result.failed.items()},
        **{metric: asdict(row.errors[metric]) if row.errors else None for metric in ERRORS},
        "train_seconds": None if row.train_seconds is None else row.train_seconds.mean,
        "comparison": None if row.comparison is None else asdict(row.comparison),
        "verdict": row.verdict,
        "reported": _reported_as_json(row),
        "origin": _origin_as_json(row),
        "seeds": list(_raw(row)),
    }


def _reported_as_json(row: Row) -> dict[str, Any] | None:
    reported = row.result.reported
    if reported is None:
        return None
    errors = {
        error.metric: {
            **error.reported.model_dump(),
            "difference": error.difference,
            "comparison": None if error.comparison is None else asdict(error.comparison),
            "verdict": error.verdict,
        }
        for error in row.reported
    }
    return {"source": reported.source, "n": reported.n, **errors}


def _origin_as_json(row: Row) -> dict[str, Any] | None:
    origin = row.result.origin
    if origin is None:
        return None
    return {**asdict(origin), "settled_at": origin.settled_at.isoformat()}


def _raw(row: Row) -> Iterator[dict[str, Any]]:
    """One flat record a finished seed."""
    for seed, found in row.result.seeds.items():
        run, result = found.run, found.result
        yield {
            "name": row.name,
            "seed": seed,
            "config_hash": run.config_hash,
            "run_id": run.run_id,
            **{metric: result[metric] for metric in (*ERRORS, *_LOSSES)},
            "best_epoch": run.best_epoch,
            "train_seconds": run.train_seconds,
            "launch_id": run.launch_id,
            "data_fingerprint": result.data_fingerprint,
        }
