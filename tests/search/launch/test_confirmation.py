"""What the confirmation in a store says: of the search's own best, of the winner, of failures."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from dashboards.numbers.study.confirmation import Confirmation, read_confirmation
from search.launch.confirm import candidates
from search.launch.confirmation import confirmation_as_json, print_confirmation
from search.launch.plan import Plan
from storage import Store
from storage.summaries.confirmed import confirmed_trials
from storage.summaries.overview import describe_study
from tests.search.conftest import opened

from ..conftest import best_first, confirm, search

MakePlan = Callable[..., Plan]
METRIC = "val_error"


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Callable[[Confirmation], str]:
    """Prints a confirmation and gives the words, wherever the lines end."""

    def said(found: Confirmation) -> str:
        print_confirmation(found)
        return " ".join(capsys.readouterr().out.split())

    return said


def test_optimism_is_that_of_the_searchs_best_trial_not_of_the_winner(
    plan_for: MakePlan, store: Store, printed: Callable[[Confirmation], str]
) -> None:
    plan = plan_for(confirm={"top": 3, "seeds": 3})
    study = search(plan, store)
    lucky, second, third = best_first(study)[:3]
    confirm(plan, store, study, lucky, [0.2, 0.3, 0.4])
    confirm(plan, store, study, second, [0.0, 0.0, 0.0])
    confirm(plan, store, study, third, [0.3, 0.3, 0.3])
    found = read_confirmation(store, study._study_id, [])
    assert found is not None
    assert found.winner.trial_number == second
    assert found.search_best is not None
    assert found.search_best.trial_number == lucky == study.best_trial.number
    assert found.optimism is not None
    assert found.optimism.worse_by == pytest.approx(0.3 - study.best_value)
    text = printed(found)
    assert f"Of its own best, trial {lucky}, the search had said" in text
    assert "; 3 fresh seeds say 30.00 ± 10.00 %, which is " in text
    assert f"which is {30 - 100 * study.best_value:.2f} percentage points worse." in text
    assert "chosen among 3 trials by these very seeds" in text
    tree = json.loads(json.dumps(confirmation_as_json(found)))
    assert (tree["winner"], tree["search_best"]) == (second, lucky)
    assert tree["optimism"]["search_value"] == study.best_value


@pytest.mark.parametrize(
    ("shift", "verdict"), [(-0.1, "better"), (0.001, "undecided with 7 seeds")]
)
def test_it_ends_with_the_verdict_beside_the_baseline(
    plan_for: MakePlan,
    store: Store,
    printed: Callable[[Confirmation], str],
    shift: float,
    verdict: str,
) -> None:
    plan = plan_for(
        baselines=[{"learning_rate": 1e-4, "weight_decay": 0.1}], confirm={"top": 1, "seeds": 7}
    )
    study = search(plan, store)
    best = best_first(study)[0]
    confirm(plan, store, study, 0, [0.2] * 7)
    # The larger shift has one sign on all seeds, the smaller one is lost among them.
    signs = [1] * 7 if verdict == "better" else [1, -1, 1, -1, 1, -1, -2]
    confirm(plan, store, study, best, [0.2 + sign * shift for sign in signs])
    found = read_confirmation(store, study._study_id, [0])
    assert found is not None
    text = printed(found)
    assert f"On 7 fresh seeds trial {best} does best: its" in text
    assert f"of the baseline, trial 0, on the same seeds; the verdict: {verdict}." in text
    assert f"Of its own best, trial {best}, the search had said" in text


def test_the_optimism_of_a_search_that_maximizes_follows_its_direction(
    plan_for: MakePlan, store: Store, printed: Callable[[Confirmation], str]
) -> None:
    plan = plan_for(
        objective={"metric": METRIC, "direction": "maximize"}, confirm={"top": 2, "seeds": 2}
    )
    study = search(plan, store)
    lucky = study.best_trial.number
    confirm(plan, store, study, lucky, [0.0, 0.0])
    found = read_confirmation(store, study._study_id, [])
    assert found is not None
    assert found.search_best is not None
    assert found.search_best.trial_number == lucky
    assert f"which is {100 * study.best_value:.2f} percentage points worse." in printed(found)


def test_one_seed_has_no_spread(
    plan_for: MakePlan, store: Store, printed: Callable[[Confirmation], str]
) -> None:
    plan = plan_for(confirm={"top": 1, "seeds": 2})
    study = search(plan, store)
    confirm(plan, store, study, study.best_trial.number, [0.25, 0.35])
    found = read_confirmation(store, study._study_id, [])
    assert found is not None
    # As earlier releases allowed it.
    once = replace(found.winner, values=(0.25,))
    text = printed(replace(found, trials=(once,), search_best=once))
    assert " 25.00 - 1 " in text
    assert "±" not in text.replace("mean ± standard deviation", "")
    assert "; 1 fresh seed says 25.00 %, which is " in text


def test_the_searchs_best_trial_is_always_among_those_to_be_confirmed(
    plan_for: MakePlan, store: Store
) -> None:
    worst = {"learning_rate": 0.1, "weight_decay": 0.1}
    study = search(plan_for(baselines=[worst]), store)
    for top in (1, 2, 12):
        plan = plan_for(baselines=[worst], confirm={"top": top})
        numbers = [trial.number for trial in candidates(opened(plan, store)).trials]
        assert numbers[0] == study.best_trial.number
        assert 0 in numbers


def test_trials_are_ranked_and_paired_on_the_seeds_that_are_asked_for_last(
    plan_for: MakePlan, store: Store
) -> None:
    terms = {"baselines": [{"learning_rate": 1e-4, "weight_decay": 0.1}]}
    plan = plan_for(**terms, confirm={"top": 2, "seeds": 5})
    study = search(plan, store)
    better, steady, other = [number for number in best_first(study) if number][:3]
    confirm(plan, store, study, 0, [0.1, 0.2, 0.3, 0.4, 0.5])
    confirm(plan, store, study, better, [0.09, 0.19, None, 0.39, 0.49])
    before = read_confirmation(store, study._study_id, [0])
    assert before is not None
    assert before.failed == {better: 1}
    fewer = plan_for(**terms, confirm={"top": 3, "seeds": 2})
    confirm(fewer, store, study, steady, [0.2, 0.2])
    confirm(fewer, store, study, other, [0.3])
    found = read_confirmation(store, study._study_id, [0])
    assert found is not None
    assert [each.trial_number for each in found.trials] == [better, 0, steady]
    assert {each.replicates for each in found.trials} == {(0, 1)}
    assert found.trials[0].values == (0.09, 0.19)
    assert found.failed == {}
    assert found.comparisons[better].seeds == (0, 1)
    assert found.comparisons[better].paired.mean_difference == pytest.approx(-0.01)
    tree = json.loads(json.dumps(confirmation_as_json(found)))
    assert tree["winner"] == better
    assert tree["trials"][1]["values"] == [0.1, 0.2]
    shown = describe_study(store, "closed")["confirmation"]
    assert [(each["trial"], each["replicates"], each["finished"]) for each in shown] == [
        (better, [0, 1], True),
        (0, [0, 1], True),
        (steady, [0, 1], True),
        (other, [0], False),
    ]


def test_a_trial_without_a_seed_that_others_have_is_not_ranked_however_many_it_has(
    plan_for: MakePlan, store: Store
) -> None:
    plan = plan_for(confirm={"top": 2, "seeds": 3})
    study = search(plan, store)
    first, second = best_first(study)[:2]
    confirm(plan, store, study, first, [0.1, None, 0.3, 0.4])
    confirm(plan, store, study, second, [0.3, 0.3, 0.3])
    found = confirmed_trials(store, study._study_id)
    assert [(each.trial_number, each.replicates, each.is_finished) for each in found] == [
        (second, (0, 1, 2), True),
        (first, (0, 2), False),
    ]


def test_a_trial_that_fails_on_a_fresh_seed_does_not_win_on_the_others(
    plan_for: MakePlan, store: Store, printed: Callable[[Confirmation], str]
) -> None:
    plan = plan_for(confirm={"top": 3, "seeds": 3})
    study = search(plan, store)
    lucky, steady, hopeless = best_first(study)[:3]
    confirm(plan, store, study, lucky, [0.0, None, 0.0])
    confirm(plan, store, study, steady, [0.3, 0.3, 0.3])
    confirm(plan, store, study, hopeless, [None, None, None])
    found = read_confirmation(store, study._study_id, [])
    assert found is not None
    assert [each.trial_number for each in found.trials] == [steady]
    assert found.failed == {lucky: 1, hopeless: 3}
    assert found.optimism is None
    text = printed(found)
    assert f"Trial {lucky} failed on 1 fresh seed and is not ranked." in text
    assert f"Trial {hopeless} failed on 3 fresh seeds and is not ranked." in text
    assert "how optimistic the search was is not known" in text
    assert confirmation_as_json(found)["optimism"] is None
    # What is trained again and succeeds is no failure any more.
    confirm(plan, store, study, lucky, [0.0, 0.1, 0.0])
    again = read_confirmation(store, study._study_id, [])
    assert again is not None
    assert again.failed == {hopeless: 3}
    assert again.winner.trial_number == lucky
