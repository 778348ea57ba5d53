"""Population-based training: lineages that follow from the store alone, with their states."""

from __future__ import annotations

import math
import platform
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from dashboards.pages.trained.trial import trial_document
from search.api.asked import plan_of
from search.export.write import export_study
from search.launch.open_launch import OpenLaunch
from search.launch.plan import Plan
from search.launch.study import run_study
from search.runs.lineage import ancestors
from search.simulate.curves_of_study import study_curves
from search.trials.sampling import make_sampler, propose
from search.workers.hooks import LedgerSearcher
from search.workers.workers import Workers
from space import parse_space
from space.errors import SpaceError, UserError
from space.study.samplers import PBTSampler
from storage import Store
from storage.on_studies import QUEUE_TRIAL, queue_trial
from storage.tables.attributes import PARENT
from storage.tables.service import NewAction
from tests.search.conftest import PROVENANCE, SPACE, Recorder, new_ledger, opened
from tests.search.here import Here
from trainables.shipped.closed_form import ClosedForm, ClosedFormOptions

MakePlan = Callable[..., Plan]
P, K, ROUNDS = 4, 3, 3
PBT = {"name": "pbt", "population": P, "seed": 1}
FOUR: dict[str, Any] = {"training": {"epochs": K}, "sampler": PBT, "budget": {"trials": ROUNDS * P}}
TABLE: dict[str, Any] = {
    **FOUR,
    "trainable": "table-mlp",
    "options": {"width": 8},
    "parameters": {
        "learning_rate": SPACE["parameters"]["learning_rate"],
        "batch_size": {"type": "categorical", "choices": [32, 64]},
    },
    "objective": {"metric": "val_mae"},
}
NO_PROCESS = 2**22 + 1


class KilledError(BaseException):
    """Stands for a signal that no process survives."""


def launch(plan: Plan, store: Store) -> optuna.Study:
    run_study(plan, opened(plan, store), Recorder())
    return opened(plan, store).study


def parents(study: optuna.Study) -> list[int | None]:
    return [trial.user_attrs.get(PARENT) for trial in study.trials]


def lineages(study: optuna.Study) -> list[tuple[Any, ...]]:
    """Of every trial what a later launch must not change."""
    found = zip(study.trials, parents(study), strict=True)
    return [(t.number, t.state, of, t.params, t.intermediate_values) for t, of in found]


def kept(plan: Plan) -> set[str]:
    return {path.stem for path in Path(str(plan.place.checkpoints)).glob("*.pt")}


def killed_in_the_last_round(
    here: Here, plan: Plan, store: Store, monkeypatch: pytest.MonkeyPatch
) -> Plan:
    """Kill a launch so that nothing of it is put right; the plan of the next one."""

    def kill() -> None:
        raise KilledError

    here.at[here.n_epochs + 2 * P * K + K + 1] = kill
    with monkeypatch.context() as patch:
        patch.setattr(OpenLaunch, "__exit__", lambda *_: None)
        dead = replace(PROVENANCE, host=platform.node(), pid=NO_PROCESS)
        with pytest.raises(KilledError):
            launch(replace(plan, provenance=dead), store)
    assert TrialState.RUNNING in {trial.state for trial in opened(plan, store).study.trials}
    return plan


def test_worse_trials_give_their_places_to_better_ones(
    here: Here, plan_for: MakePlan, store: Store
) -> None:
    plan = plan_for(**FOUR)
    study = launch(plan, store)
    trials = study.trials
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    assert parents(study)[:P] == [None] * P
    for first in range(P, ROUNDS * P, P):
        before = sorted(trials[first - P : first], key=lambda trial: trial.values[0])
        for trial in trials[first : first + P]:
            parent = trials[trial.user_attrs[PARENT]]
            if trial.number - P == before[-1].number:
                assert parent is before[0]
                assert trial.params != parent.params
            else:
                assert parent.number == trial.number - P
                assert trial.params == parent.params
    # Only the states of the last round are left, for a study whose budget grows.
    uids = {run.uid for run in store.runs() if run.trial_id in {t._trial_id for t in trials[-P:]}}
    assert kept(plan) == uids


