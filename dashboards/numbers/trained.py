"""What was trained with one config: a trial, a config of a benchmark or a run alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dashboards.numbers.study.trials import StudyTrial
from space.config import ELSEWHERE, SEED_KEYS
from space.epochs import Epoch
from space.metrics import Measured, Metric
from space.study.identity import flat
from storage import BenchmarkConfig, RunRecord, Store

__all__ = [
    "Band",
    "Trained",
    "differences",
    "plain_settings",
    "trained_config",
    "trained_run",
    "trained_trial",
]

_Array = NDArray[np.float64]


class Band(NamedTuple):
    """A metric by epoch over those runs that have the epoch; NaN where none has a finite value.

    Shapes: ``E`` epochs.
    """

    epoch_E: NDArray[np.int64]
    mean_E: _Array
    low_E: _Array
    high_E: _Array


@dataclass(frozen=True, kw_only=True)
class Trained:
    """Runs of one config.

    Attributes:
        name: What it is called: "trial 17", "run 4", the name of a config.
        address: Its own page.
        settings: Its settings by dotted path; of another tool's trial, its parameters.
        metrics: What was measured in each epoch.
        runs: The runs, which differ in their seeds alone; none of another tool's trial.
        epochs: Their epochs, a run each; what another tool's trial reported, as one.
    """

    name: str
    address: str
    settings: Mapping[str, Any]
    metrics: tuple[Metric, ...]
    runs: tuple[RunRecord, ...]
    epochs: tuple[Sequence[Epoch], ...]

    def band(self, metric: Metric) -> Band | None:
        """A metric by epoch, in the mean of the runs; None where it was never measured."""
        runs = [
            {epoch.epoch: epoch[metric.name] for epoch in run if metric.name in epoch.metrics}
            for run in self.epochs
        ]
        epochs = sorted({epoch for run in runs for epoch in run})
        if not epochs:
            return None
        values = np.array([[run.get(epoch, np.nan) for epoch in epochs] for run in runs])
        known = np.isfinite(values)
        n_E = known.sum(axis=0)
        total_E = np.where(known, values, 0.0).sum(axis=0)
        nothing_E = n_E == 0
        return Band(
            np.array(epochs),
            np.where(nothing_E, np.nan, total_E / np.maximum(n_E, 1)),
            np.where(nothing_E, np.nan, np.where(known, values, np.inf).min(axis=0)),
            np.where(nothing_E, np.nan, np.where(known, values, -np.inf).max(axis=0)),
        )

    @property
    def step(self) -> str:
        """What its curves go by: another tool's trial reports at steps of any kind."""
        return "epoch" if self.runs else "step"

    @property
    def kept_epochs(self) -> tuple[int, ...]:
        """The epochs whose states the runs keep."""
        return tuple(sorted({run.best_epoch for run in self.runs if run.best_epoch}))


def trained_trial(
    store: Store,
    trial: StudyTrial,
    measured: Measured,
    objective: Metric,
    address: str,
    paths: Mapping[str, str],
) -> Trained:
    """What the search trained for a trial.

    Args:
        store: The store.
        trial: The trial.
        measured: What is measured of the study's runs.
        objective: What a trial of another tool reported.
        address: The trial's page.
        paths: Parameter -> the dotted path of the setting that it is.

    Raises:
        StorageError: If the store cannot be read.
    """
    runs = tuple(store.runs(purpose="search", trial_ids=[trial.trial_id]))
    params = {paths.get(name, name): value for name, value in trial.params.items()}
    reports = [
        Epoch(epoch=step, metrics={objective.name: value}, seconds=0.0)
        for step, value in trial.reports.items()
    ]
    return Trained(
        name=f"trial {trial.number}",
        address=address,
        settings={**(plain_settings(runs[0].config) if runs else {}), **params},
        metrics=measured.of_epochs if runs else (objective,),
        runs=runs,
        epochs=_epochs(store, runs) if runs else (reports,),
    )


def trained_run(store: Store, run: RunRecord, measured: Measured) -> Trained:
    """A run alone.

    Raises:
        StorageError: If the store cannot be read.
    """
    return Trained(
        name=f"run {run.run_id}",
        address=f"/run/{run.run_id}",
        settings=plain_settings(run.config),
        metrics=measured.of_epochs,
        runs=(run,),
        epochs=_epochs(store, [run]),
    )


def trained_config(
    store: Store, config: BenchmarkConfig, runs: Iterable[RunRecord], measured: Measured, page: str
) -> Trained:
    """What was trained of a config of a benchmark.

    Args:
        store: The store.
        config: The config.
        runs: Its runs, a seed each.
        measured: What is measured of them.
        page: The benchmark's page.

    Raises:
        StorageError: If the store cannot be read.
    """
    own = tuple(runs)
    return Trained(
        name=config.name,
        address=page,
        settings=plain_settings(config.config.model_dump(mode="json")),
        metrics=measured.of_epochs,
        runs=own,
        epochs=_epochs(store, own),
    )


def plain_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config's settings by path, but for its seeds and for where it is trained."""
    apart = {*SEED_KEYS, *ELSEWHERE}
    return {path: value for path, value in flat(config) if path not in apart}


def differences(settings: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Where some configs differ: path -> the value that each has, None where it has none."""
    paths = dict.fromkeys(path for each in settings for path in each)
    found = {path: [each.get(path) for each in settings] for path in paths}
    return {path: values for path, values in found.items() if len(set(map(repr, values))) > 1}


def _epochs(store: Store, runs: Sequence[RunRecord]) -> tuple[Sequence[Epoch], ...]:
    found = store.epochs(run.run_id for run in runs)
    return tuple(found[run.run_id] for run in runs)
