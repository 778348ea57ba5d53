"""What a launch says at its end."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.export.__main__ import main as export
from search.launch.dry_run import Estimate, print_dry_run
from search.launch.plan import Plan
from search.launch.result import print_result, read_result
from search.launch.study import Outcome
from search.workers.ray_session import Slots
from storage import Store
from tests.search.conftest import opened

from ..conftest import search

MakePlan = Callable[..., Plan]
GOOD = {"learning_rate": 3e-3, "weight_decay": 1e-4}
BAD = {"learning_rate": 1e-4, "weight_decay": 1e-1}


Said = Callable[[Plan, Store], str]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    """Prints the result of a launch that is done."""

    def read(plan: Plan, store: Store) -> str:
        outcome = Outcome(status="done", launch_id=1, n_interrupted=0, seconds=1.0)
        print_result(read_result(opened(plan, store), plan, outcome))
        return capsys.readouterr().out

    return read


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, r"best val_error [\d.]+ % on 1 seed: the best of many trials is partly luck"),
        (
            {"baselines": [BAD]},
            r"best val_error [\d.]+ % beside the baseline's [\d.]+ %, on 1 seed each: the best of",
        ),
        (
            {"baselines": [GOOD], "budget": {"trials": 1}},
            r"best val_error [\d.]+ % on 1 seed, the baseline's: no trial was better",
        ),
        (
            {
                "baselines": [BAD],
                "prune_baselines": True,
                "pruner": {"name": "threshold", "upper": 0.45, "n_warmup_steps": 1},
            },
            r"best val_error [\d.]+ % on 1 seed; the baseline was pruned after 1 epoch\n",
        ),
        (
            {
                "parameters": {"fail_at": {"type": "categorical", "choices": [0, 3]}},
                "baselines": [{"fail_at": 3}],
            },
            r"best val_error [\d.]+ % on 1 seed; the baseline failed after 2 epochs\n",
        ),
        (
            {
                "parameters": {"fail_at": {"type": "categorical", "choices": [0, 1]}},
                "baselines": [{"fail_at": 1}],
            },
            r"best val_error [\d.]+ % on 1 seed; the baseline has no value\n",
        ),
    ],
    ids=["none", "worse", "best", "pruned", "failed", "failed at once"],
)
def test_the_best_is_put_beside_the_baseline_as_far_as_there_is_one(
    plan_for: MakePlan, store: Store, said: Said, changes: dict[str, Any], sentence: str
) -> None:
    plan = plan_for(**changes)
    search(plan, store, n_workers=1)
    text = said(plan, store)
    assert re.search(sentence, text), text
    assert text.count("baseline has not reached") == 0


@pytest.mark.parametrize("budget", [{"trials": 30}, {"time_limit": "1h"}])
def test_a_grid_that_is_through_has_not_spent_a_larger_budget(
    plan_for: MakePlan, store: Store, said: Said, budget: dict[str, Any]
) -> None:
    rates = {"type": "float", "low": 1e-3, "high": 1e-1, "log": True}
    grid = {"name": "grid", "cells": {"learning_rate": 3}}
    plan = plan_for(parameters={"learning_rate": rates}, sampler=grid, budget=budget)
    search(plan, store, n_workers=1)
    assert "': every point of the grid has its trial after " in said(plan, store)
    fewer = plan_for(parameters={"learning_rate": rates}, sampler=grid, budget={"trials": 3})
    assert "': the budget is spent after " in said(fewer, store)


@pytest.mark.parametrize(
    ("changes", "said_of_it"),
    [
        ({}, "at most 50 s (10 trials, none of them pruned)"),
        (
            {"confirm": {"top": 2, "seeds": 3}, "baselines": [BAD]},
            "at most 1 min 40 s (10 trials, none of them pruned, and 9 runs on fresh seeds)",
        ),
        (
            {"confirm": {"top": 2, "seeds": 2}, "budget": {"epochs": 6}},
            "at most 23 s (6 epochs, and 4 runs on fresh seeds)",
        ),
    ],
    ids=["no confirmation", "trials", "epochs"],
)
def test_the_estimate_of_a_dry_run_counts_the_confirmation(
    plan_for: MakePlan,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
    said_of_it: str,
) -> None:
    plan = plan_for(**{"budget": {"trials": 10}, "training": {"epochs": 10}, **changes})
    slots = Slots(cpus=2, gpus=0, nodes=1, concurrency=2, gpus_per_trial=0)
    cost = Estimate(n_threads=1, step_seconds=0.1, epoch_seconds=1, trial_seconds=10)
    print_dry_run(plan, "store", slots, cost, "text")
    assert f"estimate:  {said_of_it}\n" in capsys.readouterr().out


def test_a_baseline_under_way_is_not_called_a_result(
    plan_for: MakePlan, store: Store, said: Said
) -> None:
    plan = plan_for()
    search(plan, store, n_workers=1)
    more = plan_for(baselines=[BAD], budget={"trials": 14})
    search(more, store, n_workers=1, n_steps=3)
    assert "; the baseline has not reached its full number of epochs yet" in said(more, store)


@pytest.mark.parametrize("there", [(), ("closed.yaml",), ("closed.yaml", "best/closed.yaml")])
def test_the_hint_how_to_export_works_as_it_stands(
    plan_for: MakePlan,
    store: Store,
    said: Said,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    there: tuple[str, ...],
) -> None:
    folder = tmp_path / "here"
    for name in there:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("study: closed\n")
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SEARCH_STORAGE", store.url.render_as_string(hide_password=False))
    plan = plan_for()
    search(plan, store)
    for _ in range(2):  # What was exported once may be exported again.
        (hint,) = re.findall(r"export the best with: *(.*)", said(plan, store))
        words = shlex.split(hint)
        assert words[1:3] == ["-m", "search.export"]
        output = words[words.index("--output") + 1]
        assert output not in there
        assert export(words[3:]) == 0
        assert (folder / output).read_text().startswith("# Study 'closed'")
    for name in there:
        assert (folder / name).read_text() == "study: closed\n"
