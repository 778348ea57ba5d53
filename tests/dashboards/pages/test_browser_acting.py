"""A search is queued and acted upon in Chromium; its launch and the server are killed meanwhile."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import optuna
import pytest
from playwright.sync_api import Browser, Page, expect

from storage import open_store
from storage.actions import list_actions
from storage.submissions import list_submissions
from tests.dashboards.pages.conftest import SPACE
from tests.dashboards.pages.watched import WAIT_MS
from tests.dashboards.pages.web import serving

pytestmark = [pytest.mark.browser, pytest.mark.slow]

USER = {"SEARCH_DASHBOARD_USER": "anne", "SEARCH_DASHBOARD_PASSWORD": "secret"}
ACTED = {
    **SPACE,
    "study": "acted",
    "training": {"epochs": 200},
    "options": {"sleep": 0.3},
    "budget": {"trials": 50},
    "confirm": {"top": 0},
}


def until(holds: Callable[[], bool]) -> None:
    """Wait for something; what takes longer than a page may take never comes."""
    end = time.monotonic() + WAIT_MS / 1000
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.2)


def ask(page: Page, verb: str, **fields: str) -> None:
    """Fill a form of the page and send it."""
    form = page.locator(f'form:has(input[name="verb"][value="{verb}"])').first
    for name, value in fields.items():
        form.locator(f'[name="{name}"]').fill(value)
    with page.expect_navigation():
        form.get_by_role("button").first.click()


def press(page: Page, verb: str) -> None:
    """Press a button of the newest row of the queue that has it."""
    with page.expect_navigation():
        page.locator(f'.rows button[value="{verb}"]').last.click()


def freeze(pid: int, database: Path) -> None:
    """Have a process stand still where it does not keep the store from being written."""
    while True:
        os.kill(pid, signal.SIGSTOP)
        try:
            with closing(sqlite3.connect(database, timeout=0.1)) as connection:
                connection.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError:
            os.kill(pid, signal.SIGCONT)


def test_a_search_is_queued_and_acted_upon_while_it_runs(browser: Browser, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 's.db'}"
    command = [sys.executable, "-m", "search.agent", "--storage", url, "--cpus", "1"]
    context = browser.new_context(http_credentials={"username": "anne", "password": "secret"})
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    with closing(open_store(url)) as store, ExitStack() as opened:
        opened.callback(context.close)
        server = opened.enter_context(serving(url, environment=USER, module="search.serve"))

        def state() -> str:
            (submission,) = list_submissions(store)
            return submission.state

        page.goto(f"{server.address}/queue")
        page.get_by_text("Start a search or a benchmark").click()
        ask(page, "submit", file=json.dumps(ACTED), arguments="--speed 3")
        expect(page.get_by_role("alert")).to_contain_text("--speed")
        ask(page, "submit", arguments="")
        for verb, after in (
            ("priority", "queued"),
            ("stop", "stopped"),
            ("resume", "queued"),
            ("pause", "paused"),
            ("resume", "queued"),
        ):
            press(page, verb)
            until(lambda: state() == after)  # noqa: B023
        assert [each.priority for each in list_submissions(store)] == [1]

        agent = subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        opened.callback(agent.wait)
        opened.callback(agent.terminate)
        until(lambda: bool(store.runs(state="running")))
        page.goto(f"{server.address}/study/1")
        # What runs now, until when, and what decides next, without scrolling.
        expect(page.locator("#now")).to_contain_text("Searching now")
        expect(page.locator("#now")).to_contain_text("decided next by")
        box = page.locator("#now .lead").bounding_box()
        assert box is not None
        assert box["y"] + box["height"] < 720
        page.locator("#now").get_by_role("link", name="Stop it").click()
        ask(page, "note", text="It goes well.")
        ask(page, "tag", text="kept")
        ask(page, "queue-trial", **{"value.learning_rate": "0.002"})
        ask(page, "add-budget", trials="7")
        ask(page, "stop-trial")
        expect(page.locator("#summary tr:has-text('asked')")).to_have_count(0)
        # The page may show what was true before the last form was sent.
        until(lambda: "asked" not in {each.state for each in list_actions(store)})
        done = {each.verb: each for each in list_actions(store)}
        assert {each.asked_by for each in done.values()} == {"page anne"}
        assert {each.state for each in done.values()} == {"done"}
        study = optuna.load_study(study_name="acted", storage=store.optuna_storage)
        queued = [t for t in study.trials if "fixed_params" in t.system_attrs]
        assert {"learning_rate": 0.002} in [t.system_attrs["fixed_params"] for t in queued]
        assert study.trials[done["stop-trial"].trial_number or 0].state.is_finished()
        (now,) = store.launches()
        assert now.config["budget"]["trials"] == 57

        # Killed in the middle of what it was asked for: the agent stops it, the next launch says
        # that the other is not to be had.
        freeze(now.pid, tmp_path / "s.db")
        ask(page, "add-budget", trials="3")
        ask(page, "stop")
        assert [each.state for each in list_actions(store)[:2]] == ["asked", "asked"]
        os.kill(now.pid, signal.SIGKILL)
        until(lambda: state() == "stopped")
        page.goto(f"{server.address}/queue")
        press(page, "resume")
        until(lambda: any(run.launch_id != now.launch_id for run in store.runs(state="running")))
        _, stop, budget = list_actions(store)[:3]
        assert (stop.verb, stop.state) == ("stop", "done")
        assert (budget.verb, budget.state) == ("add-budget", "refused")
        page.reload()
        press(page, "pause")
        # What was asked for holds without the server that asked.
        server.process.kill()
        until(lambda: state() == "paused")
        assert [launch.status for launch in store.launches()][1] == "interrupted"
        assert "asked" not in {each.state for each in list_actions(store)}
