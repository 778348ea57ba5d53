"""Studies and benchmarks as plain dictionaries: what ``python -m storage`` prints."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from storage.leases import is_alive, status_of
from storage.store import Store
from storage.summaries.benchmark import BenchmarkGlance, glance_at_benchmarks
from storage.summaries.best import best_first, objectives
from storage.summaries.confirmed import confirmed_trials, failed_seeds
from storage.summaries.registered import as_json as registered_as_json
from storage.summaries.registered import read_registered, registered_lines
from storage.summaries.study import INTERRUPTED, abandoned_trials, glance_at_studies
from storage.tables.attributes import FAIL_REASON
from storage.tables.records import BenchmarkConfig, LaunchRecord, RunRecord, StudyRecord

__all__ = [
    "describe_benchmark",
    "describe_study",
    "describe_trials",
    "list_benchmarks",
    "list_studies",
]

_SPENT = ("epochs", "train_seconds", "confirm_epochs", "confirm_seconds")
"""What nobody recorded of another tool's study."""


def list_studies(store: Store) -> list[dict[str, Any]]:
    """Every study of a store: name, states, best value and last activity.

    Returns:
        One dictionary a study, in the order they were begun; its best value is that of the first
        objective among complete trials. Studies that were made by other tools are among them,
        without launches. Trials of a launch that died are `INTERRUPTED`. The one that does best on
        fresh seeds is ``confirmed``, which is None where none has all of them.
    """
    records = store.study_records()
    tried = {run.study_id for run in store.runs(purpose="confirm")}
    rows = []
    for study in glance_at_studies(store):
        confirmed = None
        if study.study_id in tried:
            confirmed = _winner(_confirmation(store, records.get(study.study_id)))
        last = study.launches[-1].started_at if study.launches else None
        rows.append(
            {
                "kind": "study",
                "study": study.name,
                "trials": study.counts,
                "best": study.best,
                "confirmed": confirmed,
                "metrics": [metric.name for metric in study.metrics],
                "objectives": [asdict(metric) for metric in study.objectives],
                "data_source": study.data_source,
                "state": study.status,
                "launches": len(study.launches),
                "last_launch": None if last is None else last.isoformat(timespec="seconds"),
            }
        )
    return rows


def list_benchmarks(store: Store) -> list[dict[str, Any]]:
    """Every benchmark of a store: name, configs, runs done and asked for, state, last activity.

    Returns:
        One dictionary a benchmark, in the order they were first asked for.
    """
    return [_benchmark(glance) for glance in glance_at_benchmarks(store)]


def describe_benchmark(store: Store, benchmark_id: int) -> dict[str, Any]:
    """All there is to say of one benchmark without its statistics: terms, configs, launches.

    Args:
        store: The store.
        benchmark_id: A benchmark that it holds.
    """
    glance = next(
        each for each in glance_at_benchmarks(store) if each.record.benchmark_id == benchmark_id
    )
    registered = read_registered(store, glance.record)
    hashes = {each for config in glance.record.configs for each in config.config_hashes}
    numbers = {launch.launch_id for launch in glance.launches}
    runs: dict[str, list[RunRecord]] = {}
    for run in store.runs(purpose="benchmark"):
        if run.config_hash in hashes and run.launch_id in numbers:
            runs.setdefault(run.config_hash, []).append(run)
    return {
        **_benchmark(glance),
        "title": glance.record.title,
        "reference": glance.record.reference,
        "seed_numbers": list(glance.record.seeds),
        "registered": registered_as_json(registered),
        "registered_words": registered_lines(registered),
        "configs": [_config(glance, config, runs) for config in glance.record.configs],
        "launches": [_launch(launch) for launch in glance.launches],
        "tracebacks": _tracebacks(
            [
                (f"{config.name}, seed {seed}", run)
                for config in glance.record.configs
                for seed, each in config.by_seed.items()
                for run in runs.get(each, [])
            ]
        ),
    }


