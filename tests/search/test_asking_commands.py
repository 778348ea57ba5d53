"""What pages do by forms, commands do as well: the same rows, under the system's user."""

from __future__ import annotations

import getpass
from collections.abc import Callable

import pytest

from search.__main__ import main
from space.errors import SpaceError, UserError
from storage import Store
from storage.actions import list_actions
from tests.dashboards.made.bulk_study import add_study, begin_launch

Run = Callable[..., int]


@pytest.fixture
def run(store: Store) -> Run:
    """Runs a command on a store that holds a study and a launch of it that is alive."""
    begin_launch(store, add_study(store, "made", 6))
    return lambda *words: main([*words, "--storage", store.url.render_as_string(False)])


def test_a_trial_is_queued_with_what_the_space_allows(
    run: Run, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("queue-trial", "--study", "made", "learning_rate=0.002", "aux_weight=0.5") == 0
    number = capsys.readouterr().out.split()[3].rstrip(",")
    (action,) = list_actions(store, study="made")
    assert action.answer == f"it is trial {number}"
    assert action.asked_by == f"user {getpass.getuser()}"
    for wrong in ("learning_rate=7", "nothing=1"):
        with pytest.raises(SpaceError):
            run("queue-trial", "--study", "made", wrong)
    assert len(list_actions(store)) == 1


def test_notes_tags_and_budget_are_recorded(run: Run, store: Store) -> None:
    launch = store.launches()[-1].launch_id
    assert run("note", "--study", "made", "--trial", "3", "a bad seed") == 0
    assert run("note", "--study", "made", "--tag", "kept") == 0
    assert run("add-budget", "--launch", str(launch), "--trials", "5", "--time", "1m") == 0
    budget, tag, note = list_actions(store)
    assert (note.verb, note.trial_number, note.detail) == ("note", 3, {"text": "a bad seed"})
    assert (tag.verb, tag.detail) == ("tag", {"text": "kept"})
    assert (budget.state, budget.detail) == ("asked", {"trials": 5, "time_limit": 60})
    for words in (
        ("note", "--study", "made"),
        ("note", "--study", "absent", "text"),
        ("note", "--study", "made", "x" * 10_001),
        ("note", "--study", "made", "--tag", "x" * 61),
        ("note", "--study", "made", " "),
        ("add-budget", "--launch", str(launch)),
    ):
        with pytest.raises(UserError):
            run(*words)
    assert len(list_actions(store)) == 3
    with pytest.raises(UserError, match="no trial 99"):
        run("note", "--study", "made", "--trial", "99", "of nothing")
    assert list_actions(store)[0].state == "refused"
