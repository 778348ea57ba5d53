"""Warm start: which trials of an earlier study are tried first, once, and what is refused."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from dashboards.numbers.rows.trials import trial_rows
from dashboards.numbers.study.view import read_study
from dashboards.pages.trained.trial import trial_document
from dashboards.tables.checklist import study_checklist
from dashboards.tables.study import terms_sheet
from search.export.write import export_study
from search.launch.__main__ import main as launch
from search.launch.plan import Plan
from search.simulate.__main__ import main as simulate
from space import parse_space
from space.errors import SpaceError, StudyMismatchError, StudyNotFoundError, UsageError
from storage import Store
from storage.tables.attributes import BASELINE, WARM_START
from tests.search.conftest import SPACE, best_first, open_study, search

from ..conftest import Recorder, new_ledger, work
from ..here import Here
from ..made_curves import closed_form_curves

MakePlan = Callable[..., Plan]
RATE = {"type": "float", "low": 1e-4, "high": 1e-1, "log": True}
DECAY = {"type": "float", "low": 1e-6, "high": 1e-1, "log": True}


@pytest.fixture
def earlier(plan_for: MakePlan, store: Store) -> optuna.Study:
    """A study of 12 trials of random search."""
    return search(plan_for(study="earlier"), store)


@pytest.fixture
def warm(plan_for: MakePlan) -> Callable[..., Plan]:
    """Makes a plan that is warm-started from it."""

    def make(top: int = 3, **changes: Any) -> Plan:
        given = {"study": "warm", "warm_start": {"study": "earlier", "top": top}}
        return plan_for(**{**given, **changes})

    return make


def sources(study: optuna.Study) -> list[dict[str, Any]]:
    """Which trials of an earlier study the first ones come from, in their order."""
    found = [trial.user_attrs.get(WARM_START) for trial in study.get_trials(deepcopy=False)]
    return [each for each in found if each is not None]


def from_earlier(*numbers: int) -> list[dict[str, Any]]:
    return [{"study": "earlier", "trial": number} for number in numbers]


def test_the_best_are_tried_first_after_the_baselines(
    earlier: optuna.Study, warm: MakePlan, store: Store
) -> None:
    baseline = {"learning_rate": 0.05, "weight_decay": 0.05}
    study = search(warm(baselines=[baseline], sampler={"name": "random", "seed": 5}), store)
    best = best_first(earlier)[:3]
    trials = study.trials
    assert BASELINE in trials[0].user_attrs
    assert [trial.params for trial in trials[1:4]] == [earlier.trials[n].params for n in best]
    assert sources(study) == from_earlier(*best)
    assert [WARM_START in trial.user_attrs for trial in trials] == [False] + [True] * 3 + [
        False
    ] * 8
    # They were trained here: their values are the study's own.
    assert all(trial.state == TrialState.COMPLETE and trial.intermediate_values for trial in trials)


def test_a_study_that_goes_on_queues_only_what_is_new(
    earlier: optuna.Study, warm: MakePlan, store: Store
) -> None:
    best = best_first(earlier)
    ledger, study = new_ledger(warm(), store, Recorder())
    work(ledger, warm(), n_steps=2)
    ledger.interrupt("the test ends")
    open_study(warm(), store)
    assert sources(study) == from_earlier(*best[:3])
    open_study(warm(top=5), store)
    assert sources(study) == from_earlier(*best[:5])
    # What became of the earlier study is no matter to a launch that has nothing to queue.
    optuna.delete_study(study_name="earlier", storage=store.optuna_storage)
    search(warm(), store)
    assert sources(study) == from_earlier(*best[:5])
    assert len(study.get_trials()) == 12


def test_a_launch_that_died_before_it_began_has_queued_nothing_twice(
    earlier: optuna.Study, warm: MakePlan, store: Store
) -> None:
    for _ in range(2):
        study = open_study(warm(), store)
    assert sources(study) == from_earlier(*best_first(earlier)[:3])


def test_no_more_are_queued_than_the_budget_has_room_for(
    earlier: optuna.Study, warm: MakePlan, store: Store
) -> None:
    study = search(warm(top=9, budget={"trials": 2}), store)
    assert sources(study) == from_earlier(*best_first(earlier)[:2])
    assert len(study.trials) == 2


def test_only_points_within_the_new_ranges_count_and_each_once(
    earlier: optuna.Study, warm: MakePlan, store: Store, plan_for: MakePlan
) -> None:
    rates = sorted(trial.params["learning_rate"] for trial in earlier.trials)
    narrow = {**RATE, "high": rates[5]}
    parameters = {"learning_rate": narrow, "weight_decay": DECAY}
    inside = [
        n for n in best_first(earlier) if earlier.trials[n].params["learning_rate"] <= rates[5]
    ]
    twice = earlier.trials[inside[0]].params
    search(plan_for(study="earlier", baselines=[twice], budget={"trials": 13}), store)
    study = open_study(warm(top=12, parameters=parameters), store)
    assert [each["trial"] for each in sources(study)] == inside
    limit = [f"learning_rate < {rates[3]}"]
    kept = open_study(warm(study="kept", top=12, constraints=limit), store)
    assert [each["trial"] for each in sources(kept)] == [
        n for n in best_first(earlier) if earlier.trials[n].params["learning_rate"] < rates[3]
    ]
    narrow["low"], narrow["high"] = 1e-7, 1e-6
    with pytest.raises(StudyMismatchError, match="none of the 13 complete trials of study 'earl"):
        open_study(warm(study="none", parameters=parameters), store)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"parameters": {"learning_rate": RATE}}, "parameters.weight_decay: searched there, none"),
        (
            {"objective": {"metric": "val_loss"}},
            "objective.0: minimize val_error there, minimize val_loss here",
        ),
        (
            {
                "parameters": {
                    "learning_rate": RATE,
                    "weight_decay": {
                        **DECAY,
                        "when": {"parameter": "learning_rate", "above": 0.01},
                    },
                }
            },
            "parameters.weight_decay.when: none there, ",
        ),
    ],
)
def test_a_study_of_other_terms_is_refused_and_nothing_made(
    earlier: optuna.Study, warm: MakePlan, store: Store, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(StudyMismatchError, match="study 'earlier' does not go with") as caught:
        open_study(warm(**changes), store)
    assert said in str(caught.value)
    assert optuna.get_all_study_names(store.optuna_storage) == ["earlier"]


def test_a_study_that_is_not_there_or_anothers_is_refused(warm: MakePlan, store: Store) -> None:
    with pytest.raises(StudyNotFoundError, match=r"warm_start: .*'earlier'"):
        open_study(warm(), store)
    optuna.create_study(study_name="earlier", storage=store.optuna_storage)
    with pytest.raises(StudyMismatchError, match=r"not begun by search\.launch"):
        open_study(warm(), store)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"warm_start": {"study": "closed"}}, "warm_start.study: found 'closed', the study itself"),
        (
            {
                "sampler": {"name": "grid", "cells": {"learning_rate": 2, "weight_decay": 2}},
            },
            "warm_start: a grid tries every point",
        ),
        (
            {"objective": [{"metric": "val_error"}, {"metric": "val_loss"}]},
            "warm_start: the best of an earlier study are those of one objective",
        ),
        ({"warm_start": {"study": "a", "top": 0}}, "warm_start.top"),
        ({"warm_start": {"study": "a b"}}, "warm_start.study: found 'a b'"),
    ],
)
def test_what_cannot_be_warm_started(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(SpaceError) as caught:
        parse_space({**SPACE, "warm_start": {"study": "earlier"}, **changes}, "space")
    assert said in str(caught.value)


def test_where_it_came_from_is_shown(earlier: optuna.Study, warm: MakePlan, store: Store) -> None:
    study = search(warm(top=1), store)
    (source,) = sources(study)
    words = f"trial {source['trial']} of study 'earlier'"
    rows = trial_rows(store, study._study_id).rows
    assert [row.values.get("warm_start") for row in rows[:2]] == [words, None]
    view = read_study(store, "warm")
    spent = str(study_checklist(view).rows)
    assert "warm start: 1 trial," in spent
    assert "proposals of the sampler: 11 trials," in spent
    assert view.space is not None
    assert ("warm start", "the best 1 of 'earlier'") in terms_sheet(view.space).rows
    page = trial_document(store, study._study_id, "warm", 0)
    assert f"warm start from {words}" in html.unescape(page.summary)
    file = export_study(store, "warm", number=0, rerun="again")
    assert file.configs[0].provenance["warm_start"] == source
    assert (
        "warm_start" not in export_study(store, "warm", number=1, rerun="a").configs[0].provenance
    )


def test_the_command_takes_a_name_and_says_what_a_trial_comes_from(
    earlier: optuna.Study, store: Store, here: Here, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    best = best_first(earlier)[0]
    (tmp_path / "new.yaml").write_text(json.dumps({**SPACE, "study": "new"}))
    url = str(store.url.database)
    given = ["--space", str(tmp_path / "new.yaml"), "--storage", url, "--trials", "2"]
    assert launch([*given, "--warm-start", "earlier", "--format", "json"]) == 0
    said = capsys.readouterr()
    words = f"trial {best} of study 'earlier'"
    assert f"trial 0 (warm start from {words}) starts" in said.err
    assert words in said.out
    changed = [launch.config["warm_start"] for launch in store.launches()[-1:]]
    assert changed == [{"study": "earlier", "top": 5}]


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_a_name_that_is_wrong_makes_no_study(
    earlier: optuna.Study, store: Store, tmp_path: Path, more: list[str]
) -> None:
    (tmp_path / "new.yaml").write_text(json.dumps({**SPACE, "study": "new"}))
    url = str(store.url.database)
    given = ["--space", str(tmp_path / "new.yaml"), "--warm-start", "earlyer"]
    with pytest.raises(StudyNotFoundError, match=r"warm_start: .*did you mean 'earlier'"):
        launch([*given, "--storage", url, *more])
    with pytest.raises(StudyNotFoundError, match="there is no store yet"):
        launch([*given, "--storage", str(tmp_path / "none.db"), *more])
    assert not (tmp_path / "none.db").exists()
    assert optuna.get_all_study_names(store.optuna_storage) == ["earlier"]


def test_a_simulated_search_is_made_cold_and_warm(
    earlier: optuna.Study, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    curves = closed_form_curves(parse_space(SPACE, "space"))
    (tmp_path / "curves.json").write_text(curves.to_text())
    given = ["--curves", str(tmp_path / "curves.json"), "--storage", str(store.url.database)]
    options = ["--sampler", "random", "--pruner", "none", "--seeds", "4", "--format", "json"]
    assert simulate([*given, *options, "--warm-start", "earlier", "--top", "2"]) == 0
    found = json.loads(capsys.readouterr().out)
    rows = found["table"]["rows"]
    assert [row["sampler"] for row in rows] == [
        "every point",
        "random",
        "random, warm start of 2",
    ]
    assert rows[1]["epochs_by_seed"] != rows[2]["epochs_by_seed"]
    assert any("what the earlier study cost is not counted" in note for note in found["notes"])
    with pytest.raises(UsageError, match="--warm-start closed: the curves are of this study"):
        simulate([*given, *options, "--warm-start", "closed"])
    with pytest.raises(UsageError, match="--top 2: of no study"):
        simulate([*given, *options, "--top", "2"])
