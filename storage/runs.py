"""What a store knows of training runs: their states, epochs and results."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Sequence
from functools import partial

import sqlalchemy as sa
from optuna.trial import TrialState

from space.epochs import Epoch
from storage.database import Database
from storage.optuna_rows.trial_rows import report_steps, require_unfinished
from storage.tables import schema
from storage.tables.clock import StoreNow
from storage.tables.inserts import insert_new
from storage.tables.metric_rows import as_rows, as_value, read_epochs
from storage.tables.ownership import require_launch, require_trial
from storage.tables.parts import in_parts
from storage.tables.records import NewRun, ResultRecord, RunEpoch, RunRecord, TrialStep

__all__ = ["RUN_STATES", "STATE_OF_RUNS", "RunTables"]

RUN_STATES = ("running", "complete", "pruned", "failed", "interrupted")
"""interrupted: stopped before its end and waiting to go on from its last checkpoint."""
STATE_OF_RUNS = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}
"""Trial state -> the state of its runs, where it has ended; of any other, interrupted."""

_RUNS = schema.runs.c
_PROGRESS = (
    schema.runs.update()
    .where((_RUNS.run_id == sa.bindparam("of_run")) & (_RUNS.n_epochs < sa.bindparam("so_far")))
    .values(
        n_epochs=sa.bindparam("so_far"),
        best_epoch=sa.bindparam("kept"),
        other_epoch=sa.bindparam("other"),
        worker=sa.bindparam("where"),
        train_seconds=_RUNS.train_seconds + sa.bindparam("took"),
    )
)
"""What an epoch changes in its run, unless it was recorded already.

