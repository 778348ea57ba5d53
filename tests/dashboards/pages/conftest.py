"""A real Chromium over the store of a small search."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import closing

import optuna
import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from storage import open_store
from tests.dashboards.made.bulk_benchmark import add_benchmark
from tests.dashboards.made.bulk_study import add_study
from tests.dashboards.pages.watched import N_TRIALS, WAIT_MS, Watched, watch
from tests.dashboards.pages.web import Server, serving
from tests.search.conftest import plan_of, search

SPACE = {
    "study": "seen",
    "trainable": "closed-form",
    "training": {"epochs": 2},
    "parameters": {
        "learning_rate": {"type": "float", "low": 1e-3, "high": 1e-1, "log": True},
        "weight_decay": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
    },
    "baselines": [{"learning_rate": 1e-2, "weight_decay": 1e-2}],
    "budget": {"trials": N_TRIALS},
}


@pytest.fixture(scope="package")
def searched(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a store that a search has filled, with hostile studies of nobody's beside."""
    directory = tmp_path_factory.mktemp("searched")
    path = directory / "space.yaml"
    path.write_text(json.dumps(SPACE))
    url = f"sqlite:///{directory / 's.db'}"
    plan = plan_of(path, url)
    with closing(open_store(url)) as store:
        search(plan, store)
        for launch in store.launches():
            store.end_launch(launch.launch_id, "done")
        add_study(store, n_trials=30, hostile=True)
        optuna.create_study(study_name="empty", storage=store.optuna_storage)
        add_benchmark(store, hostile=True, models=("mlp", "convnet", "siamese"), n_seeds=6)
    return url


@pytest.fixture(scope="package")
def server(searched: str) -> Iterator[Server]:
    """The store, served."""
    with serving(searched) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium as the system has it."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("there is no Chromium; on Debian: apt-get install chromium")
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        arguments = ["--disable-gpu", "--disable-gpu-compositing", "--disable-software-rasterizer"]
        # A container's root has no sandbox to put the browser in.
        arguments += ["--no-sandbox"] if os.geteuid() == 0 else []
        found = playwright.chromium.launch(executable_path=path, args=arguments)
        yield found
        found.close()


@pytest.fixture
def watched(browser: Browser, server: Server) -> Iterator[Watched]:
    """A page on which nothing may go wrong, and that may ask nobody but the server."""
    context = browser.new_context(viewport={"width": 1400, "height": 900}, color_scheme="light")
    context.set_default_timeout(WAIT_MS)
    seen = Watched(context.new_page(), server.address)
    watch(seen, server.address)
    yield seen
    context.close()
    assert seen.problems == []
