"""What a launch says of what changed since the last one, and what may not change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import optuna
import pytest

from dashboards.pages.study_page import study_document
from search.launch.open_launch import changes_since
from search.launch.plan import Plan
from search.launch.study import run_study
from space.errors import StudyMismatchError
from storage import Store
from tests.search.conftest import open_study, opened

from ..conftest import PROVENANCE, Recorder
from ..here import Here
from ..results_store import begin_launch

MakePlan = Callable[..., Plan]
Code = tuple[str | None, bool | None]


def run(plan: Plan, store: Store, recorder: Recorder) -> None:
    run_study(plan, opened(plan, store), recorder)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (("a" * 40, False), ("a" * 40, False), None),
        ((None, None), (None, None), None),
        (("a" * 40, False), ("b" * 40, False), f"{'a' * 12}, now {'b' * 12}"),
        ((None, None), ("b" * 40, False), f"no git checkout, now {'b' * 12}"),
        (
            ("a" * 40, False),
            ("a" * 40, True),
            f"{'a' * 12}, now {'a' * 12} with uncommitted changes",
        ),
        (
            ("a" * 40, True),
            ("a" * 40, True),
            f"{'a' * 12} with uncommitted changes, which may be other changes now",
        ),
    ],
)
def test_other_code_is_said(before: Code, after: Code, said: str | None, store: Store) -> None:
    begin_launch(store, git_commit=before[0], git_dirty=before[1])
    (earlier,) = store.launches()
    code = replace(PROVENANCE, git_commit=after[0], git_dirty=after[1])
    expected = [] if said is None else [f"code: {said}"]
    assert changes_since(earlier, earlier.config, code) == expected


def test_changes_between_launches_are_recorded_and_shown(
    plan_for: MakePlan, store: Store, here: Here, recorder: Recorder
) -> None:
    run(plan_for(budget={"trials": 1}), store, Recorder())
    run(plan_for(budget={"trials": 2}), store, recorder)
    changes = ["budget.trials: 1, now 2"]
    assert store.launches()[1].changes == changes
    assert recorder.launches == [(0, changes)]


def test_other_code_under_a_study_is_recorded_and_shown(
    plan_for: MakePlan, store: Store, here: Here, recorder: Recorder
) -> None:
    for n_trials, commit in enumerate("ab", start=1):
        plan = plan_for(budget={"trials": n_trials})
        provenance = replace(plan.provenance, git_commit=commit * 40, git_dirty=False)
        run(replace(plan, provenance=provenance), store, recorder)
    said = f"code: {'a' * 12}, now {'b' * 12}"
    (_, first), (_, second) = recorder.launches
    assert first == []
    assert second == [said, "budget.trials: 1, now 2"] == store.launches()[1].changes
    assert said in study_document(store, "closed").details


def test_study_begun_under_other_terms_is_refused(plan_for: MakePlan, store: Store) -> None:
    open_study(plan_for(), store)
    open_study(plan_for(budget={"trials": 99}), store)
    with pytest.raises(StudyMismatchError, match=r"training.epochs: 9 before, 8 now.*--study"):
        open_study(plan_for(training={"epochs": 8}), store)


def test_study_of_another_direction_is_refused(plan_for: MakePlan, store: Store) -> None:
    optuna.create_study(study_name="closed", storage=store.optuna_storage, direction="maximize")
    with pytest.raises(StudyMismatchError, match="was begun to maximize, not to minimize"):
        open_study(plan_for(), store)