Counted as they come: a budget of epochs is looked at after every step, and to count the epochs of
10,000 runs anew takes 16 ms instead of 4 (SQLite, two shared cores).
"""


class RunTables(Database):
    """The part of `storage.store.Store` that is about runs; see there."""

    def begin_run(self, run: NewRun) -> RunRecord:
        """Record that a run began, or that an interrupted one goes on.

        Args:
            run: The run, in the hands of the launch that trains it now.

        Returns:
            The run as the store knows it; `n_epochs` says how many epochs are recorded already.

        Raises:
            DeletedError: If another program deleted the trial, or the launch with its study.
        """
        table = schema.runs
        new = {
            **vars(run),
            "uid": uuid.uuid4().hex,
            "state": "running",
            "started_at": schema.utc_now(),
            "n_epochs": 0,
            "train_seconds": 0.0,
        }
        again = {"launch_id": run.launch_id, "state": "running", "ended_at": None}
        again |= {"reason": None, "traceback": None}
        if run.trial_id is not None:
            key = (
                (table.c.trial_id == run.trial_id)
                & (table.c.purpose == run.purpose)
                & (table.c.replicate == run.replicate)
            )
        else:
            # Without a trial the config itself, seeds and all, is what goes on.
            key = (
                (table.c.config_hash == run.config_hash)
                & (table.c.purpose == run.purpose)
                & (table.c.state == "interrupted")
            )
        tried: int | None = None

        def begin(connection: sa.Connection) -> RunRecord:
            nonlocal tried
            require_launch(connection, run.launch_id)
            if run.trial_id is not None:
                require_trial(connection, run.trial_id)
            # An attempt whose end was not heard of may have begun it already.
            mine = (table.c.uid == new["uid"]) | (
                (table.c.run_id == tried) & (table.c.launch_id == run.launch_id)
            )
            query = sa.select(table.c.run_id).where(key if tried is None else key | mine)
            first = query.order_by(sa.case((mine, 0), else_=1)).limit(1)
            found = connection.execute(first).scalar()
            if found is None:
                result = connection.execute(table.insert().values(new))
                found = result.inserted_primary_key[0]  # type: ignore[index]
            else:
                connection.execute(table.update().where(table.c.run_id == found).values(again))
            tried = int(found)
            row = connection.execute(sa.select(table).where(table.c.run_id == found)).one()
            return RunRecord(**row._mapping)

        return self.transaction(begin)

    def record_epochs(
        self,
        launch_id: int,
        epochs: Sequence[RunEpoch],
        values: Sequence[TrialStep] = (),
        *,
        trials: Iterable[int] = (),
    ) -> None:
        """Record what one step of the workers made known: all of it, or nothing.

        Args:
            launch_id: The launch that trained the epochs.
            epochs: Epochs of any runs, those of one run in order; what is there already stays as it
                is.
            values: What the epochs make trials report to Optuna; what is there already is said
                anew.
            trials: Trials that may not have ended, besides those that report values.

        Raises:
            UpdateFinishedTrialError: If one of the trials has ended.
        """
        now = schema.utc_now()
        unfinished = {*trials, *(each.trial_id for each in values)}
        rows = [
            {
                "run_id": each.run_id,
                "epoch": each.epoch.epoch,
                "launch_id": launch_id,
                "seconds": each.epoch.seconds,
                "reported_at": now,
            }
            for each in epochs
        ]
        metrics = [
            row
            for each in epochs
            for row in as_rows(each.epoch.metrics, run_id=each.run_id, epoch=each.epoch.epoch)
        ]
        progress = [
            {
                "of_run": each.run_id,
                "so_far": each.epoch.epoch,
                "kept": each.best_epoch,
                "other": each.other_epoch,
                "where": each.worker,
                "took": each.epoch.seconds,
            }
            for each in epochs
        ]

        def record(connection: sa.Connection) -> None:
            if rows:
                connection.execute(insert_new(connection, schema.epochs), rows)
                if metrics:
                    connection.execute(insert_new(connection, schema.epoch_metrics), metrics)
                connection.execute(_PROGRESS, progress)
            if unfinished:
                require_unfinished(connection, unfinished)
            if values:
                report_steps(connection, values)

        self.transaction(record)
        self._trials.note_steps(values)

    def end_run(
        self, run_id: int, state: str, reason: str | None = None, traceback: str | None = None
    ) -> None:
        """Record how a run ended: one of `RUN_STATES` but for running, why, and by which error."""
        self.end_runs([run_id], state, reason, traceback)

    def end_runs(
        self,
        run_ids: Iterable[int],
        state: str,
        reason: str | None = None,
        traceback: str | None = None,
    ) -> None:
        """Record that some runs ended alike: all of them, or none."""
        query = schema.runs.update().where(schema.runs.c.run_id == sa.bindparam("of_run"))
        how = {"state": state, "reason": reason, "traceback": traceback}
        query = query.values(**how, ended_at=schema.utc_now())
        ended = [{"of_run": run_id} for run_id in run_ids]
        if ended:
            self.transaction(lambda connection: connection.execute(query, ended))

    def free_run(self, run_id: int, launch_id: int, state: str, reason: str) -> bool:
        """End a run that a launch left behind, unless it is another's by now; say whether it was.

        Args:
            run_id: The run.
            launch_id: The launch that had it.
            state: As for `end_run`.
            reason: As for `end_run`.
        """
        table = schema.runs
        left = (table.c.run_id == run_id) & (table.c.launch_id == launch_id)
        query = table.update().where(left & (table.c.state == "running"))
        query = query.values(state=state, reason=reason, ended_at=schema.utc_now())
        return self.transaction(lambda connection: connection.execute(query).rowcount > 0)

    def record_result(self, result: ResultRecord) -> None:
        """Record what a benchmark run ended in; what is there already stays as it is.

        The look at the test split is recorded with it, and stays when the run is deleted.
        """
        row = {"run_id": result.run_id, "data_fingerprint": result.data_fingerprint}
        others = {row["name"]: row["value"] for row in as_rows(result.other)}
        metrics = [
            {**row, "other_value": others.get(row["name"])}
            for row in as_rows(result.metrics, run_id=result.run_id)
        ]
        run = sa.select(schema.runs.c.uid, schema.runs.c.config_hash).where(
            schema.runs.c.run_id == result.run_id
        )

        def record(connection: sa.Connection) -> None:
            look = {
                **connection.execute(run).one()._mapping,
                "data_fingerprint": result.data_fingerprint,
                "looked_at": connection.execute(sa.select(StoreNow())).scalar_one(),
            }
            connection.execute(insert_new(connection, schema.looks), [look])
            connection.execute(insert_new(connection, schema.results), [row])
            if metrics:
                connection.execute(insert_new(connection, schema.result_metrics), metrics)

        self.transaction(record)

    def results(self, config_hashes: Iterable[str]) -> list[tuple[RunRecord, ResultRecord]]:
        """The benchmark runs of some configs that reached their end, oldest first."""
        runs, results, metrics = schema.runs, schema.results, schema.result_metrics
        found: list[tuple[RunRecord, ResultRecord]] = []
        for part in in_parts(config_hashes):
            query = sa.select(runs, results.c.data_fingerprint).join(results)
            rows = self.rows(query.where(runs.c.config_hash.in_(part)).order_by(runs.c.run_id))
            measured: dict[int, dict[str, float]] = {row["run_id"]: {} for row in rows}
            of_runs = sa.select(metrics).where(metrics.c.run_id.in_(list(measured)))
            others: dict[int, dict[str, float]] = {run_id: {} for run_id in measured}
            for row in self.rows(of_runs):
                measured[row["run_id"]][row["name"]] = as_value(row["value"])
                if row["other_value"] is not None:
                    others[row["run_id"]][row["name"]] = row["other_value"]
            for row in rows:
                result = ResultRecord(
                    run_id=row["run_id"],
                    metrics=measured[row["run_id"]],
                    other=others[row["run_id"]],
                    data_fingerprint=row.pop("data_fingerprint"),
                )
                found.append((RunRecord(**row), result))
        return found

    def runs(
        self,
        study_id: int | None = None,
        purpose: str | None = None,
        *,
        state: str | None = None,
        trial_ids: Collection[int] | None = None,
    ) -> list[RunRecord]:
        """The runs of one study or of all, for one purpose or for all, in a state, oldest first.

        With Optuna's numbers of trials, those of these trials.
        """
        table = schema.runs
        query = sa.select(table).order_by(table.c.run_id)
        wanted = {table.c.study_id: study_id, table.c.purpose: purpose, table.c.state: state}
        for column, value in wanted.items():
            if value is not None:
                query = query.where(column == value)
        if trial_ids is not None:
            query = query.where(table.c.trial_id.in_(trial_ids))
        return [RunRecord(**row) for row in self.rows(query)]

    def run(self, run_id: int) -> RunRecord | None:
        """A run by its number; None where there is none."""
        rows = self.rows(sa.select(schema.runs).where(schema.runs.c.run_id == run_id))
        return RunRecord(**rows[0]) if rows else None

    def ended_uids(self, study_id: int) -> set[str]:
        """The uids of a study's runs that will not go on."""
        table = schema.runs
        query = sa.select(table.c.uid).where(
            (table.c.study_id == study_id) & table.c.state.not_in(("running", "interrupted"))
        )
        return {row["uid"] for row in self.rows(query)}

    def runs_of_config(
        self, config_hash: str, *, purpose: str, study_id: int | None
    ) -> list[RunRecord]:
        """The runs of one config, seeds and all, for a purpose within a study or without one."""
        table = schema.runs
        query = sa.select(table).where(
            (table.c.config_hash == config_hash)
            & (table.c.purpose == purpose)
            & table.c.study_id.is_not_distinct_from(study_id)
        )
        return [RunRecord(**row) for row in self.rows(query.order_by(table.c.run_id))]

    def n_epochs(self, study_id: int) -> int:
        """How many epochs the trials of a study have trained in all."""
        query = sa.select(sa.func.coalesce(sa.func.sum(schema.runs.c.n_epochs), 0))
        query = query.where(
            (schema.runs.c.study_id == study_id) & (schema.runs.c.purpose == "search")
        )
        return self.transaction(lambda connection: int(connection.execute(query).scalar_one()))

    def epochs(self, run_ids: Iterable[int]) -> dict[int, list[Epoch]]:
        """The epochs of some runs, in order, by run."""
        wanted = list(run_ids)
        found: dict[int, list[Epoch]] = {run_id: [] for run_id in wanted}
        for part in in_parts(wanted):
            found |= self.transaction(partial(read_epochs, runs=part))
        return found
