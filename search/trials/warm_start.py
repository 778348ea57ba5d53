"""Warm start: the best trials of an earlier study as the first ones of a new study.

They are queued like baselines and trained like any other trial: they count for the budget, the
pruner may stop them, and the sampler learns from what they come to here, not from what they came
to there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import TrialState

from search.trials.feasible import breaks
from search.trials.proposals import Tried
from space import Space, Value
from space.errors import StudyMismatchError, StudyNotFoundError
from space.study.terms import WarmStart
from space.words import count
from storage import Store
from storage.connect.engine import translated
from storage.summaries.best import best_first, objectives
from storage.tables.attributes import WARM_START

__all__ = ["EarlierTrial", "best_of", "earlier_trials", "enqueue_earlier"]


@dataclass(frozen=True, kw_only=True)
class EarlierTrial:
    """A trial of an earlier study.

    Attributes:
        study: The study's name.
        number: The trial's number in it.
        params: Parameter -> value, as the new study spells it, the active ones alone.
    """

    study: str
    number: int
    params: dict[str, Value]


def earlier_trials(store: Store | None, space: Space) -> list[EarlierTrial]:
    """The trials that a study's warm start is to queue.

    Args:
        store: The store; None where there is none yet.
        space: The search space.

    Returns:
        As `best_of`. None where there is no warm start, or a launch of the study has begun with
        this one: it was queued then, whatever has become of the earlier study since.

    Raises:
        UserError: As `best_of` does, or if there is no store yet.
    """
    start = space.warm_start
    if start is None:
        return []
    if store is None:
        raise StudyNotFoundError(
            f"warm_start: there is no store yet, and so no study '{start.study}'; name the store "
            "that holds it with --storage, or leave warm_start out."
        )
    return [] if _was_queued(store, space) else best_of(store, space, start)


def best_of(store: Store, space: Space, start: WarmStart) -> list[EarlierTrial]:
    """The best trials of an earlier study.

    Args:
        store: The store that holds it.
        space: The search space of the new study.
        start: The earlier study, and how many.

    Returns:
        Its best complete trials of distinct points that the space allows, best first.

    Raises:
        StudyNotFoundError: If the store does not hold the earlier study.
        StudyMismatchError: If that has other parameters, conditions or another objective, or no
            complete trial that the space allows.
        StorageError: If the store cannot be read.
    """
    try:
        study_id = store.study_id(start.study)
    except StudyNotFoundError as error:
        raise StudyNotFoundError(f"warm_start: {error}") from error
    record = store.study_records().get(study_id)
    if record is None:
        raise StudyMismatchError(
            f"warm_start: study '{start.study}' was not begun by search.launch; name another."
        )
    _check(start.study, _terms(record.identity), _terms(space.identity()))
    with translated(store.url):
        trials = store.optuna_storage.get_all_trials(
            study_id, deepcopy=False, states=(TrialState.COMPLETE,)
        )
    found: dict[str, EarlierTrial] = {}
    for trial in best_first(trials, objectives(store, study_id)[0]):
        params = _allowed(trial.params, space)
        if params is not None:
            found.setdefault(
                repr(params),
                EarlierTrial(study=start.study, number=trial.number, params=params),
            )
    if not found:
        raise StudyMismatchError(
            f"warm_start: none of the {count(len(trials), 'complete trial')} of study "
            f"'{start.study}' keeps the parameters' ranges, choices and constraints; widen them, "
            "or name another study."
        )
    return list(found.values())[: start.top]


def enqueue_earlier(study: optuna.Study, space: Space, earlier: Iterable[EarlierTrial]) -> None:
    """Queue trials of an earlier study, as far as the budget has room and no trial has their point.

    Args:
        study: The study, which no other launch changes meanwhile.
        space: The search space.
        earlier: From `earlier_trials`.
    """
    tried = Tried(space)
    for each in earlier:
        tried.look(study._storage, study._study_id)
        n_trials = study._storage.get_n_trials(study._study_id)
        has_room = space.max_trials is None or n_trials < space.max_trials
        if has_room and not tried.holds(each.params):
            source = {"study": each.study, "trial": each.number}
            study.enqueue_trial(each.params, user_attrs={WARM_START: source})


def _was_queued(store: Store, space: Space) -> bool:
    """Whether a launch of the study has begun with this warm start: a launch begins after it."""
    try:
        launches = store.launches(store.study_id(space.study))
    except StudyNotFoundError:
        return False
    now = space.model_dump(mode="json", include={"warm_start"})
    return any(launch.config.get("warm_start") == now["warm_start"] for launch in launches)


def _terms(identity: Mapping[str, Any]) -> dict[str, Any]:
    """What two studies must have in common: objectives, the parameters' names and conditions."""
    return {
        **{key: value for key, value in identity.items() if key.startswith("objective.")},
        **{
            key.removesuffix(".type"): "searched"
            for key in identity
            if key.startswith("parameters.") and key.endswith(".type")
        },
        **{
            key: value
            for key, value in identity.items()
            if key.startswith("parameters.") and key.endswith(".when")
        },
    }


def _check(study: str, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    differences = [
        f"{key}: {there.get(key, 'none')} there, {here.get(key, 'none')} here"
        for key in dict.fromkeys([*here, *there])
        if there.get(key) != here.get(key)
    ]
    if differences:
        raise StudyMismatchError(
            f"warm_start: study '{study}' does not go with this one ({'; '.join(differences)}); "
            "name another."
        )


def _allowed(params: Mapping[str, Any], space: Space) -> dict[str, Value] | None:
    """A trial's active parameters as the space spells them; None where it does not allow one."""
    point = space.point(params)
    active = space.active(point)
    if any(
        name not in point or not space.parameters[name].contains(point[name]) for name in active
    ):
        return None
    found = {name: point[name] for name in active}
    return None if breaks(space, found) else found
