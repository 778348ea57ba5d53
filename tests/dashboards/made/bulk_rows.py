"""The rows of studies and benchmarks that nobody trained, written in bulk."""

from __future__ import annotations

import datetime
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, FloatDistribution, distribution_to_json
from optuna.storages._rdb import models

from storage import Store
from storage.tables import schema
from storage.tables.attributes import BASELINE, FAIL_REASON, STANDARD_ERROR
from storage.tables.metric_rows import as_rows

__all__ = [
    "CONFIG",
    "DISTRIBUTIONS",
    "EPOCHS",
    "HOSTILE",
    "START",
    "MadeTrial",
    "Rows",
]

START = datetime.datetime(2030, 1, 1, 12, tzinfo=datetime.UTC)
"""When every made study begins."""
HOSTILE = "<img src=x onerror=alert(1)>'; DROP TABLE trials; --%{x} & <b>bold</b> $x$ {{7*7}}"
"""A name that no page may take at its word."""
EPOCHS = 25

CONFIG: dict[str, Any] = {
    "data": {"source": "digits", "n_train_pairs": 600, "n_test_pairs": 298, "data_seed": 1000},
    "model": {"name": "siamese-aux", "width": 16},
    "training": {"epochs": EPOCHS, "training_seed": 1000, "learning_rate": 1e-3},
}
DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "learning_rate": FloatDistribution(3e-4, 1e-2, log=True),
    "learning_rate_decay": FloatDistribution(0.8, 1.0),
    "weight_decay": FloatDistribution(1e-6, 1e-2, log=True),
    "aux_weight": FloatDistribution(0.0, 0.9),
}


@dataclass(kw_only=True)
class MadeTrial:
    """A trial to be stored.

    Attributes:
        params: Parameter -> value.
        curves: Validation error by epoch, one list a replicate.
        state: Optuna's state.
        reason: Why it failed.
        is_baseline: Whether it carries the baseline's attribute.
        resumed: Whether its last epochs belong to the second launch.
        values: Its objective values where it is complete; default: the mean of its curves' minima.
    """

    params: dict[str, Any]
    curves: list[list[float]]
    state: str = "COMPLETE"
    reason: str | None = None
    is_baseline: bool = False
    resumed: bool = False
    values: list[float] | None = None
    distributions: dict[str, BaseDistribution] = field(default_factory=lambda: DISTRIBUTIONS)


