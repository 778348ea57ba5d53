"""Agents and launches that are killed at random moments lose nothing, and run nothing twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import sqlalchemy as sa

from storage import Store
from storage.admin.check import check_store
from storage.submissions import change_submission, list_submissions, submit
from storage.tables import schema
from storage.tables.service import NewAction
from tests.search.agent.pretend import MODULE
from tests.storage.test_submissions import new

N_SUBMISSIONS = 8
N_KILLS = 10


def start_agent(url: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", MODULE, "agent", url, "1"], stderr=subprocess.DEVNULL
    )


@pytest.mark.slow
def test_agents_and_launches_killed_at_random(store: Store, store_url: str) -> None:
    rng = random.Random(0)
    for number in range(N_SUBMISSIONS):
        submit(store, new(str(number)))
    # One is stopped whatever happens to it, and does not come back.
    stopped = submit(store, new("stopped", priority=1))
    agents = [start_agent(store_url) for _ in range(2)]
    n_killed: Counter[str] = Counter()
    is_asked = False
    while any(each.state in ("queued", "running") for each in list_submissions(store)):
        time.sleep(rng.uniform(0.2, 1.5))
        if not is_asked and any(
            s.submission_id == stopped for s in list_submissions(store, "running")
        ):
            action = NewAction(verb="stop", asked_by="ada", submission_id=stopped)
            is_asked = change_submission(store, action).state == "asked"
        victim = rng.randrange(2)
        running = store.launches(status="running")
        if n_killed.total() < N_KILLS:
            if running and rng.random() < 0.4:
                n_killed["launch"] += kill(rng.choice(running).pid)
            else:
                n_killed["agent"] += kill(agents[victim].pid)
        for place, agent in enumerate(agents):
            if agent.poll() is not None:
                agents[place] = start_agent(store_url)
    for agent in agents:
        agent.wait(timeout=600)
    assert n_killed.total() == N_KILLS
    states = Counter(each.state for each in list_submissions(store))
    assert set(states) <= {"done", "stopped"}
    assert states["done"] >= N_SUBMISSIONS
    # Every submission has one launch that was done; all others of it were killed before.
    statuses = Counter(each.status for each in store.launches())
    assert statuses["done"] <= N_SUBMISSIONS + 1
    assert statuses["done"] >= N_SUBMISSIONS
    assert statuses.total() - statuses["done"] <= n_killed["launch"]
    with store.engine.connect() as connection:
        open_ones = sa.select(schema.actions).where(schema.actions.c.state == "asked")
        assert connection.execute(open_ones).all() == []
    findings = [each for each in check_store(store).findings if each.table != "search_launches"]
    assert findings == []


def kill(pid: int) -> int:
    """Kill a process that this test started; say whether it was there."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return 0
    return 1


def test_two_agents_race_for_one_submission(store: Store, store_url: str, tmp_path: Path) -> None:
    submit(store, new("one"))
    agents = [start_agent(store_url) for _ in range(2)]
    for agent in agents:
        assert agent.wait(timeout=600) == 0
    assert [each.state for each in list_submissions(store)] == ["done"]
    assert [each.status for each in store.launches()] == ["done"]
