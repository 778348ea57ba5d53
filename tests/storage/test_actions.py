"""What is asked of a launch is answered once, whoever ends."""

from __future__ import annotations

import os
import platform
from typing import Any

import pytest
import sqlalchemy as sa

from storage import Store
from storage.actions import (
    Answer,
    act,
    answer,
    ask,
    list_actions,
    open_actions,
    refuse_unheard,
)
from storage.admin.check import check_store
from storage.tables import schema
from storage.tables.service import NewAction
from tests.records import begin_launch


def stop(launch_id: int | None, **changes: Any) -> NewAction:
    return NewAction(verb="stop", asked_by="ada", launch_id=launch_id, **changes)


def states(store: Store) -> list[tuple[str, str | None]]:
    """State and answer of every action, oldest first."""
    return [(each.state, each.answer) for each in reversed(list_actions(store))]


def test_an_action_is_read_and_answered_once(store: Store) -> None:
    launch_id = begin_launch(store)
    asked = ask(store, stop(launch_id, study="made", detail={"why": "enough"}))
    assert (asked.state, asked.asked_by, asked.study) == ("asked", "ada", "made")
    assert asked.detail == {"why": "enough"}
    assert open_actions(store, launch_id) == [asked]
    assert open_actions(store, launch_id + 1) == []
    assert answer(store, asked, "done", "it stops")
    assert not answer(store, asked, "refused", "too late")
    assert open_actions(store, launch_id) == []
    store.end_launch(launch_id, "interrupted")
    assert states(store) == [("done", "it stops")]
    assert list_actions(store)[0].answered_at is not None


def test_an_answer_counts_though_the_server_went_away_as_it_was_written(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ask(store, stop(begin_launch(store)))
    once = store.transaction
    written: list[sa.Connection] = []
    monkeypatch.setattr(store, "transaction", lambda work: (once(work), once(work))[1])
    assert answer(store, asked, "done", "it stops", written.append)
    assert len(written) == 1
    assert not answer(store, asked, "refused", "it has ended", written.append)
    assert states(store) == [("done", "it stops")]


def test_a_launch_that_ends_refuses_what_it_did_not_answer(store: Store) -> None:
    launch_id, other = begin_launch(store), begin_launch(store)
    for each in (launch_id, other):
        ask(store, stop(each))
    store.end_launch(launch_id, "done")
    assert states(store) == [("refused", f"launch {launch_id} had ended"), ("asked", None)]
    late = ask(store, stop(launch_id))
    assert (late.state, late.answer) == ("refused", f"launch {launch_id} had ended")
    assert ask(store, stop(99)).answer == "there is no launch 99"


def test_what_a_dead_launch_was_asked_for_is_found_and_refused(store: Store) -> None:
    here: dict[str, Any] = {"host": platform.node(), "pid": os.getpid(), "process": None}
    launch_id = begin_launch(store, **here)
    ask(store, stop(launch_id))
    assert check_store(store).findings == []
    refuse_unheard(store)
    assert states(store) == [("asked", None)]
    with store.engine.begin() as connection:
        connection.execute(sa.update(schema.launches).values(process="another process"))
        connection.execute(sa.update(schema.launches).values(host="x", heartbeat_at=long_ago()))
    assert [each.table for each in check_store(store).findings] == [
        "search_launches",
        "search_actions",
    ]
    refuse_unheard(store)
    assert states(store) == [("refused", f"launch {launch_id} had ended")]


def long_ago() -> object:
    return sa.literal(schema.utc_now().replace(year=2020), schema.UtcDateTime())


def test_what_the_store_does_itself_is_done_and_recorded_together_and_once(store: Store) -> None:
    action = NewAction(verb="note", asked_by="bob", study="made")
    done: list[int] = []

    def work(connection: sa.Connection) -> Answer:
        done.append(1)
        return Answer("done", "it is noted")

    def fails(connection: sa.Connection) -> Answer:
        raise KeyError("no")

    with pytest.raises(KeyError):
        act(store, action, fails)
    assert list_actions(store) == []
    first = act(store, action, work)
    assert act(store, action, work) == first  # As after an outage: its uid tells.
    assert done == [1]
    assert [each.verb for each in list_actions(store, study="made", limit=1)] == ["note"]
    assert list_actions(store, study="other") == []
