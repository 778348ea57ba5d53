"""What a person sees: every number on the screen is one of the study's."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from rich.console import Console

from dashboards.numbers.study.snapshot import take_snapshot
from search.launch.confirm import candidates, confirm
from search.launch.plan import Plan
from search.launch.progress import LineProgress, LiveProgress, Pace, Terminal
from search.launch.result import print_result, read_result, result_as_json
from search.launch.study import Outcome
from search.runs.queue import QueuedRun
from search.runs.stopping import Stopping
from search.workers.ray_session import Slots
from search.workers.workplace import OpenWorkplace
from space.words import count
from storage import Store
from storage.summaries.best import objectives
from tests.search.conftest import new_ledger, open_study, opened

from ..conftest import best_first, work
from ..conftest import confirm as confirm_as

MakePlan = Callable[..., Plan]
SLOTS = Slots(cpus=2, gpus=0, nodes=1, concurrency=2, gpus_per_trial=0)
CHANGES = {
    "pruner": {"name": "asha", "min_resource": 1},
    "baselines": [{"learning_rate": 1e-3, "weight_decay": 1e-3}],
}


def follow(plan: Plan, store: Store, progress: LineProgress | LiveProgress) -> optuna.Study:
    """Run a search under a display, as a launch does."""
    ledger, study = new_ledger(plan, store, progress)
    progress.on_launch(opened(plan, store), SLOTS, 1, ["budget.trials: 1, now 12"])
    progress.on_tick()
    work(ledger, plan)
    ledger.interrupt("end")
    progress.close()
    return study


def test_one_line_an_event(
    plan_for: MakePlan, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_for(**CHANGES)
    study = follow(plan, store, LineProgress(plan))
    lines = capsys.readouterr().err.splitlines()
    assert all(re.match(r"\d\d:\d\d:\d\d \S", line) for line in lines)
    body = [line[9:] for line in lines]
    assert body[0] == "study 'closed' on none: 2 CPUs; 2 workers, 1 CPU each"
    assert "changed since the last launch: budget.trials: 1, now 12" in body
    assert "budget: 12 trials in all; the same command goes on from there" in body
    assert "trial 0 (baseline) starts: learning_rate=0.001 weight_decay=0.001" in body
    for trial in study.trials:
        if trial.state.is_finished():
            epochs = count(trial.last_step, "epoch")
            ended = f"trial {trial.number} {trial.state.name} after {epochs}"
            assert f"{ended}: val_error {100 * trial.value:.2f} %" in body
    assert sum(" starts: " in line for line in body) >= 12


def test_live_table(plan_for: MakePlan, store: Store) -> None:
    plan = plan_for(**CHANGES)
    progress = LiveProgress(plan, Terminal())
    study = follow(plan, store, progress)
    snapshot = take_snapshot(store, study._study_id, objectives(store, study._study_id))
    shown = Console(file=io.StringIO(), width=120)
    shown.print(progress._render(snapshot))
    text = shown.file.getvalue()  # type: ignore[attr-defined]
    counts = snapshot.counts
    done = counts["COMPLETE"] + counts["PRUNED"]
    assert f"trials {done}/12: {counts['COMPLETE']} complete, {counts['PRUNED']} pruned" in text
    best = snapshot.best[0]
    assert f"best val_error {100 * best.values[0]:.2f} % (trial {best.number})" in text
    assert snapshot.baseline is not None
    assert f"baseline {100 * snapshot.baseline.values[0]:.2f} % (trial 0" in text


def test_estimate_is_the_epochs_left_at_the_pace_so_far(
    plan_for: MakePlan, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_for(budget={"trials": 10, "time_limit": "1000s"})
    study = open_study(plan, store)
    pace = Pace(plan)
    monkeypatch.setattr(Pace, "elapsed", 30.0)
    snapshot = take_snapshot(store, study._study_id, objectives(store, study._study_id))
    assert pace.remaining(snapshot, 0, 0) == 970  # nothing measured: the time limit
    for _ in range(15):
        pace.epoch()
    # 10 trials of 9 epochs, 5 of them behind the running ones, at 2 s an epoch
    assert pace.remaining(snapshot, 5, 2) == pytest.approx((90 - 5) * 2)


def test_result_as_table_and_as_json(
    plan_for: MakePlan, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_for(**CHANGES, sampler={"name": "random", "seed": 6})
    study = follow(plan, store, LineProgress(plan))
    outcome = Outcome(status="time limit", launch_id=1, n_interrupted=0, seconds=75.0)
    result = read_result(opened(plan, store), plan, outcome)
    print_result(result)
    text = capsys.readouterr().out
    best = study.best_trial
    assert "study 'closed': the time limit was reached after 1 min 15 s" in text
    assert f"best val_error {100 * best.value:.2f} % on 1 seed, the baseline's: no trial" in text
    assert re.search(rf"^ *best\b.* {best.number} +{100 * best.value:.2f} %", text, re.MULTILINE)
    assert f"go on with:            {plan.command}" in text
    given = replace(plan, command="python -m search.launch --trials=20 --space a.yaml --trials 20")
    print_result(replace(result, plan=given, outcome=replace(outcome, status="done")))
    text = capsys.readouterr().out
    assert " ".join(text.split()).count("the validation error is optimistic") == 1
    further = f"python -m search.launch --space a.yaml --trials {2 * plan.space.budget.trials}"
    assert f"search further with:   {further}\n" in text
    assert "search.export --study closed" in text
    found = result_as_json(result)
    assert found["best"][0]["number"] == best.number
    assert found["trials"]["PRUNED"] == sum(t.state.name == "PRUNED" for t in study.trials)
    assert found["baseline"]["number"] == 0
    assert found["ended"] == "time limit"


def test_what_is_not_confirmed_yet_is_said(
    plan_for: MakePlan, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_for(**CHANGES, confirm={"top": 2, "seeds": 3})
    follow(plan, store, LineProgress(plan))
    outcome = Outcome(status="time limit", launch_id=1, n_interrupted=0, seconds=75.0)
    result = read_result(opened(plan, store), plan, outcome)
    n_left = 3 * len(candidates(opened(plan, store)).trials)
    assert result_as_json(result)["unconfirmed_runs"] == n_left >= 3
    print_result(result)
    text = capsys.readouterr().out
    assert f"{n_left} runs on fresh seeds are still to be trained" in text


def test_what_is_confirmed_so_far_is_shown_with_what_is_missing_and_how_to_add_it(
    plan_for: MakePlan, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_for(confirm={"top": 2, "seeds": 3})
    study = follow(plan, store, LineProgress(plan))
    first, second = best_first(study)[:2]
    confirm_as(plan, store, study, first, [0.2, 0.3])
    outcome = Outcome(status="done", launch_id=1, n_interrupted=0, seconds=75.0)
    result = read_result(opened(plan, store), plan, outcome)
    found = result_as_json(result)
    assert [
        (each["trial_number"], each["values"], each["n_missing"]) for each in found["unconfirmed"]
    ] == [(first, (0.2, 0.3), 1), (second, (), 3)]
    assert found["unconfirmed_runs"] == 4
    capsys.readouterr()
    print_result(result)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [str(first), "2", "1", "25.00", "±", "7.07"] in lines
    assert [str(second), "0", "3", "-"] in lines
    assert ["go", "on", "with:", *plan.command.split()] in lines


def test_confirmation_runs_are_called_so(
    plan_for: MakePlan,
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def trained(_: Store, queue: list[QueuedRun], place: OpenWorkplace, **options: Any) -> str:
        options["progress"].announce(place.slots)
        for queued in queue:
            options["progress"].on_end(queued, None)
        options["progress"].leave(1)
        return "done"

    monkeypatch.setattr("search.launch.confirm.train_queue", trained)
    plan = plan_for(confirm={"top": 1, "seeds": 2})
    study = follow(plan, store, LineProgress(plan))
    capsys.readouterr()
    confirm(opened(plan, store), plan.place.opened(SLOTS, tmp_path), 1, Stopping())
    best = study.best_trial.number
    assert [line[9:] for line in capsys.readouterr().err.splitlines()] == [
        "2 confirmation runs with fresh seeds, 2 workers on 2 CPUs",
        f"1/2 confirmation of trial {best}, fresh seed 0: done",
        f"2/2 confirmation of trial {best}, fresh seed 1: done",
        "left to another launch, which trains or has trained them: 1 confirmation run; the same "
        "command shows them later",
    ]


def test_a_pruned_baseline_is_said_to_be_one(
    plan_for: MakePlan, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_for(
        pruner={"name": "threshold", "upper": 0.3, "n_warmup_steps": 6},
        baselines=[{"learning_rate": 1e-4, "weight_decay": 1e-1}],
        prune_baselines=True,
        replicates=1,
    )
    study = follow(plan, store, LineProgress(plan))
    n_epochs = len(study.trials[0].intermediate_values)
    outcome = Outcome(status="done", launch_id=1, n_interrupted=0, seconds=1.0)
    print_result(read_result(opened(plan, store), plan, outcome))
    text = capsys.readouterr().out
    assert f"the baseline was pruned after {n_epochs} epochs" in text
