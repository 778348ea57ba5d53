"""A store at a glance: counted by the database itself, so cheap however many trials there are.

Optuna's own interface reads whole trials; here its tables are asked directly.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from optuna.trial import TrialState

from space.metrics import Metric
from storage.connect.engine import translated
from storage.leases import is_alive, latest_status
from storage.store import Store
from storage.summaries.baselines import in_order
from storage.summaries.best import METRIC_NAMES, named_objectives
from storage.tables import schema
from storage.tables.attributes import BASELINE
from storage.tables.optuna_models import (
    DIRECTIONS,
    REPORTS,
    STUDIES,
    STUDY_ATTRIBUTES,
    TRIALS,
    USER_ATTRIBUTES,
    VALUES,
)
from storage.tables.records import BenchmarkRecord, LaunchRecord

__all__ = [
    "INTERRUPTED",
    "StudyGlance",
    "abandoned_trials",
    "benchmark_version",
    "glance_at_studies",
    "study_names",
    "study_version",
    "trained_trials",
]

INTERRUPTED = "INTERRUPTED"
"""The state of a trial that Optuna says is running, whose launch died."""


@dataclass(frozen=True, kw_only=True)
class StudyGlance:
    """What can be counted of a study.

    Attributes:
        study_id: Optuna's number.
        name: The study's name, any text.
        directions: ``"minimize"``, ``"maximize"`` or ``"not_set"``, an objective.
        metrics: What its objectives measure; empty for a study that another Optuna tool made.
        objectives: The same, of any study: see `storage.summaries.best.objectives`.
        data_source: Where its data is from; None for a study of another tool.
        counts: Trials by state, every state; those of a launch that died are `INTERRUPTED`.
        best: The best value of the first objective among complete trials.
        baseline: The same of the baseline that counts, if it is complete; see `in_order`.
        n_epochs: Epochs trained by its trials.
        train_seconds: What they took.
        last_activity: When a trial last began or ended, or a launch was last heard of (UTC).
        launches: Its launches, oldest first.
    """

    study_id: int
    name: str
    directions: tuple[str, ...]
    metrics: tuple[Metric, ...]
    objectives: tuple[Metric, ...]
    data_source: str | None
    counts: dict[str, int]
    best: float | None
    baseline: float | None
    n_epochs: int
    train_seconds: float
    last_activity: datetime.datetime | None
    launches: tuple[LaunchRecord, ...]

    @property
    def objective(self) -> Metric:
        """The first objective, for what is shown of it."""
        return self.objectives[0]

    @property
    def status(self) -> str | None:
        """See `latest_status`."""
        return latest_status(self.launches)

    @property
    def is_running(self) -> bool:
        """Whether a launch of it is alive."""
        return self.status == "running"

    @property
    def n_trials(self) -> int:
        """Trials in any state."""
        return sum(self.counts.values())

    @property
    def n_ended(self) -> int:
        """Trials that ended complete, pruned or failed."""
        return sum(self.counts[state.name] for state in TrialState if state.is_finished())

    @property
    def to_be_shown(self) -> dict[str, int]:
        """Trials by Optuna's state, the interrupted ones waiting: the next launch takes them up."""
        counts = dict(self.counts)
        counts["WAITING"] += counts.pop(INTERRUPTED)
        return counts

    def asked(self, what: str) -> int | None:
        """The ``trials`` or ``epochs`` that its latest launch asked for, if it asked for any."""
        budget = self.launches[-1].config.get("budget", {}) if self.launches else {}
        found: int | None = budget.get(what)
        return found


def glance_at_studies(store: Store) -> list[StudyGlance]:
    """Every study of a store, in the order they were begun.

    Raises:
        StorageError: If the store cannot be read.
    """
    with translated(store.url), store.engine.connect() as connection:
        directions: dict[int, list[str]] = {}
        query = sa.select(DIRECTIONS.c.study_id, DIRECTIONS.c.direction)
        for study_id, direction in connection.execute(query.order_by(DIRECTIONS.c.objective)):
            directions.setdefault(study_id, []).append(direction.name.lower())
        counts: dict[int, dict[str, int]] = {}
        times: dict[int, list[datetime.datetime]] = {}
        query = sa.select(
            TRIALS.c.study_id,
            TRIALS.c.state,
            sa.func.count(),
            sa.func.max(TRIALS.c.datetime_start),
            sa.func.max(TRIALS.c.datetime_complete),
        )
        for study_id, state, n, *latest in connection.execute(
            query.group_by(TRIALS.c.study_id, TRIALS.c.state)
        ):
            counts.setdefault(study_id, _none())[state.name] = n
            known = [time.replace(tzinfo=datetime.UTC) for time in latest if time is not None]
            times.setdefault(study_id, []).extend(known)
        best = _extremes(connection)
        baselines = _baselines(connection)
        studies = sa.select(STUDIES.c.study_id, STUDIES.c.study_name)
        names = connection.execute(studies.order_by(STUDIES.c.study_id)).all()
        named = sa.select(STUDY_ATTRIBUTES).where(STUDY_ATTRIBUTES.c.key == METRIC_NAMES)
        told = {row.study_id: json.loads(row.value_json) for row in connection.execute(named)}
    spent, records, abandoned = _spent(store), store.study_records(), abandoned_trials(store)
    launches: dict[int | None, list[LaunchRecord]] = {}
    for launch in store.launches():
        launches.setdefault(launch.study_id, []).append(launch)
    found = []
    for study_id, name in names:
        maximize = [direction == "maximize" for direction in directions.get(study_id, ["not_set"])]
        n_epochs, train_seconds = spent.get(study_id, (0, 0.0))
        own, record = launches.get(study_id, []), records.get(study_id)
        aims = named_objectives(record, told.get(study_id), maximize)
        known = [*times.get(study_id, []), *(launch.heartbeat_at for launch in own)]
        of_study = counts.get(study_id, _none())
        of_study[INTERRUPTED] = len(abandoned.get(study_id, ()))
        of_study["RUNNING"] -= of_study[INTERRUPTED]
        found.append(
            StudyGlance(
                study_id=study_id,
                name=name,
                directions=tuple(directions.get(study_id, ())),
                metrics=() if record is None else aims,
                objectives=aims,
                data_source=None if record is None else record.data_source,
                counts=of_study,
                best=best[study_id][maximize[0]] if study_id in best else None,
                baseline=baselines.get(study_id),
                n_epochs=n_epochs,
                train_seconds=train_seconds,
                last_activity=max(known, default=None),
                launches=tuple(own),
            )
        )
    return found


