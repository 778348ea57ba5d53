"""A study as a launch has it: Optuna's own, its terms and its store, opened once."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.trials.feasible import IMPOSSIBLE, resolved
from search.trials.history import for_sampler
from search.trials.sampling import history_of, make_pruner, make_sampler, random_points
from search.trials.warm_start import EarlierTrial, earlier_trials, enqueue_earlier
from space import RunConfig, Space
from space.errors import StudyMismatchError
from space.metrics import Measured, Metric
from storage import NewStudy, Store
from storage.tables.attributes import BASELINE
from trainables.contract.run_data import RunData

__all__ = ["OpenedStudy", "examples", "open_study"]


@dataclass(kw_only=True)
class OpenedStudy:
    """A study that a launch goes on with.

    Attributes:
        study: Optuna's, with the launch's sampler and pruner; its trials are those that the
            sampler sees.
        store: What holds it.
        space: What is searched, its data source settled. Its budget may become bigger while a
            launch runs; all else stays.
        measured: What is measured of its runs.
        resolve: Lays a trial's parameters over the study's fixed config.
    """

    study: optuna.Study
    store: Store
    space: Space
    measured: Measured
    resolve: Callable[[Mapping[str, Any]], RunConfig]

    @property
    def id(self) -> int:
        """Optuna's number of the study."""
        return self.study._study_id

    @property
    def objectives(self) -> tuple[Metric, ...]:
        """What the search makes small or large."""
        return tuple(
            self.measured.metric(each.metric, maximize=each.direction == "maximize")
            for each in self.space.objectives
        )

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        """The trials in these states, or all: as they are, not to be changed."""
        trials = self.store.optuna_storage
        return trials.get_all_trials(self.id, deepcopy=False, states=states or None)


def examples(space: Space) -> list[RunConfig]:
    """Configs that can be trained: the baselines', then those of random points."""
    found = []
    for params in [*space.baseline_params(), *random_points(space)]:
        with contextlib.suppress(*IMPOSSIBLE):
            found.append(resolved(space, params))
    return found


def open_study(
    store: Store,
    space: Space,
    data: RunData,
    resolve: Callable[[Mapping[str, Any]], RunConfig] | None = None,
    earlier: Sequence[EarlierTrial] | None = None,
) -> OpenedStudy:
    """Create the study, or go on with it; its baselines and its warm start are in the queue.

    Args:
        store: The store.
        space: The search space, its data source settled.
        data: What runs are trained on.
        resolve: Lays a trial's parameters over the fixed config; by default `resolved` does.
        earlier: The trials of its warm start; by default `earlier_trials` says.

    Returns:
        The study with its pruner and the sampler of a further launch.

    Raises:
        StudyMismatchError: If it was begun under other terms, or the study of its warm start was.
        StorageError: If the database fails.
    """
    metrics: list[str] = [objective.metric for objective in space.objectives]
    directions = [objective.direction for objective in space.objectives]
    with store.guarded():
        if earlier is None:
            earlier = earlier_trials(store, space)
        study = optuna.create_study(
            study_name=space.study,
            storage=for_sampler(
                store.optuna_storage,
                history_of(space.sampler),
                [direction == "maximize" for direction in directions],
            ),
            directions=directions,
            load_if_exists=True,
        )
        found = [direction.name.lower() for direction in study.directions]
        if found != directions:
            raise StudyMismatchError(
                f"study '{space.study}' in {store.name} was begun to {' and '.join(found)}, not to "
                f"{' and '.join(directions)}; name a new study with --study."
            )
        record = store.add_study(
            NewStudy(
                study_id=study._study_id,
                identity=space.identity(),
                metrics=metrics,
                measured=space.measured,
                data_source=data.source,
                data_fingerprint=data.fingerprint,
            )
        )
        differences = space.difference(record.identity)
        if record.data_fingerprint != data.fingerprint:
            differences.append(
                f"data: {record.data_source} with fingerprint {record.data_fingerprint}, "
                f"now {data.source} with {data.fingerprint}"
            )
        if differences:
            raise StudyMismatchError(
                f"study '{space.study}' in {store.name} was begun under other terms "
                f"({'; '.join(differences)}); name a new study with --study."
            )
        with store.locked(study._study_id):
            known = store.optuna_storage.get_all_trials(study._study_id, deepcopy=False)
            if not known:
                study.set_metric_names(metrics)
            _enqueue_baselines(study, space, known)
            enqueue_earlier(study, space, earlier)
        study.pruner = make_pruner(space)
        study.sampler = make_sampler(
            space,
            n_existing_trials=store.optuna_storage.get_n_trials(study._study_id),
            n_earlier_launches=len(store.launches(study._study_id)),
        )
    return OpenedStudy(
        study=study,
        store=store,
        space=space,
        measured=record.measured,
        resolve=resolve or functools.partial(resolved, space),
    )


def _enqueue_baselines(study: optuna.Study, space: Space, known: Sequence[FrozenTrial]) -> None:
    """Queue the baselines that the study has not got yet."""
    enqueued = [
        space.point(trial.user_attrs[BASELINE]) for trial in known if BASELINE in trial.user_attrs
    ]
    if space.sampler.name == "grid":
        # A point of a grid has one trial, also where it becomes a baseline later.
        enqueued += [space.point(trial.params) for trial in known]
    for params in space.baseline_params():
        if params not in enqueued:
            study.enqueue_trial(params, user_attrs={BASELINE: params})
