"""Stores filled in bulk with studies that nobody trained.

The networks' errors follow a closed form with a little noise; nothing is drawn from a clock, so the
same arguments make the same store. 10,000 trials of 25 epochs take some ten seconds.
"""

from __future__ import annotations

import datetime
import heapq
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna

from space import Space
from storage import Store
from tests.dashboards.made.bulk_rows import (
    CONFIG,
    EPOCHS,
    HOSTILE,
    START,
    MadeTrial,
    Rows,
)
from tests.dashboards.made.bulk_trials import (
    BASELINE_PARAMS,
    RUNGS,
    draw_curve,
    draw_grid_trials,
    draw_trials,
)
from tests.records import begin_launch, new_study
from trainables.shipped.digit_pairs.config import DigitPairsConfig

__all__ = ["add_study", "begin_study", "space_config", "store_trials"]


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
    dumped: dict[str, Any] = Space.recorded(tree).model_dump(mode="json")
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
        trials = draw_grid_trials(rng, grid)
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
        trials = draw_trials(rng, n_trials, pruned=pruned, two=two_objectives, hostile=hostile)
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
    store.add_study(new_study(study_id, identity={"model.name": "siamese-aux"}, metrics=metrics))
    first = begin_launch(store, study_id, config=config)
    store.end_launch(first, "time limit")
    changes = ["budget.trials: 40, now 10000"]
    second = begin_launch(store, study_id, config=config, changes=changes)
    if not running:
        store.end_launch(second, "done")
    return study_id, [first, second]


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
        launches: The study's launches; the last trains what `MadeTrial.resumed` says and what is
            still running, the first all else.
        n_workers: A trial begins as soon as one of so many workers is free.
        host: The first word of a worker's name.
    """
    rows = Rows(store)
    has_reports = len(store.optuna_storage.get_study_directions(study_id)) == 1
    free = [(START, worker) for worker in range(n_workers)]
    config = DigitPairsConfig.model_validate(CONFIG).model_dump(mode="json")
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
        if number % 1_000 == 999:  # Rows take a hundred times the memory of what they say.
            rows.write()
    rows.write()


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
    rows = Rows(store)
    ids = [trial._trial_id for trial in store.optuna_storage.get_all_trials(study_id)]
    config = DigitPairsConfig.model_validate(CONFIG).model_dump(mode="json")
    for number in sorted({0, *best}):
        for replicate in range(5):
            curve = draw_curve(rng, trials[number].params)
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
