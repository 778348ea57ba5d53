"""Runs of an MLflow experiment."""

from __future__ import annotations

import datetime
import logging
import os
from collections.abc import Sequence
from typing import Any

from search.callbacks.callback import WAITING, Callback, ToldEpoch, ToldRun

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # It would go over the network.

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

logging.getLogger("mlflow").setLevel(logging.ERROR)  # What it does to its database is not news.

__all__ = ["MLflow"]

_STATUS = {
    "COMPLETE": "FINISHED",
    "FAIL": "FAILED",
    "PRUNED": "KILLED",
    WAITING: "SCHEDULED",
}
_UID, _STATE, _EPOCHS = "search.uid", "search.state", "search.epochs"
"""Tags: which run of the store it is; what it ended in, with how many epochs."""
_KEPT = "kept/"
AT_A_TIME = 1000
"""Metrics that MLflow takes at a time, and so many characters of a tag at least."""


class MLflow(Callback):
    """Keeps a run of MLflow for each run; it is found by a tag when it goes on."""

    catches_up = True

    def __init__(self, uri: str | None, experiment: str | None) -> None:
        """
        Args:
            uri: MLflow's tracking URI; None: its own.
            experiment: The experiment's name; None: the group's.
        """
        self._client = MlflowClient(uri)
        self._experiment = experiment
        self._ids: dict[str, str] = {}
        """Name of an experiment -> its number."""
        self._runs: dict[str, str] = {}
        """Uid of a run -> MLflow's."""

    def has(self, run: ToldRun) -> bool:
        """See `Callback`."""
        found = self._find(run)
        if found is None:
            return False
        tags = found.data.tags
        return (tags.get(_EPOCHS), tags.get(_STATE)) == (str(run.n_epochs), run.state)

    def begin(self, run: ToldRun) -> int:
        """See `Callback`."""
        found, n_known = self._find(run), 0
        if found is None:
            found = self._client.create_run(
                self._experiment_id(run),
                start_time=_milliseconds(run.started_at),
                run_name=run.name,
                tags={_UID: run.uid},
            )
        else:
            for name in found.data.metrics:
                if not name.startswith(_KEPT):
                    history = self._client.get_metric_history(found.info.run_id, name)
                    n_known = max(n_known, *(each.step for each in history))
            self._client.update_run(found.info.run_id, status="RUNNING")
        self._runs[run.uid] = found.info.run_id
        params = [Param(key, str(value)) for key, value in {**run.config, **run.params}.items()]
        for start in range(0, len(params), 100):
            self._log(run, params=params[start : start + 100])
        tags = {"group": run.group, "purpose": run.purpose, **run.provenance}
        if run.trial is not None:
            tags["trial"] = str(run.trial)
        self._log(run, tags=[RunTag(f"search.{key}", each) for key, each in tags.items()])
        return n_known

    def epochs(self, run: ToldRun, epochs: Sequence[ToldEpoch]) -> None:
        """See `Callback`."""
        waiting: list[Any] = []
        for each in epochs:
            now = _milliseconds(each.reported_at)
            of_epoch = [
                Metric(name, value, now, each.epoch) for name, value in each.metrics.items()
            ]
            if len(waiting) + len(of_epoch) > AT_A_TIME:
                self._log(run, metrics=waiting)
                waiting = []
            waiting += of_epoch
        self._log(run, metrics=waiting)

    def end(self, run: ToldRun) -> None:
        """See `Callback`."""
        ended = _milliseconds(run.ended_at or run.started_at)
        self._log(
            run,
            metrics=[
                Metric(_KEPT + name, value, ended, run.n_epochs) for name, value in run.kept.items()
            ],
            tags=[RunTag("search.reason", (run.reason or "")[:AT_A_TIME])],
        )
        number = self._runs.pop(run.uid)
        if run.state == WAITING:
            self._client.update_run(number, status=_STATUS[run.state])
        else:
            self._client.set_terminated(number, _STATUS[run.state], ended)
        # What says that nothing is missing comes last.
        self._client.set_tag(number, _EPOCHS, str(run.n_epochs))
        self._client.set_tag(number, _STATE, run.state)

    def _log(self, run: ToldRun, **what: Any) -> None:
        self._client.log_batch(self._runs[run.uid], **what)

    def _find(self, run: ToldRun) -> Any:
        """MLflow's run; None where there is none yet."""
        found = self._client.search_runs(
            [self._experiment_id(run)], filter_string=f"tags.`{_UID}` = '{run.uid}'", max_results=1
        )
        return found[0] if found else None

    def _experiment_id(self, run: ToldRun) -> str:
        name = self._experiment or run.group
        if name not in self._ids:
            found = self._client.get_experiment_by_name(name)
            self._ids[name] = (
                self._client.create_experiment(name) if found is None else found.experiment_id
            )
        return self._ids[name]


def _milliseconds(time: datetime.datetime) -> int:
    return round(time.timestamp() * 1000)
