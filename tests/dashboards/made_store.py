"""Stores filled in bulk with studies and benchmarks that nobody trained.

The networks' errors follow a closed form with a little noise; nothing is drawn from a clock, so the
same arguments make the same store. 10,000 trials of 25 epochs take some ten seconds.
"""

from __future__ import annotations

import datetime
import hashlib
import heapq
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)
from optuna.storages._rdb import models

from space import MeanStd, Reported, RunConfig, Space
from storage import BenchmarkConfig, BenchmarkRecord, NewLaunch, ResultRecord, Store, schema
from storage.attributes import BASELINE, FAIL_REASON, STANDARD_ERROR
from storage.benchmarks import save_benchmark

__all__ = [
    "HOSTILE",
    "START",
    "MadeTrial",
    "add_benchmark",
    "add_study",
    "begin_launch",
    "begin_study",
    "space_config",
    "store_trials",
]

START = datetime.datetime(2030, 1, 1, 12, tzinfo=datetime.UTC)
"""When every made study begins."""
HOSTILE = "<img src=x onerror=alert(1)>'; DROP TABLE trials; --%{x} & <b>bold</b> $x$ {{7*7}}"
"""A name that no page may take at its word."""
FINGERPRINT = "f" * 16
EPOCHS = 25
RUNGS = (3, 9)

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
BASELINE_PARAMS: dict[str, Any] = {
    "learning_rate": 1e-3,
    "learning_rate_decay": 1.0,
    "weight_decay": 1e-3,
    "aux_weight": 0.6,
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


def begin_launch(store: Store, study_id: int | None, config: Any = None, **changes: Any) -> int:
    """Record a launch."""
    known: dict[str, Any] = {
        "study_id": study_id,
        "command": "python -m search.launch --space space/made.yaml",
        "config": config or {},
        "changes": [],
        "git_commit": "0123456789abcdef0123456789abcdef01234567",
        "git_dirty": False,
        "versions": {"python": "3.11.7", "torch": "2.9.0", "optuna": "5.0.0"},
        "hardware": {"processor": "Abacus", "cpus": 4, "memory_bytes": 2**33, "gpus": []},
        "data_source": "digits",
        "data_fingerprint": FINGERPRINT,
        "host": "somewhere",
        "pid": 1,
    }
    return store.begin_launch(NewLaunch(**{**known, **changes}))


def space_config(**changes: Any) -> dict[str, Any]:
    """A launch's resolved config, as a search stores it."""
    tree = {
        "study": "made",
        **CONFIG,
        "parameters": {
            "learning_rate": {"type": "float", "low": 3e-4, "high": 1e-2, "log": True},
            "learning_rate_decay": {"type": "float", "low": 0.8, "high": 1.0},
            "weight_decay": {"type": "float", "low": 1e-6, "high": 1e-2, "log": True},
            "aux_weight": {"type": "float", "low": 0.0, "high": 0.9},
        },
        "pruner": {"name": "asha", "min_resource": RUNGS[0], "reduction_factor": 3},
        "baselines": [BASELINE_PARAMS],
        "confirm": {"top": 3, "seeds": 5},
        "budget": {"trials": 10_000},
        **changes,
    }
    dumped: dict[str, Any] = Space.model_validate(tree).model_dump(mode="json")
    return dumped


def add_study(
    store: Store,
    name: str = "made",
    n_trials: int = 100,
    *,
    running: bool = False,
    hostile: bool = False,
    two_objectives: bool = False,
    grid: int = 0,
    confirmed: bool = False,
    pruning: bool = True,
    n_workers: int = 4,
    seed: int = 0,
) -> int:
    """Fill a store with a study.

    Args:
        store: The store.
        name: The study's name.
        n_trials: Its trials; the first is the baseline. A grid has 20 whatever is said here.
        running: The last trials, one a worker, are RUNNING, and two more are WAITING.
        hostile: Its name, a category, a parameter, fail reasons and workers are `HOSTILE`.
        two_objectives: Objectives are the error and the parameters; nothing is pruned.
        grid: Replicates of a grid study over the auxiliary weight and two networks; 0: no grid.
        confirmed: The three best trials and the baseline have five fresh seeds each.
        pruning: Two thirds end at each rung; without, every trial reports all its epochs.
        n_workers: Trials at a time.
        seed: Of every draw.

    Returns:
        The study's number.
    """
    rng = np.random.default_rng(seed)
    if grid:
        trials = _grid_trials(rng, grid)
        changes: dict[str, Any] = {
            "parameters": {
                "model": {"type": "categorical", "choices": ["deepconvnet-aux", "siamese-aux"]},
                "aux_weight": {"type": "float", "low": 0.0, "high": 0.9, "step": 0.1},
            },
            "sampler": {"name": "grid", "seed": 0},
            "pruner": {"name": "none"},
            "baselines": [],
            "replicates": grid,
        }
    else:
        pruned = pruning and not two_objectives
        trials = _trials(rng, n_trials, pruned=pruned, two=two_objectives, hostile=hostile)
        changes = {} if pruned else {"pruner": {"name": "none"}}
    if running:
        for trial in trials[-n_workers:]:
            trial.state = "RUNNING"
            trial.curves = [curve[: EPOCHS // 2] for curve in trial.curves]
        trials += [MadeTrial(params=BASELINE_PARAMS, curves=[], state="WAITING") for _ in range(2)]
    if two_objectives:
        changes["objective"] = [{"metric": "val_error"}, {"metric": "n_parameters"}]
    study_id, launches = begin_study(
        store, HOSTILE if hostile else name, space_config(**changes), two_objectives, running
    )
    store_trials(store, study_id, trials, launches, n_workers, HOSTILE if hostile else "host")
    if confirmed:
        _confirm(store, study_id, trials, launches[-1], rng)
    return study_id


def begin_study(
    store: Store, name: str, config: dict[str, Any], two: bool = False, running: bool = False
) -> tuple[int, list[int]]:
    """A study without trials and its two launches, the second one running or done."""
    metrics = ["val_error", "n_parameters"] if two else ["val_error"]
    study = optuna.create_study(
        study_name=name, storage=store.optuna_storage, directions=["minimize"] * len(metrics)
    )
    study.set_metric_names(metrics)
    study_id = study._study_id
    store.add_study(
        study_id,
        identity={"model.name": "siamese-aux"},
        metrics=metrics,
        data_source="digits",
        data_fingerprint=FINGERPRINT,
    )
    first = begin_launch(store, study_id, config)
    store.end_launch(first, "time limit")
    second = begin_launch(store, study_id, config, changes=["budget.trials: 40, now 10000"])
    if not running:
        store.end_launch(second, "done")
    return study_id, [first, second]


def _draw(rng: np.random.Generator) -> dict[str, Any]:
    """A proposal, uniform over the space."""
    u_P = rng.random(4)
    return {
        "learning_rate": float(3e-4 * (1e-2 / 3e-4) ** u_P[0]),
        "learning_rate_decay": float(0.8 + 0.2 * u_P[1]),
        "weight_decay": float(1e-6 * 1e4 ** u_P[2]),
        "aux_weight": float(0.9 * u_P[3]),
    }


def _curve(rng: np.random.Generator, params: dict[str, Any]) -> list[float]:
    """Validation error after each epoch: a power law towards a floor that the params set."""
    floor = (
        0.12
        + 0.05 * abs(math.log10(params.get("learning_rate", 2e-3) / 2e-3))
        + 0.3 * abs(params.get("learning_rate_decay", 0.95) - 0.95)
        + 0.2 * (params.get("aux_weight", 0.6) - 0.6) ** 2
    )
    epoch_E = np.arange(1, EPOCHS + 1)
    curve_E = floor + (0.5 - floor) * epoch_E**-0.8 + rng.normal(0, 0.01, EPOCHS)
    return [round(float(error), 3) for error in np.clip(curve_E, 0.01, 0.6)]


def _trials(
    rng: np.random.Generator, n_trials: int, *, pruned: bool, two: bool, hostile: bool
) -> list[MadeTrial]:
    distributions = dict(DISTRIBUTIONS)
    if two:
        distributions["width"] = IntDistribution(4, 64)
    if hostile:
        distributions[HOSTILE] = CategoricalDistribution([HOSTILE, "plain"])
    proposals = [dict(BASELINE_PARAMS) if n == 0 else _draw(rng) for n in range(n_trials)]
    curves = [_curve(rng, params) for params in proposals]
    limits = _limits(curves)
    trials = []
    for number, (params, curve) in enumerate(zip(proposals, curves, strict=True)):
        if two:
            params["width"] = int(rng.integers(4, 65))
        if hostile:
            params[HOSTILE] = [HOSTILE, "plain"][number % 2]
        trial = MadeTrial(params=params, curves=[curve], distributions=distributions)
        trial.is_baseline = number == 0
        trial.resumed = number == n_trials // 2
        if number % 29 == 17:
            trial.state, trial.curves = "FAIL", [curve[:4]]
            trial.reason = HOSTILE if hostile else "the loss is not finite in epoch 4"
        elif pruned and number:
            for rung, limit in limits.items():
                if min(curve[:rung]) > limit:
                    trial.state, trial.curves = "PRUNED", [curve[:rung]]
                    break
        if two and trial.state == "COMPLETE":
            width = params["width"]
            trial.values = [min(curve) + 0.5 / width, float(1000 * width + 10 * width**2)]
        trials.append(trial)
    return trials


def _limits(curves: list[list[float]]) -> dict[int, float]:
    """For each rung the error that a third of the trials which got there have beaten."""
    limits: dict[int, float] = {}
    for rung in RUNGS:
        if curves:
            limits[rung] = float(np.quantile([min(curve[:rung]) for curve in curves], 1 / 3))
            curves = [curve for curve in curves if min(curve[:rung]) <= limits[rung]]
    return limits


def _grid_trials(rng: np.random.Generator, replicates: int) -> list[MadeTrial]:
    names = ["deepconvnet-aux", "siamese-aux"]
    distributions = {
        "model": CategoricalDistribution(names),
        "aux_weight": FloatDistribution(0.0, 0.9, step=0.1),
    }
    return [
        MadeTrial(
            params=params,
            curves=[_curve(rng, params) for _ in range(replicates)],
            distributions=distributions,
        )
        for name in names
        for params in [{"model": name, "aux_weight": step / 10} for step in range(10)]
    ]


def store_trials(
    store: Store,
    study_id: int,
    trials: Sequence[MadeTrial],
    launches: Sequence[int],
    n_workers: int = 4,
    host: str = "host",
) -> None:
    """Store trials with their runs, epochs and reports, in bulk.

    Args:
        store: The store.
        study_id: Their study.
        trials: The trials, in order.
        launches: The study's launches; the last trains what `MadeTrial.resumed` says, else the
            first does.
        n_workers: A trial begins as soon as one of so many workers is free.
        host: The first word of a worker's name.
    """
    rows = _Rows(store)
    has_reports = len(store.optuna_storage.get_study_directions(study_id)) == 1
    free = [(START, worker) for worker in range(n_workers)]
    config = RunConfig.model_validate(CONFIG).model_dump(mode="json")
    for number, trial in enumerate(trials):
        begin, worker = heapq.heappop(free)
        end = begin
        trial_id = rows.next_trial + number
        for replicate, curve in enumerate(trial.curves):
            end = rows.add_run(
                trial,
                study_id,
                trial_id,
                replicate,
                curve,
                launches,
                config,
                end,
                f"{host} {worker}",
            )
        if trial.state != "WAITING":
            heapq.heappush(free, (end + datetime.timedelta(seconds=0.2), worker))
        else:
            heapq.heappush(free, (begin, worker))
        rows.add_trial(trial, study_id, trial_id, number, begin, end, has_reports=has_reports)
    rows.write()


class _Rows:
    """Rows of every table, written at once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        with store.engine.connect() as connection:
            self.next_trial = 1 + (_last(connection, models.TrialModel.__table__.c.trial_id))
            self.next_run = 1 + (_last(connection, schema.runs.c.run_id))
        self._rows: dict[Any, list[dict[str, Any]]] = {}

    def add(self, table: Any, **values: Any) -> None:
        self._rows.setdefault(getattr(table, "__table__", table), []).append(values)

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
        launch_id = launches[-1] if trial.resumed else launches[0]
        seconds = [round(1 + 0.01 * (epoch % 7), 2) for epoch in range(len(curve))]
        now = begin
        for epoch, (error, took) in enumerate(zip(curve, seconds, strict=True), start=1):
            now += datetime.timedelta(seconds=took)
            self.add(
                schema.epochs,
                run_id=self.next_run,
                epoch=epoch,
                launch_id=launches[0] if epoch <= len(curve) // 2 else launch_id,
                train_loss=2 * error,
                val_loss=2.2 * error,
                train_error=0.8 * error,
                val_error=error,
                seconds=took,
                reported_at=now,
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
            for table, rows in self._rows.items():
                connection.execute(table.insert(), rows)
        self._rows.clear()


def _last(connection: Any, column: Any) -> int:
    found = connection.execute(column.table.select().order_by(column.desc()).limit(1)).first()
    return 0 if found is None else int(getattr(found, column.name))


def _confirm(
    store: Store,
    study_id: int,
    trials: Sequence[MadeTrial],
    launch_id: int,
    rng: np.random.Generator,
) -> None:
    """Five fresh seeds for the three best trials and the baseline."""
    complete = [number for number, trial in enumerate(trials) if trial.state == "COMPLETE"]
    best = sorted(complete, key=lambda number: min(trials[number].curves[0]))[:3]
    rows = _Rows(store)
    ids = [trial._trial_id for trial in store.optuna_storage.get_all_trials(study_id)]
    config = RunConfig.model_validate(CONFIG).model_dump(mode="json")
    for number in sorted({0, *best}):
        for replicate in range(5):
            curve = _curve(rng, trials[number].params)
            again = MadeTrial(params=trials[number].params, curves=[curve])
            rows.add_run(
                again,
                study_id,
                ids[number],
                replicate,
                curve,
                [launch_id],
                config,
                START + datetime.timedelta(days=1),
                "host 0",
                "confirm",
            )
    rows.write()


MODELS = ("mlp", "convnet", "deepconvnet", "deepconvnet-aux", "resnet", "siamese", "siamese-aux")


def add_benchmark(
    store: Store,
    name: str = "made-table",
    *,
    models: Sequence[str] = MODELS,
    n_seeds: int = 10,
    n_done: int | None = None,
    reported: bool = True,
    hostile: bool = False,
    seed: int = 0,
) -> BenchmarkRecord:
    """Fill a store with a benchmark of some networks.

    Args:
        store: The store.
        name: The benchmark's name.
        models: Its networks, one config each; the first is the reference.
        n_seeds: The seeds that are asked for.
        n_done: How many of them are finished; default: all.
        reported: Whether the configs carry a report's values.
        hostile: Its name, title and configs' names are `HOSTILE`.
        seed: Of every draw.

    Returns:
        The benchmark as the store has it.
    """
    rng = np.random.default_rng(seed)
    launch_id = begin_launch(
        store, None, command="python -m search.benchmark --config made.yaml", data_source="mnist"
    )
    rows = _Rows(store)
    configs = []
    for index, model in enumerate(models):
        config = RunConfig.model_validate({**CONFIG, "model": {"name": model, "width": 16}})
        of_seed = [
            config.with_values({"data.data_seed": each, "training.training_seed": each})
            for each in range(n_seeds)
        ]
        mean = 0.24 - 0.02 * index
        configs.append(
            BenchmarkConfig(
                name=f"{index} {HOSTILE}" if hostile else model,
                config=of_seed[0],
                config_hashes=tuple(each.config_hash() for each in of_seed),
                n_parameters=10_000 * 2**index,
                has_aux=model.endswith("-aux"),
                reported=_reported(mean) if reported else None,
            )
        )
        for each in of_seed[: n_seeds if n_done is None else n_done]:
            floor = mean + float(rng.normal(0, 0.01))
            _add_result(rows, launch_id, each, floor, seconds=0.5 * (index + 1))
    rows.write()
    store.end_launch(launch_id, "done")
    record = BenchmarkRecord(
        name=HOSTILE if hostile else name,
        data_source="mnist",
        data_fingerprint=FINGERPRINT,
        title=HOSTILE if hostile else "Errors of the networks",
        reference=configs[0].name,
        n_seeds=n_seeds,
        configs=tuple(configs),
    )
    return BenchmarkRecord(**{**vars(record), "benchmark_id": save_benchmark(store, record)})


def _reported(mean: float) -> Reported:
    def around(error: float) -> MeanStd:
        return MeanStd(mean=round(error, 4), std=0.012)

    return Reported(
        source="Table I",
        n=10,
        train_error=around(mean / 3),
        val_error=around(mean - 0.01),
        test_error=around(mean + 0.005),
    )


def _add_result(
    rows: _Rows, launch_id: int, config: RunConfig, error: float, *, seconds: float
) -> None:
    run_id = rows.next_run
    rows.next_run += 1
    for epoch in range(1, EPOCHS + 1):
        rows.add(
            schema.epochs,
            run_id=run_id,
            epoch=epoch,
            launch_id=launch_id,
            train_loss=0.7 * epoch**-0.9,
            val_loss=0.4 + 0.3 * epoch**-0.7 + error * epoch / 100,
            train_error=min(1.0, 0.5 * epoch**-0.8),
            val_error=min(1.0, error + 0.3 * epoch**-1.0),
            seconds=seconds,
            reported_at=START + datetime.timedelta(seconds=seconds * epoch),
        )
    rows.add(
        schema.runs,
        run_id=run_id,
        uid=f"{run_id:032x}",
        launch_id=launch_id,
        study_id=None,
        trial_id=None,
        purpose="benchmark",
        replicate=0,
        config_hash=config.config_hash(),
        config=config.model_dump(mode="json"),
        state="complete",
        reason=None,
        worker="host 0",
        started_at=START,
        ended_at=START + datetime.timedelta(seconds=seconds * EPOCHS),
        n_epochs=EPOCHS,
        best_epoch=EPOCHS,
        train_seconds=seconds * EPOCHS,
        n_parameters=12_345,
    )
    result = ResultRecord(
        run_id=run_id,
        train_error=max(0.0, error / 3),
        val_error=max(0.0, error - 0.01),
        test_error=max(0.0, error),
        train_loss=0.1,
        val_loss=0.4,
        test_loss=0.5,
        data_fingerprint=FINGERPRINT,
    )
    rows.add(schema.results, **vars(result))
