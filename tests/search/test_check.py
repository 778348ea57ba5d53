"""The store's check is silent on what searches write, at every moment, and hears what is wrong."""

from __future__ import annotations

import datetime
import json
import threading
from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.storages._rdb import models
from optuna.trial import TrialState

from search.launch.plan import Plan
from search.runs.lease import reclaim_stale
from storage import Store, open_store
from storage.__main__ import main
from storage.admin.check import check_store
from storage.tables import schema
from tests.dashboards.made.bulk_benchmark import add_benchmark
from tests.dashboards.made.bulk_study import add_study

from ..conftest import BACKENDS
from .conftest import ASHA, Recorder, new_ledger, work

MakePlan = Callable[..., Plan]


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def found(store: Store) -> list[str]:
    return [f"{each.table} {each.key}: {each.what}" for each in check_store(store).findings]


KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "pruned": {"pruner": ASHA, "budget": {"trials": 20}},
    "failing": {"parameters": {"nan_at": {"type": "categorical", "choices": [0, 3]}}},
    "replicates": {"replicates": 3, "budget": {"trials": 5}, "pruner": ASHA},
    "wilcoxon": {
        "replicates": 4,
        "budget": {"trials": 5},
        "pruner": {"name": "wilcoxon", "p_threshold": 0.1},
    },
    "objectives": {
        "objective": [{"metric": "val_error"}, {"metric": "train_seconds"}],
        "sampler": {"name": "nsga2"},
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_search_leaves_nothing_to_find_stopped_or_done(
    plan_for: MakePlan, store: Store, recorder: Recorder, kind: str
) -> None:
    plan = plan_for(**KINDS[kind])
    for n_steps in (3, None):
        ledger, _ = new_ledger(plan, store, recorder)
        work(ledger, plan, n_steps=n_steps)
        assert found(store) == []
        ledger.interrupt("test")
        assert found(store) == []
        store.end_launch(len(store.launches()), "done")
        assert found(store) == []
    checked = check_store(store)
    assert checked.n_studies == 1
    assert checked.n_trials == len(store.optuna_storage.get_all_trials(1)) > 0
    assert checked.n_runs == len(store.runs())


def test_a_live_search_gives_no_false_findings(
    plan_for: MakePlan, store: Store, recorder: Recorder
) -> None:
    plan = plan_for(budget={"trials": 40}, pruner=ASHA, replicates=2)
    done = threading.Event()
    failures: list[BaseException] = []

    def search() -> None:
        own = open_store(store.url.render_as_string(hide_password=False))
        try:
            for n_steps in (10, 20, None):
                ledger, study = new_ledger(plan, own, recorder)
                work(ledger, plan, n_workers=3, n_steps=n_steps)
                ledger.interrupt("test")
            assert all(trial.state.is_finished() for trial in study.trials)
        except BaseException as error:
            failures.append(error)
            raise
        finally:
            own.close()
            done.set()

    writer = threading.Thread(target=search)
    writer.start()
    n_checks = 0
    while not done.is_set() or not n_checks:
        assert found(store) == []
        n_checks += 1
    writer.join()
    assert failures == []
    assert found(store) == []


@pytest.mark.parametrize("backend", ["sqlite"])
def test_made_stores_are_sound(store: Store) -> None:
    add_study(store, "made", 40, confirmed=True)
    add_study(store, "two", 12, two_objectives=True)
    add_study(store, "grid", grid=2)
    add_benchmark(store, models=("mlp", "siamese"), n_seeds=3, n_done=2)
    theirs = optuna.create_study(study_name="theirs", storage=store.optuna_storage)
    theirs.tell(theirs.ask(), 0.5)
    assert found(store) == []


def test_a_killed_launch_is_found_and_the_next_mends_it(
    plan_for: MakePlan, store: Store, recorder: Recorder
) -> None:
    plan = plan_for()
    ledger, _ = new_ledger(plan, store, recorder)
    work(ledger, plan, n_steps=3)
    with store.engine.begin() as connection:
        connection.execute(
            schema.launches.update().values(
                heartbeat_at=schema.utc_now() - datetime.timedelta(hours=1)
            )
        )
    findings = check_store(store).findings
    assert {each.table for each in findings} == {"search_launches", "trials"}
    assert sum("RUNNING" in each.what for each in findings) == 2
    assert all("run the same command again" in each.mend for each in findings)
    ledger, study = new_ledger(plan, store, recorder)
    reclaim_stale(study, store, launch_id=2)
    work(ledger, plan)
    assert found(store) == []


TRIALS = models.TrialModel.__table__
VALUES = models.TrialValueModel.__table__
REPORTS = models.TrialIntermediateValueModel.__table__
EPOCHS, RUNS = schema.epochs, schema.runs
SECOND = EPOCHS.c.run_id == 2

FAULTS: dict[str, tuple[Any, str]] = {
    "a gap": (
        EPOCHS.delete().where(SECOND & (EPOCHS.c.epoch == 4)),
        "search_epochs run 2: epochs 4 are not there",
    ),
    "a lost end": (
        EPOCHS.delete().where(SECOND & (EPOCHS.c.epoch == 9)),
        "search_runs run 2: it says 9 epochs, there are 8",
    ),
    "seconds": (
        RUNS.update().where(RUNS.c.run_id == 2).values(train_seconds=1e6),
        "search_runs run 2: it says 1e+06 s of training",
    ),
    "best epoch": (
        RUNS.update().where(RUNS.c.run_id == 2).values(best_epoch=77),
        "search_runs run 2: it says epoch 77 is its best",
    ),
    "too short": (
        RUNS.update().where(RUNS.c.run_id == 2).values(config={"training": {"epochs": 12}}),
        "search_runs run 2: it is complete with 9 of 12 epochs",
    ),
    "a lost report": (
        REPORTS.delete().where((REPORTS.c.trial_id == 2) & (REPORTS.c.step == 9)),
        "trial_intermediate_values trial 1 of 'closed': Optuna has 8 reports, its runs have 9",
    ),
    "another report": (
        REPORTS.update()
        .where((REPORTS.c.trial_id == 2) & (REPORTS.c.step == 3))
        .values(intermediate_value=0.999),
        "trial_intermediate_values trial 1 of 'closed': report 3 is 0.999, its runs say",
    ),
    "another value": (
        VALUES.update().where(VALUES.c.trial_id == 2).values(value=0.0),
        "trial_values trial 1 of 'closed': its value is 0, its runs say",
    ),
    "a lost run": (
        RUNS.delete().where(RUNS.c.run_id == 2),
        "trials trial 1 of 'closed': it is COMPLETE without a run",
    ),
    "another state": (
        TRIALS.update().where(TRIALS.c.trial_id == 2).values(state=TrialState.PRUNED),
        "search_runs run 2: it is complete, though trial 1 of 'closed' is PRUNED",
    ),
    "a number twice": (
        TRIALS.update().where(TRIALS.c.trial_id == 2).values(number=0),
        "trials trial 0 of 'closed': 2 trials have this number",
    ),
    "a number left out": (
        TRIALS.update().where(TRIALS.c.trial_id == 4).values(number=9),
        "trials study 'closed': no trial has number 3, nor 5 other numbers below 9: another",
    ),
    "too many trials": (
        schema.launches.update().values(config={"budget": {"trials": 3, "epochs": None}}),
        "trials study 'closed': it has 4 trials, its budget is 3",
    ),
    "too many epochs": (
        schema.launches.update().values(config={"budget": {"trials": None, "epochs": 30}}),
        "search_epochs study 'closed': it has trained 36 epochs, its budget is 30",
    ),
}


@pytest.mark.parametrize("backend", ["sqlite"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_named(
    plan_for: MakePlan, store: Store, recorder: Recorder, fault: str
) -> None:
    plan = plan_for(budget={"trials": 4})
    ledger, _ = new_ledger(plan, store, recorder)
    work(ledger, plan, n_workers=1)
    store.end_launch(1, "done")
    assert found(store) == []
    statement, expected = FAULTS[fault]
    with store.engine.begin() as connection:
        connection.execute(statement)
    assert any(line.startswith(expected) for line in found(store)), found(store)


def test_the_command_and_its_exit_status(
    plan_for: MakePlan, store: Store, recorder: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    url = store.url.render_as_string(hide_password=False)
    plan = plan_for(budget={"trials": 2})
    ledger, _ = new_ledger(plan, store, recorder)
    work(ledger, plan)
    assert main(["check", "--storage", url]) == 0
    assert capsys.readouterr().out == "no findings in 1 study, 2 trials, 2 runs\n"
    with store.engine.begin() as connection:
        connection.execute(RUNS.update().where(RUNS.c.run_id == 2).values(best_epoch=77))
    assert main(["check", "--storage", url]) == 1
    said = capsys.readouterr().out
    assert said.startswith("search_runs, run 2: it says epoch 77 is its best, the metrics say ")
    assert said.endswith("\n1 finding in 1 study, 2 trials, 2 runs\n")
    assert main(["check", "--storage", url, "--format", "json"]) == 1
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert finding["table"] == "search_runs"
    assert finding["key"] == "run 2"
