"""Samplers and pruners by import path: made as the file says, and refused in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from dashboards.tables.study import terms_sheet
from search.launch.plan import Plan
from search.trials.sampling import make_pruner, make_sampler
from space import Space, parse_space
from space.errors import SpaceError
from space.study.space import Space as SpaceType
from storage import Store
from tests.search.conftest import SPACE, search

MakePlan = Callable[..., Plan]
TPE = "optuna.samplers:TPESampler"
MEDIAN = "optuna.pruners:MedianPruner"
MINE = """
import optuna

class Mine(optuna.samplers.RandomSampler):
    def __init__(self, low, high=1, *, seed=None):
        assert low < high, "low is too high"
        super().__init__(seed=seed)

class Never(optuna.pruners.NopPruner):
    pass

class AtOnce(optuna.pruners.BasePruner):
    def __init__(self, after=1):
        self.after = after
    def prune(self, study, trial):
        return trial.last_step >= self.after
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of the user's own, where Python finds it."""
    (tmp_path / "mine_of_tests.py").write_text(MINE)
    (tmp_path / "broken_of_tests.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)


def space(**changes: Any) -> Space:
    return parse_space({**SPACE, **changes}, "space")


def proposals(plan: Plan, store: Store) -> list[dict[str, Any]]:
    return [trial.params for trial in search(plan, store).trials]


def test_a_library_s_sampler_proposes_what_the_shipped_name_does(
    plan_for: MakePlan, store: Store
) -> None:
    options = {"n_startup_trials": 3, "multivariate": True, "constant_liar": True, "group": False}
    shipped = plan_for(study="shipped", sampler={"name": "tpe", "seed": 7, **options})
    by_path = plan_for(study="by_path", sampler={"name": TPE, "seed": 7, **options})
    other = plan_for(study="other", sampler={"name": TPE, "seed": 8, **options})
    expected = proposals(shipped, store)
    assert proposals(by_path, store) == expected
    assert proposals(other, store) != expected


def test_an_own_pruner_stops_trials(plan_for: MakePlan, store: Store) -> None:
    study = search(plan_for(pruner={"name": "mine_of_tests:AtOnce", "after": 2}), store)
    assert {(trial.state, trial.last_step) for trial in study.trials} == {(TrialState.PRUNED, 2)}


def test_it_is_recorded_and_shown_by_its_path() -> None:
    given = space(sampler={"name": "mine_of_tests:Mine", "low": 0, "seed": 3}, pruner=MEDIAN)
    assert given.sampler.seed == 3
    again = SpaceType.recorded(given.model_dump(mode="json"))
    assert (again.sampler, again.pruner) == (given.sampler, given.pruner)
    shown = terms_sheet(again).rows
    assert ("sampler", "mine_of_tests:Mine, seed 3") in shown
    assert ("pruner", MEDIAN) in shown
    assert isinstance(make_pruner(again), optuna.pruners.MedianPruner)
    patient = space(pruner={"name": "patient", "patience": 2, "pruner": {"name": MEDIAN}})
    assert isinstance(make_pruner(patient), optuna.pruners.PatientPruner)


@pytest.mark.parametrize(
    ("key", "given", "said"),
    [
        ("sampler", "a b:C", "sampler.path: found 'a b:C'; expected a module and a class, as in"),
        ("sampler", "absent_module:C", "sampler: absent_module cannot be imported here (ModuleNot"),
        ("sampler", "broken_of_tests:C", "broken_of_tests cannot be imported here (ZeroDivision"),
        ("sampler", "optuna.samplers:TPESample", "has no class 'TPESample' that derives from Base"),
        ("sampler", MEDIAN, "has no class 'MedianPruner' that derives from BaseSampler"),
        ("pruner", TPE, "has no class 'TPESampler' that derives from BasePruner"),
        (
            "sampler",
            {"name": TPE, "n_startup": 3},
            "sampler.n_startup: optuna.samplers:TPESampler ",
        ),
        ("sampler", {"name": TPE, "n_startup": 3}, "did you mean 'n_startup_trials'"),
        ("sampler", {"name": TPE, "options": 1}, "sampler.options: optuna.samplers:TPESampler has"),
        ("pruner", {"name": MEDIAN, "n_startup_trials": -1}, "does not take these options (Value"),
        ("sampler", "mine_of_tests:Mine", "mine_of_tests:Mine needs low; give it beside the name"),
        ("sampler", {"name": "mine_of_tests:Mine", "low": 2}, "(AssertionError: low is too high)"),
    ],
)
def test_what_is_wrong_is_one_sentence(plan_for: MakePlan, key: str, given: Any, said: str) -> None:
    with pytest.raises(SpaceError) as caught:
        plan_for(**{key: given})
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_class_is_not_imported_to_read_a_file_or_a_record() -> None:
    assert space(sampler="absent_module:Class").sampler.name == "own"
    with pytest.raises(SpaceError, match="absent_module cannot be imported"):
        make_sampler(space(sampler="absent_module:Class"), n_existing_trials=0)
