"""A study as its page, its figures and its note see it: read once, then only looked at."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution
from pydantic import ValidationError

from dashboards.numbers.study.confirmation import Confirmation, read_confirmation
from dashboards.numbers.study.grid import GridReport, read_grid
from dashboards.numbers.study.importances import Importances, importances
from dashboards.numbers.study.progress import BestSoFar, Cost, best_so_far, cost
from dashboards.numbers.study.timeline import Segment, read_timeline
from dashboards.numbers.study.trials import StudyTrial, read_trials
from dashboards.numbers.together import trained_together
from space import Space
from space.errors import UsageError
from space.metrics import UNKNOWN, Measured, Metric
from space.words import STATES
from storage import LaunchRecord, Store
from storage.summaries.baselines import in_order
from storage.summaries.best import objectives, pareto_front
from storage.summaries.study import abandoned_trials

__all__ = ["StudyView", "latest_space", "read_study", "recorded_space"]


@dataclass(frozen=True, kw_only=True)
class StudyView:
    """Everything that is shown of a study.

    Attributes:
        name: The study's name, as a user chose it: escape it.
        study_id: Optuna's number.
        measured: What is measured of its runs.
        metrics: The objectives, in order; one decides, several trade off.
        data_source: The data set; None for a study that no launch of ours has begun.
        trials: Ascending by number.
        interrupted: Numbers of those that Optuna says are running, whose launch died.
        step_name: What a report's step counts: "epoch" or "replicate"; "step" in a study of
            another tool.
        distributions: What each parameter was drawn from, last of all.
        space: The space of the last launch; None where there is none that this release can read.
        rungs: Epochs at which the pruner decides; empty where it has none.
        full_epochs: Epochs of a trial that is trained to its end.
        replicates: Runs of each trial.
        best_so_far: Where the best value improved; empty for several objectives.
        front: Numbers of the trials on the Pareto front; of one objective, the best trial's.
        baseline: The baseline that counts; see `in_order`. None without one.
        confirmation: What fresh seeds say of the best trials, or None.
        grid: The curve over the one parameter that is a number, where the study is a grid search
            over it.
        cost: What the search has cost, without the confirmation.
        confirm_epochs: Epochs of the confirmation.
        confirm_seconds: Its seconds of training.
        selections: By what the search's runs keep a state: see `Measured.rules`.
        n_runs: The search's runs.
        n_together: Those of them that were trained together with others.
        timeline: Which worker trained which trial when.
        launches: Oldest first, with command, code, versions, hardware and changes.
    """

    name: str
    study_id: int
    measured: Measured
    metrics: tuple[Metric, ...]
    data_source: str | None
    trials: tuple[StudyTrial, ...]
    interrupted: frozenset[int]
    step_name: str
    distributions: dict[str, BaseDistribution]
    space: Space | None
    rungs: tuple[int, ...]
    full_epochs: int
    replicates: int
    best_so_far: BestSoFar
    front: tuple[int, ...]
    baseline: StudyTrial | None
    confirmation: Confirmation | None
    grid: GridReport | None
    cost: Cost
    confirm_epochs: int
    confirm_seconds: float
    selections: tuple[str, ...]
    n_runs: int
    n_together: int
    timeline: tuple[Segment, ...]
    launches: tuple[LaunchRecord, ...]

    @property
    def is_ours(self) -> bool:
        """Whether a launch of ours began it: another tool's says nothing of what was trained."""
        return self.data_source is not None

    @property
    def steps(self) -> str:
        """What is counted of a trial: another tool's has reports alone."""
        return "epochs" if self.is_ours else "reports"

    @property
    def counts(self) -> dict[str, int]:
        """Trials by state, every state named; interrupted ones wait for the next launch."""
        counts = dict.fromkeys(STATES, 0)
        for trial in self.trials:
            counts["WAITING" if trial.number in self.interrupted else trial.state] += 1
        return counts

    @functools.cached_property
    def importances(self) -> tuple[Importances, ...]:
        """Of the parameters, for each objective; empty while there are too few trials."""
        return importances(self.trials, self.distributions, self.metrics)

    @property
    def best(self) -> StudyTrial | None:
        """The best complete trial, by the first objective; None while there is none."""
        by_number = {trial.number: trial for trial in self.trials}
        return by_number[self.front[0]] if self.front else None

    @property
    def is_running(self) -> bool:
        """Whether a launch says that it runs; one that was killed says so until the next one."""
        return any(launch.status == "running" for launch in self.launches)

    @property
    def last_activity(self) -> datetime.datetime | None:
        """When a launch was last heard of, UTC."""
        return max((launch.heartbeat_at for launch in self.launches), default=None)