def _benchmark(glance: BenchmarkGlance) -> dict[str, Any]:
    record, last = glance.record, glance.last_activity
    return {
        "kind": "benchmark",
        "benchmark": record.name,
        "configs": len(record.configs),
        "seeds": record.n_seeds,
        "runs_done": glance.n_done,
        "runs_planned": glance.n_asked,
        "state": glance.state,
        "data_source": record.data_source,
        "data_fingerprint": record.data_fingerprint,
        "last_activity": None if last is None else last.isoformat(timespec="seconds"),
    }


def _config(
    glance: BenchmarkGlance, config: BenchmarkConfig, runs: dict[str, list[RunRecord]]
) -> dict[str, Any]:
    own = [run for each in config.config_hashes for run in runs.get(each, [])]
    # Of a config and seed without a result the latest run tells how far it came.
    open_runs = [
        runs[each][-1]
        for each in config.config_hashes
        if each in runs and each not in glance.values
    ]
    alive = {launch.launch_id for launch in glance.launches if is_alive(launch)}
    states = Counter(
        "interrupted" if run.state == "running" and run.launch_id not in alive else run.state
        for run in open_runs
    )
    return {
        "name": config.name,
        "model": config.config.what,
        "parameters": config.n_parameters,
        "runs_done": glance.n_done_of(config),
        "runs_planned": len(config.config_hashes),
        "runs_open": dict(states),
        glance.metric.name: glance.mean_of(config),
        "epochs": sum(run.n_epochs for run in own),
        "train_seconds": sum(run.train_seconds for run in own),
        "reasons": sorted(
            {run.reason for run in open_runs if run.state == "failed" and run.reason}
        ),
    }


def describe_study(store: Store, name: str) -> dict[str, Any]:
    """All there is to say of one study: terms, states, best trial, launches, trials.

    Trials of a launch that died are `INTERRUPTED`.

    Raises:
        StudyNotFoundError: If the store does not hold it.
    """
    study_id = store.study_id(name)
    storage = store.optuna_storage
    trials = storage.get_all_trials(study_id, deepcopy=False)
    numbers: dict[int | None, int] = {trial._trial_id: trial.number for trial in trials}
    record = store.study_records().get(study_id)
    every, confirm = (store.runs(study_id, purpose) for purpose in ("search", "confirm"))
    described = _trials(store, study_id, trials, every)
    directions = storage.get_study_directions(study_id)
    # As in the list: no value that is not finite is the best.
    complete = (
        trial
        for trial in trials
        if trial.state == TrialState.COMPLETE and all(map(math.isfinite, trial.values))
    )
    aims = objectives(store, study_id)
    best = best_first(complete, aims[0])
    return {
        "study": name,
        "created_at": None if record is None else record.created_at.isoformat(timespec="seconds"),
        "metrics": [] if record is None else record.metrics,
        "objectives": [asdict(metric) for metric in aims],
        "directions": [direction.name.lower() for direction in directions],
        "data_source": None if record is None else record.data_source,
        "data_fingerprint": None if record is None else record.data_fingerprint,
        "trials_by_state": _counts([each["state"] for each in described]),
        **(dict.fromkeys(_SPENT) if record is None else _spent(every, confirm)),
        "best": _trial(best[0]) if best else None,
        "confirmation": _confirmation(store, record),
        "launches": [_launch(launch) for launch in store.launches(study_id)],
        "trials": described,
        "tracebacks": _tracebacks(
            [
                (f"trial {numbers.get(run.trial_id)}{on_fresh_seeds}", run)
                for purpose, on_fresh_seeds in (("search", ""), ("confirm", " on fresh seeds"))
                for run in store.runs(study_id, purpose, state="failed")
            ]
        ),
    }


def _spent(every: Sequence[RunRecord], confirm: Sequence[RunRecord]) -> dict[str, float]:
    """What the runs of a search and those on fresh seeds cost."""
    found = [
        total
        for runs in (every, confirm)
        for total in (sum(run.n_epochs for run in runs), sum(run.train_seconds for run in runs))
    ]
    return dict(zip(_SPENT, found, strict=True))


