"""A search that runs is acted upon from its page in Chromium; the server is killed in between."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from playwright.sync_api import Browser, Page, expect

from storage import open_store
from storage.actions import list_actions
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


def test_a_search_is_acted_upon_while_it_runs(browser: Browser, tmp_path: Path) -> None:
    space = tmp_path / "space.yaml"
    space.write_text(json.dumps(ACTED))
    url = f"sqlite:///{tmp_path / 's.db'}"
    command = [sys.executable, "-m", "search.launch", "--space", str(space), "--storage", url]
    launch = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    context = browser.new_context(http_credentials={"username": "anne", "password": "secret"})
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    try:
        until(lambda: (tmp_path / "s.db").exists())
        with closing(open_store(url)) as store, serving(url, environment=USER) as server:
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
            done = {each.verb: each for each in list_actions(store, study="acted")}
            assert {each.asked_by for each in done.values()} == {"page anne"}
            assert {each.state for each in done.values()} == {"done"}
            study = optuna.load_study(study_name="acted", storage=store.optuna_storage)
            queued = [t for t in study.trials if "fixed_params" in t.system_attrs]
            assert {"learning_rate": 0.002} in [t.system_attrs["fixed_params"] for t in queued]
            ended = study.trials[done["stop-trial"].trial_number or 0]
            assert ended.state.is_finished()
            (now,) = store.launches()
            assert now.config["budget"]["trials"] == 57
            ask(page, "stop")
            server.process.kill()
            assert launch.wait(WAIT_MS / 1000) is not None
            (ended_launch,) = store.launches()
            assert ended_launch.status == "interrupted"
            assert [each.state for each in list_actions(store)] == ["done"] * 6
    finally:
        launch.kill()
        launch.wait()
        context.close()
