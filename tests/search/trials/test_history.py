"""What samplers and pruners see of a study with many trials."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from search.launch.plan import Plan
from search.trials.history import N_BEST, for_pruner, for_sampler, trials_from
from search.trials.sampling import history_of, make_sampler, propose
from storage import Store
from storage.optuna_rows.trial_cache import TrialCache

from ..conftest import Recorder, new_ledger
from .test_growth import reports_of

N_SEEN = 100
_ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


def a_study(n_trials: int, *, maximize: tuple[bool, ...] = (False,), seed: int = 0) -> optuna.Study:
    """A study in memory with trials in all states, the values of the complete ones at random."""
    rng = np.random.default_rng(seed)
    study = optuna.create_study(
        directions=["maximize" if each else "minimize" for each in maximize]
    )
    for number in range(n_trials):
        state = TrialState(rng.choice([1, 1, 1, 2, 3] if number != 7 else [4]))
        study.add_trial(
            optuna.trial.create_trial(
                state=state,
                values=list(rng.integers(0, 40, len(maximize)) / 4.0)
                if state == TrialState.COMPLETE
                else None,
            )
        )
    return study


def numbers(trials: list[FrozenTrial]) -> list[int]:
    return [trial.number for trial in trials]


def seen(study: optuna.Study, maximize: tuple[bool, ...]) -> list[FrozenTrial]:
    storage = for_sampler(study._storage, N_SEEN, maximize)
    return storage.get_all_trials(study._study_id, deepcopy=False)


def sample(study: optuna.Study, *states: TrialState) -> list[FrozenTrial]:
    storage = for_pruner(study._storage, N_SEEN)
    return storage.get_all_trials(study._study_id, deepcopy=False, states=states or None)


@pytest.mark.parametrize("maximize", [False, True])
def test_of_many_trials_the_newest_the_best_and_the_open_ones_are_seen(maximize: bool) -> None:
    study = a_study(400, maximize=(maximize,))
    older = study.get_trials()[:-N_SEEN]
    complete = [trial for trial in older if trial.state == TrialState.COMPLETE]
    sign = -1 if maximize else 1
    best = sorted(complete, key=lambda trial: (sign * trial.values[0], trial.number))[:N_BEST]
    expected = sorted({7, *numbers(best), *range(400 - N_SEEN, 400)})
    assert numbers(seen(study, (maximize,))) == expected


def test_a_pruner_sees_an_even_sample_of_what_it_asks_for() -> None:
    study = a_study(400)
    assert numbers(sample(study)) == [*range(0, 400, 4)]
    complete = numbers(study.get_trials(states=[TrialState.COMPLETE]))
    strides = [[number for number in complete if number % 2**k == 0] for k in range(5)]
    assert numbers(sample(study, TrialState.COMPLETE)) == next(
        found for found in strides if len(found) <= N_SEEN
    )


@pytest.mark.parametrize("states", [(), (TrialState.COMPLETE,)])
def test_a_pruner_that_has_watched_a_study_sees_what_one_that_comes_now_does(
    states: tuple[TrialState, ...],
) -> None:
    study = a_study(90, seed=1)
    watched = for_pruner(study._storage, N_SEEN)
    for trial in a_study(300, seed=2).get_trials():
        study.add_trial(trial)  # Number 97 waits from now on, as number 7 does.
        found = watched.get_all_trials(study._study_id, deepcopy=False, states=states or None)
        assert found == sample(study, *states)
    for waiting in study.get_trials(states=[TrialState.WAITING]):
        study._storage.set_trial_state_values(waiting._trial_id, TrialState.RUNNING)
        study._storage.set_trial_state_values(waiting._trial_id, TrialState.COMPLETE, [0.0])
        found = watched.get_all_trials(study._study_id, deepcopy=False, states=states or None)
        assert found == sample(study, *states)


def test_of_several_objectives_those_that_none_dominates_are_seen() -> None:
    study = a_study(400, maximize=(False, True))
    older = study.get_trials()[:-N_SEEN]
    of_older = optuna.create_study(directions=study.directions)
    of_older.add_trials(older)
    expected = sorted({7, *numbers(of_older.best_trials), *range(400 - N_SEEN, 400)})
    assert numbers(seen(study, (False, True))) == expected


def test_what_is_seen_follows_from_the_trials_alone() -> None:
    study = a_study(120, seed=1)
    watched = for_sampler(study._storage, N_SEEN, (False,))
    for trial in a_study(300, seed=2).get_trials():
        if trial.state.is_finished():
            study.add_trial(trial)
        found = watched.get_all_trials(study._study_id, deepcopy=False)
    study._storage.set_trial_state_values(study.get_trials()[7]._trial_id, TrialState.RUNNING)
    study._storage.set_trial_state_values(
        study.get_trials()[7]._trial_id, TrialState.COMPLETE, [-1.0]
    )
    found = watched.get_all_trials(study._study_id, deepcopy=False)
    assert numbers(found)[0] == 7
    assert found == seen(study, (False,))  # As a launch that begins now sees it.


def test_a_study_of_no_more_trials_is_seen_whole() -> None:
    study = a_study(N_SEEN)
    assert seen(study, (False,)) == study.get_trials()
    for states in [(TrialState.WAITING,), (TrialState.COMPLETE,), _ENDED]:
        for storage in [
            for_sampler(study._storage, N_SEEN, (False,)),
            for_pruner(study._storage, N_SEEN),
        ]:
            found = storage.get_all_trials(study._study_id, deepcopy=True, states=states)
            assert found == study.get_trials(states=states)


def test_how_much_is_seen_is_said_in_the_space_file(plan_for: Callable[..., Plan]) -> None:
    def of(**changes: Any) -> tuple[int | None, int | None]:
        space = plan_for(**changes).space
        return history_of(space.sampler), history_of(space.pruner)

    asha = {"name": "asha", "min_resource": 1}
    assert of(sampler={"name": "tpe"}, pruner=asha) == (1_000, 1_000)
    assert of(sampler={"name": "nsga2"}, pruner={"name": "none"}) == (None, None)
    some = {"history": 150, "n_startup_trials": 20}
    assert of(sampler={"name": "tpe", **some}, pruner={"name": "median", **some}) == (200, 200)
    of_patient = {"name": "patient", "patience": 1, "pruner": {**asha, "history": 150}}
    assert of(pruner=of_patient)[1] == 150
    # A rung that must hold trials before one may pass it must be able to.
    assert of(pruner={**asha, "bootstrap_count": 5})[1] is None


def test_a_launch_sees_a_part_and_repeats_no_point_of_the_whole(
    plan_for: Callable[..., Plan],
    store: Store,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = plan_for(
        training={"epochs": 2},
        parameters={"learning_rate": {"type": "int", "low": 1, "high": 160}},
        sampler={"name": "tpe", "history": 100, "seed": 0},
        pruner={"name": "asha", "history": 100},
        budget={"trials": 150},
    )
    ledger, study = new_ledger(plan, store, recorder)
    handed_out: list[int] = []
    read = TrialCache.get_trials_from

    def counted(*args: Any) -> list[FrozenTrial]:
        found = read(*args)
        handed_out.append(len(found))
        return found

    monkeypatch.setattr(TrialCache, "get_trials_from", counted)
    while (assignment := ledger.next_assignment()) is not None:
        for epoch in (1, 2):
            if not ledger.report(reports_of(assignment, epoch)):
                break
    assert len({trial.params["learning_rate"] for trial in study.get_trials()}) < 150
    assert max(handed_out) <= 101  # However many there are.
    whole = trials_from(study._storage, study._study_id, 0)
    assert len({trial.params["learning_rate"] for trial in whole}) == 150


def test_a_bounded_sampler_proposes_what_one_that_sees_all_does_while_both_see_all(
    plan_for: Callable[..., Plan],
) -> None:
    space = plan_for(sampler={"name": "tpe", "seed": 0}).space

    def proposals(n_seen: int | None) -> list[dict[str, Any]]:
        storage = for_sampler(optuna.storages.InMemoryStorage(), n_seen, (False,))
        study = optuna.create_study(
            storage=storage, sampler=make_sampler(space, n_existing_trials=0)
        )
        found = []
        for _ in range(130):
            trial = study.ask()
            found.append(propose(trial, space))
            study.tell(trial, found[-1]["learning_rate"])
        return found

    whole, bounded_ = proposals(None), proposals(N_SEEN)
    assert bounded_[: N_SEEN + 1] == whole[: N_SEEN + 1]
    assert bounded_ != whole
