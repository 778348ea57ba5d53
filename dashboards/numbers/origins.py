"""What was known before a config was first trained, and which of its seeds a search had seen.

A benchmark is a fair test of a config that was chosen without it. Whoever gives a config after
having seen test results on its seeds, or searches on these seeds, chooses by what is measured.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from optuna.trial import FrozenTrial
from pydantic import ValidationError

from space import RunConfig, Space
from space.config import SEED_KEYS
from space.sources import SOURCES
from storage import LaunchRecord, RunRecord, Store
from storage.connect.engine import translated
from storage.on_studies import queued_by_hand
from storage.tables import schema
from storage.tables.attributes import BASELINE, warm_start_of

__all__ = ["Origin", "Reads", "SharedSeeds", "StudyLaunch", "read_origin", "study_launches"]

_RUNS, _RESULTS, _LAUNCHES = schema.runs.c, schema.results.c, schema.launches.c
DATA_SEED, _ = SEED_KEYS
_SOURCES = tuple(source.path for source in SOURCES.values())
_NO_SETTINGS = (*SEED_KEYS, "data.root", "training.device", "training.protocol")


@dataclass(frozen=True, kw_only=True)
class Reads:
    """How often the test split had been read by some time.

    Attributes:
        n_runs: Benchmark runs that had ended with a test result.
        n_configs: Configs that these were of.
        seeds: The seeds whose test samples they had been evaluated on, ascending.
    """

    n_runs: int
    n_configs: int
    seeds: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class SharedSeeds:
    """Seeds of a benchmark that a study which holds the config was trained on as well.

    Attributes:
        study: The study's name.
        data: The seeds whose training samples it had seen, ascending.
        training: The seeds whose initialisation and order it had seen, ascending.
    """

    study: str
    data: tuple[int, ...]
    training: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a config came from.

    Attributes:
        launch_id: The launch that first trained it.
        settled_at: When that launch began: the config was settled by then.
        study: The study that first trained it; None where that was a benchmark, or is gone.
        trial_number: Its trial there.
        was_given: Whether a person gave the study its settings, as a baseline: no sampler did.
        warm_start: Which trial of an earlier study they were queued from, in words; None where they
            were not. That a person chose that study counts as giving them.
        was_added: Whether they were given to a study that had been begun without them.
        reads: How often the test samples of the benchmark's seeds had been read by then.
        shared: The studies that hold the config and had seen some of the benchmark's seeds.
    """

    launch_id: int
    settled_at: datetime.datetime
    study: str | None
    trial_number: int | None
    was_given: bool
    warm_start: str | None
    was_added: bool
    reads: Reads
    shared: tuple[SharedSeeds, ...]


@dataclass(frozen=True, kw_only=True)
class StudyLaunch:
    """A launch of a study that began it or changed what it searches.

    Attributes:
        study: The study's name.
        launch: The launch: when it began, and what it changed.
        n_earlier: The study's launches before it.
        reads: How often the test split of its data set had been read by then, on any seed.
    """

    study: str
    launch: LaunchRecord
    n_earlier: int
    reads: Reads


def _same_value(config: RunConfig, path: str) -> sa.ColumnElement[bool]:
    """That a run has the same value as a config, where that has one."""
    value = config.value(path)
    found = _path(path)
    if value is None:
        return sa.true()
    same: sa.ColumnElement[bool] = (
        found.as_string() == value if isinstance(value, str) else found.as_float() == value
    )
    return same


def read_origin(
    store: Store, config: RunConfig, *, seeds: Sequence[int], fingerprint: str | None
) -> Origin | None:
    """Where a benchmark's config came from.

    Args:
        store: The store.
        config: The config; its own seeds do not matter.
        seeds: The benchmark's.
        fingerprint: The benchmark's data; None where it has no result yet.

    Returns:
        What the store knows; None where the config has not been trained yet.

    Raises:
        StorageError: If the store cannot be read.
    """
    same = [
        run
        for run in _runs(
            store,
            _same_value(config, "model.name") & _same_value(config, "training.learning_rate"),
        )
        if _settings(run.config) == _settings(config.model_dump(mode="json"))
    ]
    if not same:
        return None
    first = min(same, key=lambda run: (run.started_at, run.run_id))
    launch = _begun_by(first, store.launches())
    settled_at = min(launch.started_at, first.started_at)
    name, trial = _trial(store, first)
    given = None if trial is None else trial.user_attrs.get(BASELINE)
    warm_start = None if trial is None else warm_start_of(trial.user_attrs)
    by_hand = trial and first.study_id and queued_by_hand(store, first.study_id, [trial])
    of_benchmark = _path(DATA_SEED).as_integer().in_(seeds)
    return Origin(
        launch_id=launch.launch_id,
        settled_at=settled_at,
        study=name,
        trial_number=None if trial is None else trial.number,
        was_given=given is not None or warm_start is not None or bool(by_hand),
        warm_start=warm_start,
        was_added=given is not None and _was_added(given, store.launches(first.study_id)),
        reads=_reads(store, settled_at, of_benchmark & (_RESULTS.data_fingerprint == fingerprint)),
        shared=_shared(store, same, seeds),
    )


