"""What a running launch says of itself, and what a page shows of it."""

from __future__ import annotations

import datetime
import html
import re
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
import sqlalchemy as sa

from dashboards.numbers.now import SILENT_SECONDS, read_now
from dashboards.pages.site import Site
from search.launch.plan import Plan
from search.launch.study import run_study
from search.runs import lease
from search.trials.study import open_study
from storage import Store, open_store
from storage.tables import schema
from storage.tables.records import CourseRecord
from tests.dashboards.pages.web import request
from tests.search.conftest import Recorder
from tests.search.here import Here
from trainables.worker import usage

MakePlan = Callable[..., Plan]


@pytest.fixture
def chatty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is said at once."""
    monkeypatch.setattr(lease, "HEARTBEAT_SECONDS", 0.0)
    monkeypatch.setattr(usage, "SECONDS", 0.0)


def look_while_it_runs(plan: Plan, store: Store, here: Here, look: Callable[[], Any]) -> list[Any]:
    """What is seen from outside once a few epochs are trained."""
    seen: list[Any] = []
    here.at[7] = lambda: seen.append(look())
    run_study(plan, open_study(store, plan.space, plan.place.data), Recorder())
    return seen


@pytest.mark.usefixtures("chatty")
def test_a_launch_says_what_its_workers_do(plan_for: MakePlan, store: Store, here: Here) -> None:
    plan = plan_for(budget={"trials": 3, "time_limit": "1h"}, confirm={"top": 0})

    def look() -> tuple[CourseRecord | None, set[int]]:
        with closing(open_store(store.url.render_as_string(hide_password=False))) as other:
            return other.course(1), {run.run_id for run in other.runs(state="running")}

    ((course, running),) = look_while_it_runs(plan, store, here, look)
    assert course is not None
    assert course.purpose == "search"
    assert 0 < course.n_epochs <= 7
    assert course.seconds_left is not None
    assert 3000 < course.seconds_left <= 3600
    assert {run_id for worker in course.workers for run_id in worker.runs} == running
    named = [worker for worker in course.workers if worker.name is not None]
    assert named
    assert all(worker.memory and worker.memory > 2**20 for worker in named)
    assert all(worker.cpu is not None and worker.gpu_memory is None for worker in named)


@pytest.mark.usefixtures("chatty")
def test_a_page_says_it_and_when_it_was_true(plan_for: MakePlan, store: Store, here: Here) -> None:
    plan = plan_for(budget={"trials": 3}, confirm={"top": 0}, pruner={"name": "asha"})

    def look() -> tuple[str, bool]:
        found = request(Site(store), "/now/study/1").json()
        return html.unescape(found["summary"]), found["running"]

    ((said, running),) = look_while_it_runs(plan, store, here, look)
    assert running
    assert "Searching now" in said
    assert "/study/1/trial/0" in said
    assert "decided next by" in said
    assert re.search(r"\d [KMG]iB", said)  # what the worker holds: more or less than a GiB
    assert "ends <time" in said
    after = request(Site(store), "/now/study/1").json()
    assert after == {**after, "summary": "", "running": False}


@pytest.mark.usefixtures("chatty")
def test_what_was_not_heard_of_for_long_is_said_to_be_old(
    plan_for: MakePlan, store: Store, here: Here
) -> None:
    plan = plan_for(budget={"trials": 3}, confirm={"top": 0})

    def look() -> tuple[bool, str]:
        heard = schema.launches.c.heartbeat_at
        with store.engine.begin() as connection:
            then = connection.execute(sa.select(heard)).scalar_one()
            assert then is not None
            earlier = then - datetime.timedelta(seconds=SILENT_SECONDS + 5)
            connection.execute(schema.launches.update().values(heartbeat_at=earlier))
        (now,) = read_now(store, store.launches())
        return now.is_silent, request(Site(store), "/now/study/1").json()["summary"]

    ((silent, said),) = look_while_it_runs(plan, store, here, look)
    assert silent
    assert "Nothing was heard of launch 1" in said


@pytest.mark.usefixtures("chatty")
def test_why_a_launch_failed_stays_on_the_page_and_not_in_the_next_ones_words(
    plan_for: MakePlan, store: Store, here: Here
) -> None:
    plan = plan_for(budget={"trials": 3}, confirm={"top": 0})

    def break_off() -> None:
        raise RuntimeError("the disk is on fire")

    here.at[5] = break_off
    opened = open_study(store, plan.space, plan.place.data)
    with pytest.raises(RuntimeError):
        run_study(plan, opened, Recorder())
    said = store.course(1)
    assert said is not None
    assert said.warnings == ("the launch failed: the disk is on fire",)
    details = html.unescape(request(Site(store), "/data/study/1").json()["details"])
    assert "What its last launch said" in details
    assert "the disk is on fire" in details
    run_study(plan, open_study(store, plan.space, plan.place.data), Recorder())
    after = store.course(2)
    assert after is not None
    assert after.warnings == ()
