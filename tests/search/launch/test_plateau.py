"""A search that brings nothing better ends, and says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from optuna.trial import TrialState

from search.launch.__main__ import main as launch
from search.launch.plan import Plan
from space.errors import SpaceError
from storage import Store

from ..here import Here

MakePlan = Callable[..., Plan]


def command(store: Store, tmp_path: Path) -> int:
    where = ["--storage", str(store.url.database)]
    return launch(["--space", str(tmp_path / "space.yaml"), *where])


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_a_search_ends_so_many_trials_after_its_best(
    plan_for: MakePlan,
    store: Store,
    here: Here,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    direction: str,
) -> None:
    plan_for(
        objective={"metric": "val_error", "direction": direction},
        limits={"plateau": 6},
        budget={"trials": 200},
        concurrency=1,
    )
    assert command(store, tmp_path) == 0
    assert "brought no better" in "".join(capsys.readouterr())
    trials = store.optuna_storage.get_all_trials(store.study_id("closed"))
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    values = [trial.values[0] for trial in trials]
    best = min(values) if direction == "minimize" else max(values)
    assert len(values) - 1 - values.index(best) == 6
    assert [each.status for each in store.launches()] == ["plateau"]

    n_epochs = here.n_epochs
    assert command(store, tmp_path) == 0  # It stays so, and nothing is trained.
    assert here.n_epochs == n_epochs
    assert [each.status for each in store.launches()] == ["plateau"] * 2

    plan_for(
        objective={"metric": "val_error", "direction": direction},
        limits={"plateau": 8},
        budget={"trials": 200},
        concurrency=1,
    )
    assert command(store, tmp_path) == 0
    assert here.n_epochs > n_epochs


def test_a_plateau_beyond_the_budget_is_none(
    plan_for: MakePlan, store: Store, here: Here, tmp_path: Path
) -> None:
    plan_for(limits={"plateau": 12})
    assert command(store, tmp_path) == 0
    assert [each.status for each in store.launches()] == ["done"]


def test_several_objectives_have_no_plateau(plan_for: MakePlan) -> None:
    with pytest.raises(SpaceError, match=r"limits\.plateau: found 3; expected none"):
        plan_for(
            objective=[{"metric": "val_error"}, {"metric": "train_loss"}], limits={"plateau": 3}
        )
