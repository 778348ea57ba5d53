"""Which of a study's trials stand for it: the confirmed before the merely lucky."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from space.errors import UsageError
from space.metrics import Metric
from space.words import count
from storage import Store
from storage.summaries.baselines import in_order
from storage.summaries.best import best_first, objectives, pareto_front
from storage.summaries.confirmed import ConfirmedTrial, confirmed_trials, failed_seeds
from storage.tables.attributes import BASELINE

__all__ = ["BASELINE_ALONE", "Choice", "after_baseline", "choose"]

logger = logging.getLogger(__name__)

BASELINE_ALONE = "baseline"
"""The selection of a baseline that no other rule chose."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A trial whose config is exported.

    Attributes:
        trial: The trial, complete.
        selection: The rule by which it was chosen.
        confirmed: Its values on fresh seeds, if all that were asked for are there.
    """

    trial: FrozenTrial
    selection: str
    confirmed: ConfirmedTrial | None


def choose(
    store: Store, study: optuna.Study, *, top: int | None = None, number: int | None = None
) -> list[Choice]:
    """The trials to export, best first.

    Args:
        store: The store.
        study: The study; of several objectives the Pareto front, in the first one's order.
        top: So many distinct configs; None: one, or the whole front.
        number: This trial alone, whatever others there are.

    Returns:
        At least one trial: those that were confirmed on every fresh seed, by their mean there, then
        the best complete ones, those that failed on a fresh seed last.

    Raises:
        UsageError: If there is no complete trial, or the one named is not.
    """
    trials = study.get_trials(deepcopy=False)
    found = confirmed_trials(store, study._study_id)
    if any(not each.is_finished for each in found):
        logger.warning("not every confirmation run is done; those of unfinished trials are unused")
    confirmed = _finished(found)
    if number is not None:
        trial = _named_trial(study.study_name, trials, number)
        return [
            Choice(
                trial=trial,
                selection="trial named on the command line",
                confirmed=confirmed.get(number),
            )
        ]
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if not complete:
        raise UsageError(
            f"--study {study.study_name}: no trial is complete ({_counts(trials)}); search on, or "
            "name another study."
        )
    n_tried = len({run.trial_id for run in store.runs(study._study_id, "confirm")})
    metrics = objectives(store, study._study_id)
    ranked = _ranked(store, study, metrics, complete, confirmed, n_tried)
    wanted = top or (1 if len(metrics) == 1 else len(ranked))
    distinct: dict[frozenset[tuple[str, Any]], Choice] = {}
    for choice in ranked:
        distinct.setdefault(frozenset(choice.trial.params.items()), choice)
    if top is not None and len(distinct) < top:
        logger.warning("--top %d: there are %d distinct configs", top, len(distinct))
    return list(distinct.values())[:wanted]


def after_baseline(store: Store, study: optuna.Study, choices: list[Choice]) -> list[Choice]:
    """The choices with the study's baseline before them, whether it was pruned or not.

    Args:
        store: The store.
        study: The study.
        choices: From `choose`; the baseline may be among them.

    Returns:
        The baseline, with its values on fresh seeds if all are there, and the other choices.

    Raises:
        UsageError: If no baseline was trained.
    """
    ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    baselines = {trial.number: trial for trial in ended if BASELINE in trial.user_attrs}
    numbers = in_order({number: trial.state.name for number, trial in baselines.items()})
    if not numbers:
        raise UsageError(
            f"--baseline: study '{study.study_name}' has no baseline that was trained; leave the "
            "option out, or give its space file baselines."
        )
    found = baselines[numbers[0]]
    others = [choice for choice in choices if choice.trial.number != found.number]
    own = [choice for choice in choices if choice.trial.number == found.number]
    first = (
        replace(own[0], selection=f"{BASELINE_ALONE}; {own[0].selection}")
        if own
        else Choice(
            trial=found,
            selection=BASELINE_ALONE,
            confirmed=_finished(confirmed_trials(store, study._study_id)).get(found.number),
        )
    )
    return [first, *others]


def _finished(tried: Sequence[ConfirmedTrial]) -> dict[int, ConfirmedTrial]:
    """Trial number -> the trial, of those that have every fresh seed that was asked for."""
    return {each.trial_number: each for each in tried if each.is_finished}


def _ranked(
    store: Store,
    study: optuna.Study,
    metrics: Sequence[Metric],
    complete: Sequence[FrozenTrial],
    confirmed: dict[int, ConfirmedTrial],
    n_tried: int,
) -> list[Choice]:
    """Every trial that may be exported, best first, with the rule that puts it there."""
    failed = failed_seeds(store, study._study_id)
    by_value = best_first(complete, metrics[0])
    pool = sorted(by_value, key=lambda trial: trial.number in failed)
    complete_trials = count(len(complete), "complete trial")
    if len(metrics) > 1:
        front = {trial.number for trial in pareto_front(complete, metrics)}
        return [
            Choice(
                trial=trial,
                selection=f"on the Pareto front of {complete_trials}",
                confirmed=confirmed.get(trial.number),
            )
            for trial in pool
            if trial.number in front
        ]
    runs = store.runs(study._study_id, "search")
    n_seeds = 1 + max((run.replicate for run in runs), default=0)
    seeds = "one seed each" if n_seeds == 1 else f"{count(n_seeds, 'seed')} each"
    # Among them may be a baseline that the search pruned.
    by_number = {trial.number: trial for trial in study.get_trials(deepcopy=False)}
    choices = [
        Choice(
            trial=by_number[number],
            selection=(
                f"confirmed: {_rank(place)} of {n_tried} on {count(len(each.values), 'fresh seed')}"
            ),
            confirmed=each,
        )
        for place, (number, each) in enumerate(confirmed.items())
    ]
    places = {trial.number: place for place, trial in enumerate(by_value)}
    for trial in pool:
        if trial.number not in confirmed:
            selection = f"{_rank(places[trial.number])} of {complete_trials} on {seeds}"
            if trial.number in failed:
                selection = f"last, as {failed[trial.number]} of its fresh seeds failed"
            choices.append(Choice(trial=trial, selection=selection, confirmed=None))
    return choices


def _rank(place: int) -> str:
    return "best" if place == 0 else f"number {place + 1}"


def _named_trial(study: str, trials: Sequence[FrozenTrial], number: int) -> FrozenTrial:
    trial = next((each for each in trials if each.number == number), None)
    if trial is None:
        held = "it has no trials"
        if trials:
            last = trials[-1].number
            held = "it was deleted" if number < last else f"its last one is trial {last}"
        raise UsageError(f"--trial {number}: study '{study}' has no such trial; {held}.")
    if trial.state != TrialState.COMPLETE:
        raise UsageError(
            f"--trial {number}: the trial is {trial.state.name}, and only a complete one stands "
            "for its config; name another, or leave the choice to the command."
        )
    return trial


def _counts(trials: Sequence[FrozenTrial]) -> str:
    states = [trial.state.name for trial in trials]
    return ", ".join(f"{states.count(each)} {each}" for each in dict.fromkeys(states)) or "none"