def test_a_trial_goes_on_from_its_parents_state_in_another_order(
    here: Here, plan_for: MakePlan, store: Store
) -> None:
    study = launch(plan_for(**FOUR), store)
    for run, trial in zip(store.runs(), study.trials, strict=True):
        n_before = len(ancestors(study.trials, trial.number))
        assert n_before == trial.number // P
        assert run.config["training"]["training_seed"] == 1_000 + n_before
        alone = ClosedForm(ClosedFormOptions(**trial.params))
        alone.run = alone.run_type(
            epochs=K, training_seed=1_000 + n_before, data_seed=1_000, device="cpu"
        )
        alone.epoch = n_before * K
        expected = [alone.train_epoch()["val_error"] for _ in range(K)]
        assert [each["val_error"] for each in store.epochs([run.run_id])[run.run_id]] == expected


@pytest.mark.parametrize("are_states_lost", [False, True])
@pytest.mark.parametrize("settings", [FOUR, TABLE], ids=["closed-form", "table-mlp"])
def test_a_killed_round_goes_on_from_sql_alone(
    here: Here,
    plan_for: MakePlan,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
    are_states_lost: bool,
) -> None:
    expected = lineages(launch(plan_for(**settings, study="whole"), store))
    plan = killed_in_the_last_round(here, plan_for(**settings), store, monkeypatch)
    if are_states_lost:
        shutil.rmtree(str(plan.place.checkpoints))
    study = launch(plan, store)
    assert lineages(study) == expected


def test_a_launch_beside_another_waits_for_its_round(
    here: Here, plan_for: MakePlan, store: Store
) -> None:
    plan = plan_for(**FOUR, concurrency=1)
    seen = []

    def look() -> None:
        beside, _ = new_ledger(plan, store, Recorder())
        seen.append((beside.next_assignment(), beside.awaits_others))

    here.at[P * K - 1] = look  # The round's last trial is under way.
    here.at[ROUNDS * P * K - 1] = look
    launch(plan, store)
    assert seen == [(None, True), (None, False)]


def test_a_searcher_that_waits_for_others_stops_when_it_must(
    here: Here, plan_for: MakePlan, store: Store
) -> None:
    plan, asked = plan_for(**FOUR, concurrency=1), list[str | None]()

    def look() -> None:
        ledger, _ = new_ledger(plan, store, Recorder())
        beside = Workers(ledger, n_workers=1, size=lambda _: 1, files=plan.place.files)
        for must_stop in (False, True):
            asked.append(LedgerSearcher(beside, partial(bool, must_stop)).suggest("0"))

    here.at[P * K - 1] = look
    launch(plan, store)
    assert asked == [None, LedgerSearcher.FINISHED]


def test_a_failed_trials_place_is_given_away(here: Here, plan_for: MakePlan, store: Store) -> None:
    fails = {"type": "categorical", "choices": [0, 1]}
    some = {**FOUR, "parameters": {**SPACE["parameters"], "fail_at": fails}}
    trials = launch(plan_for(**some), store).trials
    failed = [trial.number for trial in trials if trial.state == TrialState.FAIL]
    assert failed
    assert max(failed) < P  # What goes on has its first epoch behind it.
    assert len(failed) < P
    for number in failed:
        parent = trials[number + P].user_attrs[PARENT]
        assert trials[parent].values[0] == min(t.values[0] for t in trials[:P] if t.values)
    every = {**FOUR, "parameters": {**SPACE["parameters"], "fail_at": {**fails, "choices": [1]}}}
    study = launch(plan_for(**every, study="every"), store)
    assert {trial.state for trial in study.trials} == {TrialState.FAIL}
    assert parents(study) == [None] * ROUNDS * P


def test_batched_members_are_as_those_trained_alone(
    here: Here, plan_for: MakePlan, store: Store
) -> None:
    rate = {"learning_rate": TABLE["parameters"]["learning_rate"]}
    settings = {**TABLE, "parameters": rate, "budget": {"trials": 2 * P}}
    alone = {"gpus": 0, "runs_per_trainable": 1}
    together = {"gpus": 0, "runs_per_trainable": 2}
    one = launch(plan_for(**settings, study="one", resources=alone), store)
    other = launch(plan_for(**settings, study="other", resources=together), store)
    assert parents(one) == parents(other)
    assert [t.params for t in one.trials] == [t.params for t in other.trials]
    values = [trial.values[0] for trial in other.trials]
    assert values == pytest.approx([trial.values[0] for trial in one.trials], rel=1e-3)
    assert values != [trial.values[0] for trial in one.trials]