def describe_trials(store: Store, name: str, which: slice | int) -> list[dict[str, Any]]:
    """Some of the trials of a study, by number, as `describe_study` has them.

    Args:
        store: The store.
        name: The study's name.
        which: Some of those that there are, or the number of one, which may have been deleted.

    Raises:
        StudyNotFoundError: If the store does not hold the study.
    """
    study_id = store.study_id(name)
    with store.guarded():
        trials = store.optuna_storage.get_all_trials(study_id, deepcopy=False)
    if isinstance(which, slice):
        trials = trials[which]
    else:
        trials = [trial for trial in trials if trial.number == which]
    runs = store.runs(study_id, "search", trial_ids=[trial._trial_id for trial in trials])
    return _trials(store, study_id, trials, runs)


def _trials(
    store: Store, study_id: int, trials: Sequence[FrozenTrial], every: Iterable[RunRecord]
) -> list[dict[str, Any]]:
    """Trials, with what their runs say."""
    abandoned = abandoned_trials(store).get(study_id, set())
    is_ours = study_id in store.study_records()
    runs: dict[int | None, list[RunRecord]] = {trial._trial_id: [] for trial in trials}
    for run in every:
        runs.setdefault(run.trial_id, []).append(run)
    return [
        {
            **_trial(trial),
            "state": INTERRUPTED if trial._trial_id in abandoned else trial.state.name,
            "runs": [run.run_id for run in runs[trial._trial_id]],
            "epochs": sum(run.n_epochs for run in runs[trial._trial_id]) if is_ours else None,
            "reason": trial.user_attrs.get(FAIL_REASON)
            or next((run.reason for run in runs[trial._trial_id] if run.reason), None),
        }
        for trial in trials
    ]


def _confirmation(store: Store, record: StudyRecord | None) -> list[dict[str, Any]]:
    """The trials that were trained again on fresh seeds, best first; those with all seeds lead."""
    if record is None:
        return []
    failed = failed_seeds(store, record.study_id)
    found = [
        {
            "trial": each.trial_number,
            "mean": each.mean,
            "replicates": list(each.replicates),
            "values": list(each.values),
            "search_value": each.search_value,
            "finished": each.is_finished,
            "failed": failed.pop(each.trial_number, 0),
        }
        for each in confirmed_trials(store, record.study_id)
    ]
    with store.guarded():
        trials = store.optuna_storage.get_all_trials(record.study_id, deepcopy=False)
    # What failed on each of its seeds so far.
    none: dict[str, Any] = {"mean": None, "replicates": [], "values": []}
    return found + [
        {
            "trial": trial.number,
            **none,
            "search_value": trial.values[0],
            "finished": False,
            "failed": failed[trial.number],
        }
        for trial in trials
        if trial.number in failed
    ]


def _winner(confirmation: list[dict[str, Any]]) -> dict[str, Any] | None:
    return next((each for each in confirmation if each["finished"]), None)


def _tracebacks(runs: Iterable[tuple[str, RunRecord]]) -> list[dict[str, Any]]:
    """Each traceback once, with what failed by it, in the order of their last."""
    found: dict[str, list[str]] = {}
    for label, run in sorted(runs, key=lambda each: each[1].run_id):
        if run.state == "failed" and run.traceback:
            labels = found.pop(run.traceback, [])
            found[run.traceback] = list(dict.fromkeys([*labels, label]))
    return [{"of": labels, "traceback": text} for text, labels in found.items()]


def _counts(states: Sequence[str]) -> dict[str, int]:
    known = [*(state.name for state in TrialState), INTERRUPTED]
    return {state: states.count(state) for state in known}


def _trial(trial: FrozenTrial) -> dict[str, Any]:
    return {
        "number": trial.number,
        "state": trial.state.name,
        "values": trial.values,
        "params": trial.params,
    }


def _launch(launch: LaunchRecord) -> dict[str, Any]:
    status = status_of(launch)
    # Of one that died it is known when it was last heard of.
    ended = launch.heartbeat_at if status == "died" else launch.ended_at
    return {
        "launch": launch.launch_id,
        "status": status,
        "started_at": launch.started_at.isoformat(timespec="seconds"),
        "ended_at": None if ended is None else ended.isoformat(timespec="seconds"),
        "command": launch.command,
        "changes": launch.changes,
        "git_commit": launch.git_commit,
        "git_dirty": launch.git_dirty,
        "versions": launch.versions,
        "hardware": launch.hardware,
        "host": launch.host,
    }