def _none() -> dict[str, int]:
    return {**{state.name: 0 for state in TrialState}, INTERRUPTED: 0}


def abandoned_trials(store: Store) -> dict[int, set[int]]:
    """Study -> Optuna's numbers of trials that are said to run, in the hands of no live launch.

    A launch that was killed could not say that they stopped; the next one goes on with them. Of
    another tool's study nothing of the kind is known.

    Raises:
        StorageError: If the store cannot be read.
    """
    runs, studies = schema.runs, schema.studies
    held = (runs.c.trial_id == TRIALS.c.trial_id) & (runs.c.purpose == "search")
    held &= runs.c.state == "running"
    query = (
        sa.select(TRIALS.c.study_id, TRIALS.c.trial_id, runs.c.launch_id)
        .join(studies, studies.c.study_id == TRIALS.c.study_id)
        .outerjoin(runs, held)
        .where(TRIALS.c.state == TrialState.RUNNING)
    )
    rows = store.rows(query)
    alive = [launch for launch in store.launches(status="running") if is_alive(launch)]
    numbers = {launch.launch_id for launch in alive}
    in_study = {launch.study_id for launch in alive}
    found: dict[int, set[int]] = {}
    kept: set[int] = set()
    for row in rows:
        # Held by no run yet, it was asked for by a launch that is about to say so, or died.
        launch_id = row["launch_id"]
        if row["study_id"] in in_study if launch_id is None else launch_id in numbers:
            kept.add(row["trial_id"])
        found.setdefault(row["study_id"], set()).add(row["trial_id"])
    return {study_id: trials - kept for study_id, trials in found.items()}


def study_names(store: Store) -> dict[int, str]:
    """The studies of a store by Optuna's number.

    Raises:
        StorageError: If the store cannot be read.
    """
    query = sa.select(STUDIES.c.study_id, STUDIES.c.study_name)
    with translated(store.url), store.engine.connect() as connection:
        return {row.study_id: row.study_name for row in connection.execute(query)}


def study_version(store: Store, study_id: int) -> str:
    """A short text that changes when anything in a study does that a person would want to see.

    Trials beginning, reporting and ending; runs and their epochs; launches beginning, ending and
    dying. Heartbeats alone change nothing.

    Args:
        store: The store.
        study_id: The study; it need not exist.

    Raises:
        StorageError: If the store cannot be read.
    """
    of_study = TRIALS.c.study_id == study_id
    trials = sa.select(
        TRIALS.c.state,
        sa.func.count(),
        sa.func.max(TRIALS.c.trial_id),
        # Numbers of a deleted study are used again, moments are not.
        sa.func.max(TRIALS.c.datetime_start),
    )
    name = sa.select(STUDIES.c.study_name).where(STUDIES.c.study_id == study_id)
    # A finished trial reports no more: the reports of the others tell whether any are new.
    reports = sa.select(
        sa.func.count(), sa.func.max(REPORTS.c.trial_intermediate_value_id)
    ).select_from(REPORTS.join(TRIALS, REPORTS.c.trial_id == TRIALS.c.trial_id))
    with translated(store.url), store.engine.connect() as connection:
        seen: list[Any] = [
            (state.name, n, last, str(start))
            for state, n, last, start in connection.execute(
                trials.where(of_study).group_by(TRIALS.c.state).order_by(TRIALS.c.state)
            )
        ]
        running = of_study & (TRIALS.c.state == TrialState.RUNNING)
        seen += connection.execute(reports.where(running)).all()
        seen.append(connection.execute(name).scalar())
    seen += [
        (launch.launch_id, launch.status, is_alive(launch)) for launch in store.launches(study_id)
    ]
    seen += _run_states(store, study_id)
    text = json.dumps(seen, default=tuple)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def trained_trials(store: Store, study_id: int) -> tuple[int, float | None]:
    """How many trials of a study have ended, and the epochs of one that the pruner or its end did.

    Args:
        store: The store.
        study_id: The study.

    Returns:
        The number, and a mean over all replicates together, None while there is none.

    Raises:
        StorageError: If the store cannot be read.
    """
    finished = [state for state in TrialState if state.is_finished()]
    ended = sa.select(sa.func.count()).where(
        TRIALS.c.study_id == study_id, TRIALS.c.state.in_(finished)
    )
    runs = schema.runs.c
    sums: list[Any] = [
        sa.func.count(runs.trial_id.distinct()).label("n"),
        sa.func.sum(runs.n_epochs).label("n_epochs"),
    ]
    trained = sa.select(*sums).where(
        runs.study_id == study_id,
        runs.purpose == "search",
        runs.state.in_(("complete", "pruned")),
    )
    with translated(store.url), store.engine.connect() as connection:
        n_ended = int(connection.execute(ended).scalar_one())
    rows = store.rows(trained)
    mean = int(rows[0]["n_epochs"]) / int(rows[0]["n"]) if rows and rows[0]["n"] else None
    return n_ended, mean