def read_study(store: Store, name: str) -> StudyView:
    """Read a study.

    Args:
        store: The store.
        name: The study's name.

    Returns:
        Everything that is shown of it. Also a study that another tool made can be read.

    Raises:
        StudyNotFoundError: If the store does not hold it.
        StorageError: If the store cannot be read.
    """
    study_id = store.study_id(name)
    record = store.study_records().get(study_id)
    measured = record.measured if record else UNKNOWN
    metrics = objectives(store, study_id)
    launches = tuple(store.launches(study_id))
    space = recorded_space(launches[-1].config) if launches else None
    launch_ids = [launch.launch_id for launch in launches]
    runs = store.runs(study_id, "search")
    trials, distributions = read_trials(store, study_id, runs)
    replicates = space.replicates if space else 1
    full_epochs = space.training.epochs if space else max((t.n_epochs for t in trials), default=0)
    confirm_runs = store.runs(study_id, "confirm")
    by_number = {trial.number: trial for trial in trials}
    abandoned = abandoned_trials(store).get(study_id, set())
    baselines = in_order({trial.number: trial.state for trial in trials if trial.is_baseline})
    return StudyView(
        name=name,
        study_id=study_id,
        measured=measured,
        metrics=metrics,
        data_source=record.data_source if record else None,
        trials=trials,
        interrupted=frozenset(trial.number for trial in trials if trial.trial_id in abandoned),
        step_name=_step_name(space, is_ours=bool(launches)),
        distributions=distributions,
        space=space,
        rungs=tuple(space.rungs()) if space else (),
        full_epochs=full_epochs,
        replicates=replicates,
        best_so_far=best_so_far(trials if len(metrics) == 1 else (), metrics[0]),
        front=tuple(trial.number for trial in pareto_front(trials, metrics)),
        baseline=by_number[baselines[0]] if baselines else None,
        confirmation=read_confirmation(store, study_id, baselines),
        grid=_grid(store, name, space),
        cost=cost(trials, full_epochs * replicates),
        confirm_epochs=sum(run.n_epochs for run in confirm_runs),
        confirm_seconds=sum(run.train_seconds for run in confirm_runs),
        selections=tuple(sorted({run.selection for run in runs})),
        n_runs=len(runs),
        n_together=len(trained_together(store, launch_ids) & {run.run_id for run in runs}),
        timeline=read_timeline(store, study_id, runs),
        launches=launches,
    )


def _step_name(space: Space | None, *, is_ours: bool) -> str:
    if space is not None and space.pruner.name == "wilcoxon":
        return "replicate"
    return "epoch" if is_ours else "step"


def recorded_space(config: dict[str, Any]) -> Space | None:
    """What a launch searched; None where this release cannot read it."""
    try:
        return Space.recorded(config)
    except ValidationError:
        return None  # Of an earlier release, whose settings were others; its trials can be shown.


def latest_space(launches: Sequence[LaunchRecord]) -> Space | None:
    """What the last launch searched of those that this release can read; None without any."""
    spaces = (recorded_space(launch.config) for launch in reversed(launches))
    return next((space for space in spaces if space is not None), None)


def _grid(store: Store, name: str, space: Space | None) -> GridReport | None:
    if space is None or space.sampler.name != "grid":
        return None
    try:
        return read_grid(store, name)
    except UsageError:
        return None  # A second point is not complete yet, or it is over several numbers.