def study_launches(store: Store, names: Iterable[str]) -> list[StudyLaunch]:
    """The launches that began some studies or changed what they search, oldest first.

    Raises:
        StorageError: If the store cannot be read.
    """
    found = []
    for name in names:
        for n_earlier, launch in enumerate(store.launches(store.study_id(name))):
            if n_earlier and not launch.changes:
                continue
            of_source = _LAUNCHES.data_source == launch.data_source
            reads = _reads(store, launch.started_at, of_source)
            found.append(StudyLaunch(study=name, launch=launch, n_earlier=n_earlier, reads=reads))
    return sorted(found, key=lambda each: each.launch.launch_id)


def _path(key: str) -> Any:
    """A setting of a run, as SQL."""
    return _RUNS.config[tuple(key.split("."))]


def _settings(config: Mapping[str, Any], others: Iterable[str] = ()) -> str:
    """What a config is but for its seeds, for where it is trained, and for other settings."""
    tree = json.loads(json.dumps(config))
    for key in (*_NO_SETTINGS, *others):
        section, name = key.split(".")
        tree.get(section, {}).pop(name, None)
    return json.dumps(tree, sort_keys=True)


def _runs(store: Store, where: sa.ColumnElement[bool]) -> list[RunRecord]:
    query = sa.select(schema.runs).where(where).order_by(_RUNS.run_id)
    return [RunRecord(**row) for row in store.rows(query)]


def _reads(store: Store, before: datetime.datetime, where: sa.ColumnElement[bool]) -> Reads:
    joined = schema.runs.join(schema.results, _RESULTS.run_id == _RUNS.run_id).join(
        schema.launches, _LAUNCHES.launch_id == _RUNS.launch_id
    )
    query = sa.select(_RUNS.config).select_from(joined)
    rows = store.rows(query.where(where & (_RUNS.ended_at <= before)))
    return Reads(
        n_runs=len(rows),
        n_configs=len({_settings(row["config"], _SOURCES) for row in rows}),
        seeds=tuple(sorted({row["config"]["data"]["data_seed"] for row in rows})),
    )


def _begun_by(run: RunRecord, launches: Sequence[LaunchRecord]) -> LaunchRecord:
    """The launch that began a run; a later one that goes on with it has it in its name."""
    own = next(launch for launch in launches if launch.launch_id == run.launch_id)
    before = [
        launch
        for launch in launches
        if launch.study_id == own.study_id and launch.started_at <= run.started_at
    ]
    return own if own in before or not before else before[-1]


def _trial(store: Store, run: RunRecord) -> tuple[str | None, FrozenTrial | None]:
    """A run's study and trial; nothing where it has none, or another tool deleted them."""
    if run.study_id is None or run.trial_id is None:
        return None, None
    storage = store.optuna_storage
    with translated(store.url):
        try:
            return storage.get_study_name_from_id(run.study_id), storage.get_trial(run.trial_id)
        except KeyError:
            return None, None


def _was_added(params: Mapping[str, Any], launches: Sequence[LaunchRecord]) -> bool:
    """Whether a baseline was not yet one when its study began."""
    try:
        return bool(launches) and params not in Space.recorded(launches[0].config).baseline_params()
    except ValidationError:  # Of an earlier release, whose settings were others.
        return False


def _shared(store: Store, same: Sequence[RunRecord], own: Sequence[int]) -> tuple[SharedSeeds, ...]:
    found = []
    for study_id in dict.fromkeys(run.study_id for run in same if run.study_id is not None):
        seeds = [_path(key).as_integer() for key in SEED_KEYS]
        query = sa.select(*(each.label(str(place)) for place, each in enumerate(seeds))).distinct()
        shared = seeds[0].in_(own) | seeds[1].in_(own)
        rows = store.rows(query.where((_RUNS.study_id == study_id) & shared))
        if not rows:
            continue
        name, _ = _trial(store, next(run for run in same if run.study_id == study_id))
        data, training = (
            tuple(sorted({row[key] for row in rows if row[key] in own})) for key in "01"
        )
        found.append(SharedSeeds(study=name or str(study_id), data=data, training=training))
    return tuple(found)
