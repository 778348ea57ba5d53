"""Queued runs: trained once each to their last epoch, evaluated, and resumed where they were."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from dashboards.numbers.results import collect
from dashboards.numbers.tables import benchmark_table
from dashboards.tables.formats import render
from search.benchmark.configs import benchmark_configs, resolved
from search.launch.confirm import candidates, confirm_queue
from search.launch.plan import Plan
from search.launch.result import print_result, read_result, result_as_json
from search.launch.study import Outcome, _is_done
from search.runs.protocol import Report
from search.runs.queue import QueuedRun, RunQueue
from search.workers.workers import Workers
from search.workers.workplace import RunFiles
from storage import Store
from storage.tables.attributes import BASELINE
from tests.harness.configs import PairsNamed
from tests.records import begin_run
from tests.search.conftest import new_ledger, opened
from trainables.contract.run_data import RunData
from trainables.contract.split_data import SplitData
from trainables.shipped.digit_pairs.config import (
    DIGIT_PAIRS,
    DataConfig,
    ModelConfig,
    PairTrainingConfig,
)
from trainables.shipped.digit_pairs.data.sources import load_source
from trainables.worker.assigned import AssignedRun

from ..conftest import Recorder, search, work
from ..results_store import begin_launch

MakePlan = Callable[..., Plan]
CONFIG = PairsNamed(
    name="tiny",
    data=DataConfig(source="digits"),
    model=ModelConfig(name="mlp", width=8),
    training=PairTrainingConfig(epochs=3),
)


@pytest.fixture
def images() -> tuple[SplitData, SplitData]:
    data = DataConfig(source="digits")
    return load_source(data, "train"), load_source(data, "test")


def new_queue(
    store: Store,
    runs: list[QueuedRun],
    ended: list[str],
    *,
    purpose: str = "benchmark",
    fingerprint: str = "f",
) -> RunQueue:
    class Observer:
        def on_epoch(self) -> None:
            pass

        def on_end(self, queued: QueuedRun, failure: str | None) -> None:
            ended.append(f"{queued.label} {failure}")

    return RunQueue(
        store,
        runs,
        launch_id=begin_launch(store),
        study_id=None if purpose == "benchmark" else store.study_id("closed"),
        measured=DIGIT_PAIRS,
        fingerprint=fingerprint,
        observer=Observer(),
    )


def train(
    queue: RunQueue, images: tuple[SplitData, SplitData], n_epochs: int | None = None
) -> list[dict[str, object]]:
    """Be the one worker; say what was reported."""
    reports: list[dict[str, object]] = []
    while (assignment := queue.next_assignment()) is not None:
        ((run, config),) = assignment.runs
        message = {
            "run_id": run.run_id,
            "config": config.model_dump(mode="json"),
            "checkpoint": None,
            "n_epochs": run.n_epochs,
            "evaluate": assignment.evaluate,
            "together": False,
        }
        worker = AssignedRun(message, RunData(train=images[0], test=images[1]))
        goes_on = True
        while goes_on:
            if len(reports) == n_epochs:
                return reports
            reports.append(worker.step())
            goes_on = bool(queue.report([Report.from_wire(reports[-1])]))
    return reports


def test_seeds_are_trained_once_and_evaluated(
    store: Store, images: tuple[SplitData, SplitData]
) -> None:
    runs = [QueuedRun(label=f"seed {s}", config=resolved(CONFIG, s)) for s in range(3)]
    ended: list[str] = []
    reports = train(new_queue(store, runs, ended), images)
    assert ended == [f"seed {s} None" for s in range(3)]
    assert len(reports) == 9
    assert [report["evaluation"] is not None for report in reports] == [False, False, True] * 3
    (result,) = collect(store, benchmark_configs([CONFIG], range(4)), fingerprint="f")
    assert list(result.seeds) == [0, 1, 2]
    assert result.missing == (3,)
    for seed, found in result.seeds.items():
        assert found.run.config["data"]["data_seed"] == seed
        assert found.run.config["training"]["training_seed"] == seed
        assert found.run.n_epochs == 3
        epochs = store.epochs([found.run.run_id])[found.run.run_id]
        assert found.result["val_error"] == min(epoch["val_error"] for epoch in epochs)
        for name in ("train_error", "test_error"):
            assert 0 <= found.result[name] <= 1
    assert len({found.result["test_error"] for found in result.seeds.values()}) > 1
    (other,) = collect(store, benchmark_configs([CONFIG], range(3)), fingerprint="of other data")
    assert other.missing == (0, 1, 2)


def test_a_run_has_the_results_of_both_selections(
    store: Store, images: tuple[SplitData, SplitData]
) -> None:
    settings = {"epochs": 8, "learning_rate": 0.003, "batch_size": 50}
    changes = {f"training.{name}": value for name, value in settings.items()}
    changes |= {"data.n_train_pairs": 200, "model.width": 32}
    longer = CONFIG.config.with_values(changes)
    by_loss = longer.with_values({"training.selection": "loss"})
    named = [PairsNamed.of_config(each, name="tiny") for each in (longer, by_loss)]
    queue = [QueuedRun(label="", config=resolved(each, s)) for each in named for s in range(3)]
    train(new_queue(store, queue, []), images)
    found = [collect(store, benchmark_configs([each], range(3)))[0] for each in named]
    for seed in range(3):
        own, other = (each.seeds[seed] for each in found)
        epochs = store.epochs([own.run.run_id])[own.run.run_id]
        lowest = min(epochs, key=lambda epoch: epoch["val_loss"])
        assert own.run.other_epoch == other.run.best_epoch == lowest.epoch
        assert own.run.best_epoch == other.run.other_epoch
        assert own.result.other == other.result.metrics
        assert own.result.metrics == other.result.other
        assert own.result.other["val_loss"] == pytest.approx(lowest["val_loss"])
    assert found[0].by_selection("test_error") == found[1].by_selection("test_error")
    assert any(one.run.best_epoch != one.run.other_epoch for one in found[0].seeds.values())


def test_interrupted_run_goes_on_as_the_same_run_with_the_same_result(
    store: Store, images: tuple[SplitData, SplitData]
) -> None:
    run = QueuedRun(label="x", config=resolved(CONFIG, 0))
    queue = new_queue(store, [run], [])
    first = train(queue, images, n_epochs=2)
    assert queue.interrupt("test") == 1
    assert [each.state for each in store.runs()] == ["interrupted"]
    train(new_queue(store, [run], []), images)
    (record,) = store.runs()
    assert (record.state, record.n_epochs, record.launch_id) == ("complete", 3, 2)
    epochs = store.epochs([record.run_id])[record.run_id]
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3]
    assert epochs[1].metrics == first[1]["epoch"]["metrics"]  # type: ignore[index]
    assert len(store.results([record.config_hash])) == 1


def test_result_lost_with_its_driver_is_made_up_for(
    store: Store, images: tuple[SplitData, SplitData], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = QueuedRun(label="x", config=resolved(CONFIG, 0))
    queue = new_queue(store, [run], [])
    monkeypatch.setattr(store, "record_result", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(queue, images)
    queue.interrupt("killed")
    monkeypatch.undo()
    train(new_queue(store, [run], []), images)
    (record,) = store.runs()
    assert (record.state, record.n_epochs) == ("complete", 3)
    assert len(store.results([record.config_hash])) == 1


def test_failed_run_is_missing_still(store: Store, images: tuple[SplitData, SplitData]) -> None:
    training = PairTrainingConfig(epochs=3, learning_rate=1e30)
    named = CONFIG.model_copy(update={"training": training})
    ended: list[str] = []
    queue = new_queue(store, [QueuedRun(label="x", config=resolved(named, 0))], ended)
    train(queue, images)
    assert "the loss is not finite" in ended[0]
    assert store.runs()[0].state == "failed"
    (result,) = collect(store, benchmark_configs([named], range(2)))
    assert result.missing == (0, 1)
    assert list(result.failed) == [0]
    text = render(benchmark_table([result], DIGIT_PAIRS), "text")
    assert "seeds not yet run: x: 1\n" in text.replace(named.name, "x")
    assert f"failed, and so in no mean and no comparison: {named.name}, seed 0 (" in text
    assert "the loss is not finite" in text


def test_winners_and_baselines_are_confirmed_on_seeds_of_their_own(
    plan_for: MakePlan, store: Store, recorder: Recorder
) -> None:
    plan = plan_for(
        confirm={"top": 3, "seeds": 4},
        baselines=[{"learning_rate": 1e-1, "weight_decay": 1e-1}],
        replicates=2,
    )
    ledger, study = new_ledger(plan, store, recorder)
    work(ledger, plan)
    chosen = candidates(opened(plan, store)).trials
    by_value = sorted(study.trials, key=lambda trial: trial.value)
    assert [trial.number for trial in chosen] == [*(t.number for t in by_value[:3]), 0]
    queue = confirm_queue(opened(plan, store))
    assert len(queue) == 16
    assert [queued.trial_id for queued in queue[:4]] == [trial._trial_id for trial in chosen]
    searched = {run.config["data"]["data_seed"] for run in store.runs()}
    confirmed = {queued.config.data.data_seed for queued in queue}
    assert len(confirmed) == 4
    assert not searched & confirmed
    # A baseline is confirmed, too, where the search pruned it.
    study._storage.create_new_trial(
        study._study_id,
        template_trial=optuna.trial.create_trial(
            state=TrialState.PRUNED,
            params={"learning_rate": 0.05, "weight_decay": 0.05},
            distributions=study.trials[0].distributions,
            user_attrs={BASELINE: {}},
            value=0.5,
        ),
    )
    assert [trial.number for trial in candidates(opened(plan, store)).trials] == [
        *(trial.number for trial in chosen),
        12,
    ]
    plan_of_12 = confirm_queue(opened(plan, store))
    assert len(plan_of_12) == 20
    queue = [queued for queued in plan_of_12 if queued.trial_id != study.trials[12]._trial_id]
    # What is done is not done again.
    for queued in queue[:5]:
        run = begin_run(
            store,
            1,
            queued.trial_id,
            study_id=study._study_id,
            purpose="confirm",
            replicate=queued.replicate,
        )
        store.end_run(run.run_id, "complete")
    left = confirm_queue(opened(plan, store))
    assert [queued for queued in left if queued.trial_id != study.trials[12]._trial_id] == queue[5:]
    # What was interrupted goes on, unless it was begun under another config.
    for queued, config_hash in zip(left[:2], (left[0].config.config_hash(), "x"), strict=True):
        run = begin_run(
            store,
            1,
            queued.trial_id,
            study_id=study._study_id,
            purpose="confirm",
            replicate=queued.replicate,
            config_hash=config_hash,
        )
        store.end_run(run.run_id, "interrupted")
    assert confirm_queue(opened(plan, store)) == [left[0], *left[2:]]


def test_a_run_in_the_hands_of_another_launch_is_left_to_it(
    store: Store, images: tuple[SplitData, SplitData]
) -> None:
    runs = [QueuedRun(label=f"seed {s}", config=resolved(CONFIG, s)) for s in range(3)]
    ended: list[str] = []
    other, late = new_queue(store, runs, []), new_queue(store, runs, ended)
    train(other, images, n_epochs=4)  # Seed 0 is complete, seed 1 under way.
    train(late, images)
    assert ended == ["seed 2 None"]
    assert late.n_elsewhere == 2
    store.end_launch(1, "died")
    third = new_queue(store, runs[1:2], ended)
    train(third, images)
    assert ended == ["seed 2 None", "seed 1 None"]
    assert sorted(run.state for run in store.runs(purpose="benchmark")) == [
        "complete", "complete", "complete", "running",
    ]  # fmt: skip


def test_a_run_that_another_launch_completed_since_it_was_listed_is_left_as_it_is(
    store: Store, images: tuple[SplitData, SplitData]
) -> None:
    runs = [QueuedRun(label=f"seed {s}", config=resolved(CONFIG, s)) for s in range(2)]
    train(new_queue(store, runs[:1], []), images)
    ended: list[str] = []
    late = new_queue(store, runs, ended)
    train(late, images)
    assert (ended, late.n_elsewhere) == (["seed 1 None"], 1)
    # Of other data it is another run.
    train(new_queue(store, runs[:1], ended, fingerprint="of other data"), images)
    assert ended == ["seed 1 None", "seed 0 None"]


def test_a_confirmation_run_that_another_launch_ended_since_it_was_listed_is_left_as_it_is(
    plan_for: MakePlan, store: Store
) -> None:
    plan = plan_for(confirm={"top": 2, "seeds": 2})
    search(plan, store)
    listed = confirm_queue(opened(plan, store))
    assert len(listed) == 4
    work(new_queue(store, listed[:1], [], purpose="confirm"), plan)
    failing = new_queue(store, listed[1:2], [], purpose="confirm")
    assigned = failing.next_assignment()
    assert assigned is not None
    failing.fail(assigned.runs[0][0].run_id, "the loss is not finite")
    before = {run.run_id: run for run in store.runs(purpose="confirm")}
    ended: list[str] = []
    late = new_queue(store, listed, ended, purpose="confirm")
    work(late, plan, n_workers=1)
    assert ended == [f"{queued.label} None" for queued in listed[2:]]
    assert late.n_elsewhere == 2
    after = {run.run_id: run for run in store.runs(purpose="confirm")}
    assert {run_id: after[run_id] for run_id in before} == before


def test_a_confirmation_run_that_failed_is_done_unless_its_workers_died(
    plan_for: MakePlan, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_for(confirm={"top": 1, "seeds": 2})
    study = search(plan, store)
    listed = confirm_queue(opened(plan, store))
    assert len(listed) == 2
    ended: list[str] = []
    queue = new_queue(store, listed, ended, purpose="confirm")
    workers = Workers(
        queue,
        n_workers=1,
        size=lambda _: 1,
        files=lambda uid: RunFiles(checkpoint=tmp_path / uid, weights=None),
    )
    first = queue.next_assignment()
    assert first is not None
    queue.fail(first.runs[0][0].run_id, "the loss is not finite in epoch 1")
    for name in "abc":
        assert workers.open(name) is not None
        workers.lose(name, "killed")
    assert ["not finite" in ended[0], "killed" in ended[1]] == [True, True]
    assert confirm_queue(opened(plan, store)) == listed[1:]
    # On another machine it may be trained; should it fail then, nothing is left to do.
    assert not _is_done(opened(plan, store))
    again = new_queue(store, listed[1:], [], purpose="confirm")
    second = again.next_assignment()
    assert second is not None
    again.fail(second.runs[0][0].run_id, "it raised")
    assert confirm_queue(opened(plan, store)) == []
    assert _is_done(opened(plan, store))
    outcome = Outcome(status="done", launch_id=1, n_interrupted=0, seconds=1.0)
    result = read_result(opened(plan, store), plan, outcome)
    best = study.best_trial.number
    assert result_as_json(result)["failed_seeds"] == {best: 2}
    print_result(result)
    text = " ".join(capsys.readouterr().out.split())
    assert f"Trial {best} failed on 2 fresh seeds and is not ranked." in text
    assert "still to be trained" not in text


def test_only_runs_of_one_architecture_are_put_beside_each_other(store: Store) -> None:
    wide = CONFIG.model_copy(update={"model": ModelConfig(name="mlp", width=16)})
    runs = [
        QueuedRun(label=f"{config.model.width} {seed}", config=resolved(config, seed))
        for seed in range(2)
        for config in (CONFIG, wide)
    ]
    queue = new_queue(store, runs, [])
    first = queue.next_assignment()
    assert first is not None
    ((_, beside),) = first.runs
    second = queue.next_assignment(beside)
    assert second is not None
    ((_, found),) = second.runs
    assert (found.model.width, found.training.training_seed) == (8, 1)
    assert queue.next_assignment(beside) is None
    third = queue.next_assignment()
    assert third is not None
    assert third.runs[0][1].model.width == 16
