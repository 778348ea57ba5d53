"""What callbacks are told, read from the store: the runs of one study, or of one benchmark."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import sqlalchemy as sa

from search.callbacks.callback import WAITING, ToldEpoch, ToldRun
from space.study.identity import flat
from storage import LaunchRecord, RunRecord, Store
from storage.leases import is_alive
from storage.tables import schema

__all__ = ["Progress", "Source"]

_STATES = {
    "running": "RUNNING",
    "complete": "COMPLETE",
    "pruned": "PRUNED",
    "failed": "FAIL",
    "interrupted": WAITING,
}
"""State of a run in the store -> what it is called everywhere else."""


class Progress(NamedTuple):
    """How far a run is."""

    state: str
    n_epochs: int


@dataclass(frozen=True, kw_only=True)
class Source:
    """The runs that a launch tells of: its own, and those that no launch works on any more.

    Attributes:
        group: The study's or the benchmark's name.
        launch_id: The launch; None where nothing is left to train.
        study_id: The study; None: a benchmark.
        labels: Config's hash -> what a benchmark's run is called.
    """

    group: str
    launch_id: int | None = None
    study_id: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    def launches(self, store: Store, *, earlier: bool) -> set[int]:
        """The launches of whose runs it is told.

        Args:
            store: Where they are read.
            earlier: Those as well that are not alive; the others tell of their runs themselves.
        """
        over = {each.launch_id for each in store.launches() if not is_alive(each)}
        own = set[int]() if self.launch_id is None else {self.launch_id}
        return own | over if earlier else own

    def progress(self, store: Store, launches: Collection[int]) -> dict[int, Progress]:
        """How far the runs of some launches are, by run, oldest first."""
        table = schema.runs
        query = sa.select(
            table.c.run_id, table.c.launch_id, table.c.state, table.c.n_epochs, table.c.config_hash
        ).order_by(table.c.run_id)
        if self.study_id is not None:
            query = query.where(table.c.study_id == self.study_id)
        else:
            query = query.where(table.c.purpose == "benchmark")
        return {
            row["run_id"]: Progress(_STATES[row["state"]], row["n_epochs"])
            for row in store.rows(query)
            if row["launch_id"] in launches
            if self.study_id is not None or row["config_hash"] in self.labels
        }

    def read(self, store: Store, run_ids: Sequence[int]) -> dict[int, ToldRun]:
        """Some runs as they are now, oldest first."""
        table = schema.runs
        query = sa.select(table).where(table.c.run_id.in_(run_ids)).order_by(table.c.run_id)
        launches = {each.launch_id: each for each in store.launches(self.study_id)}
        runs = [RunRecord(**row) for row in store.rows(query)]
        return {run.run_id: self._told(store, run, launches[run.launch_id]) for run in runs}

    def epochs(self, store: Store, run_id: int, after: int) -> Sequence[ToldEpoch]:
        """The epochs of a run that come after so many."""
        table = schema.epochs
        query = sa.select(table.c.epoch, table.c.reported_at).where(table.c.run_id == run_id)
        times: dict[int, datetime.datetime] = {
            row["epoch"]: row["reported_at"] for row in store.rows(query)
        }
        return [
            ToldEpoch(epoch=each.epoch, metrics=dict(each.metrics), reported_at=times[each.epoch])
            for each in store.epochs([run_id])[run_id]
            if each.epoch > after and each.epoch in times
        ]

    def _told(self, store: Store, run: RunRecord, launch: LaunchRecord) -> ToldRun:
        number, params = None, dict[str, Any]()
        name = self.labels.get(run.config_hash, f"run {run.run_id}")
        if run.trial_id is not None:
            trial = store.optuna_storage.get_trial(run.trial_id)
            number, params, name = trial.number, dict(trial.params), f"trial {trial.number}"
            if run.purpose == "confirm":
                name += f", fresh seed {run.replicate}"
            elif launch.config.get("replicates", 1) > 1:
                name += f", replicate {run.replicate}"
        return ToldRun(
            uid=run.uid,
            group=self.group,
            purpose=run.purpose,
            name=name,
            trial=number,
            params=params,
            config=dict(flat(run.config)),
            provenance={
                "config_hash": run.config_hash,
                "git_commit": launch.git_commit or "none",
                "git_dirty": str(bool(launch.git_dirty)).lower(),
                "data_source": launch.data_source,
                "data_fingerprint": launch.data_fingerprint,
                "host": launch.host,
            },
            state=_STATES[run.state],
            reason=run.reason,
            n_epochs=run.n_epochs,
            kept=_kept(store, run),
            started_at=run.started_at,
            ended_at=run.ended_at,
        )


def _kept(store: Store, run: RunRecord) -> dict[str, float]:
    """The metrics of the state that a run keeps."""
    if run.purpose == "benchmark":
        for other, result in store.results([run.config_hash]):
            if other.run_id == run.run_id:
                return dict(result.metrics)
    if not run.best_epoch:
        return {}
    return dict(store.epochs([run.run_id])[run.run_id][run.best_epoch - 1].metrics)