def test_replicates_go_on_each_from_its_own(here: Here, plan_for: MakePlan, store: Store) -> None:
    settings = {**FOUR, "budget": {"trials": 2 * P}, "replicates": 2}
    study = launch(plan_for(**settings), store)
    trials = {trial._trial_id: trial.number for trial in study.trials}
    seeds = {
        (trials[r.trial_id or 0] // P, r.replicate): r.config["training"] for r in store.runs()
    }
    found = {key: training["training_seed"] for key, training in seeds.items()}
    assert found == {(0, 0): 1_000, (0, 1): 1_001, (1, 0): 1_001, (1, 1): 1_002}


def test_a_function_goes_on_from_the_checkpoint_that_it_leaves(
    here: Here, plan_for: MakePlan, store: Store, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(
        "from trainables import Options\n\n"
        "class Own(Options):\n    rate: float = 0.5\n\n"
        "def leaves(options: Own, run):\n"
        "    total = run.checkpoint or 0.0\n"
        "    for epoch in range(run.epoch, run.epochs):\n"
        "        total += options.rate\n"
        "        run.checkpoint = total\n"
        "        yield {'val_error': 100 - total}\n\n"
        "def forgets(options: Own, run):\n"
        "    for epoch in range(run.epochs):\n"
        "        yield {'val_error': options.rate}\n"
    )
    rate = {"rate": {"type": "float", "low": 0.1, "high": 0.9}}
    own = {**FOUR, "parameters": rate}
    leaves = plan_for(**own, trainable=f"{tmp_path}/mine.py:leaves", study="leaves")
    study = launch(leaves, store)
    for trial in study.trials:
        lineage = [*ancestors(study.trials, trial.number), trial]
        total = sum(K * each.params["rate"] for each in lineage)
        assert trial.values[0] == pytest.approx(100 - total)
    study = launch(plan_for(**own, trainable=f"{tmp_path}/mine.py:forgets", study="forgets"), store)
    reasons = {trial.user_attrs.get("fail_reason") for trial in study.trials[P : 2 * P]}
    (reason,) = reasons
    assert "assign run.checkpoint before each yield" in reason


def test_what_is_queued_takes_a_place(here: Here, plan_for: MakePlan, store: Store) -> None:
    first = {"learning_rate": 2e-3, "weight_decay": 1e-3}
    plan = plan_for(**{**FOUR, "baselines": [first]})

    def queue() -> None:
        values = {"learning_rate": 5e-3}
        action = NewAction(
            verb=QUEUE_TRIAL, asked_by="me", study="closed", detail={"values": values}
        )
        queue_trial(store, action)

    here.at[P * K + 2] = queue
    study = launch(plan, store)
    assert study.trials[0].params == first
    queued = [t for t in study.trials[1:] if t.params["learning_rate"] == 5e-3]
    assert len(queued) >= 1
    assert queued[0].user_attrs[PARENT] in range(P)
    assert len(study.trials) == ROUNDS * P


def test_changed_parameters_stay_in_the_space() -> None:
    space = parse_space(
        {
            **SPACE,
            "sampler": {**PBT, "quantile": 0.5, "perturb": 3.0, "population": 10},
            "parameters": {
                **SPACE["parameters"],
                "batch_size": {"type": "int", "low": 10, "high": 90, "step": 20},
                "aux_weight": {"type": "float", "low": 0.0, "high": 0.9, "step": 0.3},
                "augment": {"type": "categorical", "choices": [False, True]},
                "learning_rate_decay": {
                    "type": "float",
                    "low": 0.5,
                    "high": 1.0,
                    "when": {"parameter": "augment", "in": [True]},
                },
            },
            "constraints": ["learning_rate < 0.05"],
        },
        "space",
    )
    study = optuna.create_study(sampler=make_sampler(space, n_existing_trials=0))
    for _ in range(60):
        trial = study.ask()
        params = propose(trial, space)
        assert list(params) == space.active(params)
        assert all(space.parameters[name].contains(value) for name, value in params.items())
        assert params["learning_rate"] < 0.05
        study.tell(trial, params["learning_rate"])
    changed = [
        t for t in study.trials if t.params != study.trials[t.user_attrs[PARENT] or 0].params
    ]
    assert len(changed) > 20


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"sampler": {**PBT, "population": 1}}, "sampler.population: found 1"),
    ({"sampler": {**PBT, "quantile": 0.6}}, "sampler.quantile: found 0.6"),
    ({"sampler": {**PBT, "quantile": 0.0}}, "sampler.quantile: found 0;"),
    ({"sampler": {**PBT, "perturb": 1.0}}, "sampler.perturb: found 1;"),
    ({"sampler": {**PBT, "resample": 2.0}}, "sampler.resample: found 2;"),
    ({"sampler": {**PBT, "epochs": 5}}, "sampler.epochs: unknown key"),
    ({"pruner": "asha"}, "pruner.name: found 'asha'; expected none, since pbt itself"),
    ({"confirm": {"top": 3}}, "confirm.top: found 3; expected 0, since under pbt"),
    (
        {"objective": [{"metric": "val_error"}, {"metric": "train_seconds"}]},
        "sampler.name: pbt takes one objective",
    ),
    (
        {"resources": {"gpus": 0, "cpus": 2, "strategy": "ddp", "processes": 2}},
        "resources.strategy: under pbt a run is trained by one process",
    ),
]


