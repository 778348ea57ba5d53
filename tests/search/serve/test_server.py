"""A server of its own process: the guide's commands, and kills while clients train."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

import search
from dashboards.pages.guard import API
from storage import Store
from storage.admin.check import check_store
from storage.tokens import create_token
from tests.dashboards.pages.web import serving
from tests.search.serve.conftest import FOUR, METRICS, silence

ROOT = Path(__file__).resolve().parents[3]
GUIDE = (ROOT / "docs" / "guide" / "api.md").read_text(encoding="utf-8")
N_TRIALS, N_EPOCHS, N_CLIENTS, N_KILLS = 9, 3, 3, 2
CLIENT = """
import json, sys, time, urllib.request
api, token, space, metrics = sys.argv[1:]
def ask(path, body):
    request = urllib.request.Request(f"{api}{path}", json.dumps(body).encode(), {
        "Authorization": f"Bearer {token}", "Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request))
launch = ask("/launches", {"space": json.loads(space)})["launch"]
trial = ask(f"/launches/{launch}/ask", {})["trial"]
ask(f"/launches/{launch}/trials/{trial['number']}/report",
    {"epoch": 1, "metrics": json.loads(metrics)})
print(launch, flush=True)
time.sleep(600)
"""


def url_of(store: Store) -> str:
    return store.url.render_as_string(hide_password=False)


def post(address: str, token: str, path: str, body: Any, key: str = "") -> Any:
    """Ask until the server answers, with the same key."""
    sent = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    if key:
        sent["Idempotency-Key"] = key
    while True:
        raw = json.dumps(body).encode()
        request = urllib.request.Request(f"{address}{API}{path}", raw, sent)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error.code} {error.read().decode()}") from error
        except (OSError, json.JSONDecodeError):
            time.sleep(0.05)


def test_the_commands_of_the_guide(store: Store) -> None:
    with search.open_study(space=FOUR, storage=url_of(store)) as study:
        trial = study.ask()
        assert trial is not None
        study.report(trial, METRICS)
    token = create_token(store, "ci", "editor", asked_by="test")
    blocks = re.findall(r"<!-- curl -->\n```sh\n(.*?)```", GUIDE, flags=re.DOTALL)
    assert len(blocks) == 3
    with serving(url_of(store), module="search.serve") as server:
        known = {**os.environ, "API": f"{server.address}{API}", "TOKEN": token}
        for block in blocks:
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", block],
                env=known, capture_output=True, text=True,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout + done.stderr
        assert '"answer": "it is stopped"' in done.stdout
    study = search.open_study("by-hand", storage=url_of(store))
    assert list(study.trials()["reason"]) == ["out of memory"]


@pytest.mark.slow
def test_a_client_and_the_server_are_killed_between_ask_and_tell(store: Store) -> None:
    token = create_token(store, "ci", "editor", asked_by="test")
    with serving(url_of(store), module="search.serve") as server:
        arguments = [f"{server.address}{API}", token, json.dumps(FOUR), json.dumps(METRICS)]
        with subprocess.Popen(
            [sys.executable, "-c", CLIENT, *arguments], stdout=subprocess.PIPE, text=True
        ) as client:
            assert client.stdout is not None
            dead = int(client.stdout.readline())
            client.kill()
        server.process.kill()
    silence(store, dead)
    with serving(url_of(store), module="search.serve") as server:
        launch = post(server.address, token, "/launches", {"study": "closed"})["launch"]
        trial = post(server.address, token, f"/launches/{launch}/ask", {})["trial"]
        assert (trial["number"], trial["runs"][0]["known"]) == (0, 1)
        for epoch in range(2, 5):
            body = {"epoch": epoch, "metrics": METRICS}
            said = post(server.address, token, f"/launches/{launch}/trials/0/report", body)
        assert said["state"] == "COMPLETE"
        post(server.address, token, f"/launches/{launch}/end", {})
    assert check_store(store).findings == []
    assert [each.status for each in store.launches()] == ["died", "done"]


@pytest.mark.slow
def test_a_server_that_is_killed_again_and_again(store: Store) -> None:
    """Whatever a client is sent no answer to, it sends again: nothing is lost, nothing done twice.

    Each client holds its launch through all of it.
    """
    space = {**FOUR, "training": {"epochs": N_EPOCHS}, "budget": {"trials": N_TRIALS}}
    token = create_token(store, "ci", "editor", asked_by="test")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    n_reports, kill_at = 0, threading.Semaphore(0)
    given: list[int] = []

    def train(name: int) -> None:
        nonlocal n_reports
        launch = post(address, token, "/launches", {"space": space}, f"begin-{name}")["launch"]
        for count in range(10_000):
            path = f"/launches/{launch}"
            answer = post(address, token, f"{path}/ask", {}, f"ask-{name}-{count}")
            trial = answer["trial"]
            if trial is None:
                if answer["finished"]:
                    break
                time.sleep(0.2)
                continue
            given.append(trial["number"])
            for epoch in range(1, N_EPOCHS + 1):
                body = {"epoch": epoch, "metrics": METRICS}
                post(address, token, f"{path}/trials/{trial['number']}/report", body)
                n_reports += 1
                if n_reports % 8 == 0:
                    kill_at.release()
            state = post(address, token, f"{path}/trials/{trial['number']}/tell", {})
            assert state == {"state": "COMPLETE"}
        post(address, token, f"{path}/end", {})

    clients = [threading.Thread(target=train, args=(name,)) for name in range(N_CLIENTS)]
    for client in clients:
        client.start()
    for n_kills in range(N_KILLS + 1):
        with serving(url_of(store), module="search.serve", port=port) as server:
            if n_kills < N_KILLS:
                assert kill_at.acquire(timeout=300)
                server.process.kill()
            else:
                for client in clients:
                    client.join(timeout=300)
                    assert not client.is_alive()
    study = search.open_study("closed", storage=url_of(store))
    assert study.counts["COMPLETE"] == N_TRIALS == sum(study.counts.values())
    assert len(study.epochs()) == N_TRIALS * N_EPOCHS
    assert sorted(given) == list(range(N_TRIALS))
    assert [each.status for each in store.launches()] == ["done"] * N_CLIENTS
    assert check_store(store).findings == []