class Rows:
    """Rows of every table, written at once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        with store.engine.connect() as connection:
            self.next_trial = 1 + (_last(connection, models.TrialModel.__table__.c.trial_id))
            self.next_run = 1 + (_last(connection, schema.runs.c.run_id))
        self._rows: dict[Any, list[dict[str, Any]]] = {}

    def add(self, table: Any, **values: Any) -> None:
        self._rows.setdefault(getattr(table, "__table__", table), []).append(values)

    def add_metrics(self, run_id: int, epoch: int, **metrics: float) -> None:
        """Add an epoch's metrics."""
        for row in as_rows(metrics, run_id=run_id, epoch=epoch):
            self.add(schema.epoch_metrics, **row)

    def add_run(
        self,
        trial: MadeTrial,
        study_id: int,
        trial_id: int,
        replicate: int,
        curve: list[float],
        launches: Sequence[int],
        config: dict[str, Any],
        begin: datetime.datetime,
        worker: str,
        purpose: str = "search",
    ) -> datetime.datetime:
        """Add a run and its epochs of one second and more each; say when it ended."""
        states = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
        is_late = trial.resumed or trial.state == "RUNNING"
        launch_id = launches[-1] if is_late else launches[0]
        begun_by = launches[0] if trial.resumed else launch_id
        seconds = [round(1 + 0.01 * (epoch % 7), 2) for epoch in range(len(curve))]
        # Runs of one batch alone are recorded at once.
        late = datetime.timedelta(microseconds=self.next_run % 9973)
        now = begin
        for epoch, (error, took) in enumerate(zip(curve, seconds, strict=True), start=1):
            now += datetime.timedelta(seconds=took)
            self.add(
                schema.epochs,
                run_id=self.next_run,
                epoch=epoch,
                launch_id=begun_by if epoch <= len(curve) // 2 else launch_id,
                seconds=took,
                reported_at=now + late,
            )
            self.add_metrics(
                self.next_run,
                epoch,
                train_loss=2 * error,
                val_loss=2.2 * error,
                train_error=0.8 * error,
                val_error=error,
            )
        self.add(
            schema.runs,
            run_id=self.next_run,
            uid=f"{self.next_run:032x}",
            launch_id=launch_id,
            study_id=study_id,
            trial_id=trial_id,
            purpose=purpose,
            replicate=replicate,
            config_hash=hashlib.sha256(f"{trial.params}{replicate}".encode()).hexdigest()[:16],
            config=config,
            state=states.get(trial.state, "running"),
            reason=trial.reason,
            worker=worker,
            started_at=begin,
            ended_at=now if trial.state in states else None,
            n_epochs=len(curve),
            best_epoch=1 + int(np.argmin(curve)) if curve else None,
            train_seconds=sum(seconds),
            n_parameters=int((trial.values or [0, 12_345])[-1]),
        )
        self.next_run += 1
        return now

    def add_trial(
        self,
        trial: MadeTrial,
        study_id: int,
        trial_id: int,
        number: int,
        begin: datetime.datetime,
        end: datetime.datetime,
        *,
        has_reports: bool,
    ) -> None:
        """Add a trial of Optuna's: its params, reports, values and attributes."""
        is_over = trial.state in ("COMPLETE", "PRUNED", "FAIL")
        self.add(
            models.TrialModel,
            trial_id=trial_id,
            number=number,
            study_id=study_id,
            state=trial.state,
            datetime_start=None if trial.state == "WAITING" else begin.replace(tzinfo=None),
            datetime_complete=end.replace(tzinfo=None) if is_over else None,
        )
        for name, value in trial.params.items():
            distribution = trial.distributions[name]
            self.add(
                models.TrialParamModel,
                trial_id=trial_id,
                param_name=name,
                param_value=distribution.to_internal_repr(value),
                distribution_json=distribution_to_json(distribution),
            )
        kept = [np.minimum.accumulate(curve) for curve in trial.curves]
        reports = np.mean(kept, axis=0) if kept else []
        if has_reports:
            for step, report in enumerate(reports, start=1):
                self.add(
                    models.TrialIntermediateValueModel,
                    trial_id=trial_id,
                    step=step,
                    intermediate_value=float(report),
                    intermediate_value_type="FINITE",
                )
        values = trial.values
        if trial.state in ("COMPLETE", "PRUNED") and values is None:
            values = [float(reports[-1])]
        for objective, value in enumerate(values or []):
            self.add(
                models.TrialValueModel,
                trial_id=trial_id,
                objective=objective,
                value=value,
                value_type="FINITE",
            )
        attributes: dict[str, Any] = {}
        if trial.is_baseline:
            attributes[BASELINE] = trial.params
        if trial.reason is not None:
            attributes[FAIL_REASON] = trial.reason
        if trial.state == "COMPLETE" and len(kept) > 1:
            last = [float(curve[-1]) for curve in kept]
            attributes[STANDARD_ERROR] = [float(np.std(last, ddof=1) / math.sqrt(len(last)))]
        for key, value in attributes.items():
            self.add(
                models.TrialUserAttributeModel,
                trial_id=trial_id,
                key=key,
                value_json=json.dumps(value),
            )

    def write(self) -> None:
        """Write everything in one transaction."""
        with self._store.engine.begin() as connection:
            # Trials come before their runs, and runs before their epochs.
            first = [models.TrialModel.__table__, schema.runs, schema.epochs]
            for table in [*first, *(each for each in self._rows if each not in first)]:
                if table in self._rows:
                    connection.execute(table.insert(), self._rows[table])
        self._rows.clear()


def _last(connection: Any, column: Any) -> int:
    found = connection.execute(column.table.select().order_by(column.desc()).limit(1)).first()
    return 0 if found is None else int(getattr(found, column.name))