@pytest.mark.parametrize(("changes", "said"), WRONG, ids=[said for _, said in WRONG])
def test_what_does_not_go_with_a_population(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(SpaceError) as caught:
        parse_space({**SPACE, **FOUR, **changes}, "space")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_parameters_that_change_the_network_are_refused(plan_for: MakePlan) -> None:
    width = {"width": {"type": "int", "low": 8, "high": 16}}
    with pytest.raises(SpaceError, match="these parameters change them; search what leaves"):
        plan_for(**{**TABLE, "parameters": width, "options": {}})
    optimizer = {"optimizer": {"type": "categorical", "choices": ["adam", "sgd"]}}
    with pytest.raises(SpaceError, match="these parameters change them; search what leaves"):
        plan_for(**{**TABLE, "parameters": optimizer})


def test_no_single_config_stands_for_a_lineage(
    here: Here, plan_for: MakePlan, store: Store
) -> None:
    plan = plan_for(**FOUR)
    launch(plan, store)
    with pytest.raises(UserError, match=r"goes on from trial .* no single config stands for"):
        export_study(store, "closed", rerun="")
    assert export_study(store, "closed", number=0, rerun="").configs
    with pytest.raises(UserError, match="none has a curve of its own"):
        study_curves(store, "closed")
    with pytest.raises(UserError, match="not with those trained elsewhere"):
        plan_of(store, "closed", None, command="c", provenance=PROVENANCE)


def test_a_trials_page_leads_to_the_one_it_goes_on_from(
    here: Here, plan_for: MakePlan, store: Store
) -> None:
    study = launch(plan_for(**{**FOUR, "budget": {"trials": 2 * P}}), store)
    page = f"/study/{study._study_id}/trial"
    parent = study.trials[P].user_attrs[PARENT]
    shown, of_parent = (
        f"{document.summary} {document.details}"
        for number in (P, parent)
        for document in [trial_document(store, study._study_id, "closed", number)]
    )
    assert f'<a href="{page}/{parent}">trial {parent}, where it goes on</a>' in shown
    assert "search.export" not in shown
    assert "search.export" in of_parent
    assert "where it goes on" not in of_parent


def test_defaults_are_spelled_out() -> None:
    space = parse_space({**SPACE, "sampler": "pbt"}, "space")
    assert space.sampler == PBTSampler(
        name="pbt", seed=0, population=8, quantile=0.25, perturb=1.2, resample=0.25
    )
    assert math.prod((space.sampler.population, space.sampler.quantile)) == 2