def _extremes(connection: sa.Connection) -> dict[int, tuple[float, float]]:
    """Study -> the least and the greatest value of the first objective of complete trials."""
    joined = TRIALS.join(VALUES, VALUES.c.trial_id == TRIALS.c.trial_id)
    wanted = (TRIALS.c.state == TrialState.COMPLETE) & (VALUES.c.objective == 0)
    # Infinite values lie in the table as NULL, which neither aggregate counts.
    query = sa.select(TRIALS.c.study_id, sa.func.min(VALUES.c.value), sa.func.max(VALUES.c.value))
    rows = connection.execute(query.select_from(joined).where(wanted).group_by(TRIALS.c.study_id))
    return {study_id: (low, high) for study_id, low, high in rows if low is not None}


def _baselines(connection: sa.Connection) -> dict[int, float]:
    """Study -> the first objective of the baseline that counts, where that is complete."""
    of_first = (VALUES.c.trial_id == TRIALS.c.trial_id) & (VALUES.c.objective == 0)
    query = (
        sa.select(TRIALS.c.study_id, TRIALS.c.number, TRIALS.c.state, VALUES.c.value)
        .join(USER_ATTRIBUTES, USER_ATTRIBUTES.c.trial_id == TRIALS.c.trial_id)
        .outerjoin(VALUES, of_first)
        .where(USER_ATTRIBUTES.c.key == BASELINE)
    )
    states: dict[int, dict[int, str]] = {}
    values: dict[tuple[int, int], float] = {}
    for study_id, number, state, value in connection.execute(query):
        states.setdefault(study_id, {})[number] = state.name
        if state == TrialState.COMPLETE and value is not None:
            values[study_id, number] = value
    counting = {study_id: in_order(own)[0] for study_id, own in states.items()}
    return {key[0]: values[key] for key in counting.items() if key in values}


def _spent(store: Store) -> dict[int, tuple[int, float]]:
    """Study -> the epochs and seconds of its trials."""
    runs = schema.runs.c
    query = sa.select(
        runs.study_id,
        sa.func.sum(runs.n_epochs).label("n_epochs"),
        sa.func.sum(runs.train_seconds).label("train_seconds"),
    ).where((runs.purpose == "search") & runs.study_id.is_not(None))
    return {
        row["study_id"]: (int(row["n_epochs"]), float(row["train_seconds"]))
        for row in store.rows(query.group_by(runs.study_id))
    }


def _run_states(store: Store, study_id: int) -> list[tuple[Any, ...]]:
    runs = schema.runs.c
    query = sa.select(
        runs.purpose,
        runs.state,
        sa.func.count().label("n"),
        sa.func.sum(runs.n_epochs).label("n_epochs"),
    ).where(runs.study_id == study_id)
    rows = store.rows(query.group_by(runs.purpose, runs.state).order_by(runs.purpose, runs.state))
    return [tuple(map(str, row.values())) for row in rows]


def benchmark_version(store: Store, benchmark: BenchmarkRecord) -> str:
    """A short text that changes when anything in a benchmark does that a person would want to see.

    Args:
        store: The store.
        benchmark: The benchmark, as it was read just now.

    Raises:
        StorageError: If the store cannot be read.
    """
    hashes = {each for config in benchmark.configs for each in config.config_hashes}
    runs = schema.runs.c
    query = sa.select(
        runs.run_id, runs.config_hash, runs.launch_id, runs.state, runs.n_epochs
    ).where(runs.purpose == "benchmark")
    own = [row for row in store.rows(query.order_by(runs.run_id)) if row["config_hash"] in hashes]
    trained = {row["launch_id"] for row in own}
    seen = [
        str(benchmark.updated_at),
        [list(row.values()) for row in own],
        [
            (launch.launch_id, launch.status, is_alive(launch))
            for launch in store.launches()
            if launch.launch_id in trained
        ],
    ]
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()[:20]
