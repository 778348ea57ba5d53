"""Submissions as jobs of a Ray cluster's: of one that is pretended, and of a real one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import Any
from zipfile import ZipFile

import pytest
import ray

from search.agent import ray_jobs
from search.agent.__main__ import main
from search.agent.agency import Agency
from search.agent.children import Order
from search.agent.ray_jobs import RayJobs
from search.agent.room import Room
from space.errors import ClusterError, UsageError
from storage import Store, open_store
from storage.submissions import list_submissions, submission_of, submit
from storage.tables.service import WholeSubmission
from tests.harness.nodes import Cluster
from tests.search.agent.pretend import MODULE
from tests.search.service.test_commands import OBJECTIVE, OWN, RATES, SPACE
from tests.storage.test_submissions import change, new, taken

pytest.importorskip("aiohttp_cors", reason="ray[default] is not installed")

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_SECONDS = 300
"""For what takes seconds on a quiet machine."""


class Head:
    """Answers as the dashboard of a cluster's head does, and writes down what it is asked.

    Attributes:
        url: Where it is.
        answers: Beginning of a method and path -> status and JSON.
        asked: Method, path and body of each request.
    """

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, Any]] = {
            "GET /api/version": (200, {"ray_version": ray.__version__}),
            "PUT /api/packages": (200, {}),
            "POST /api/jobs/": (200, {"job_id": "a", "submission_id": "a"}),
        }
        self.asked: list[tuple[str, str, bytes]] = []
        head = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                head.asked.append((self.command, self.path, body))
                what = f"{self.command} {self.path}"
                fitting = [each for each in head.answers if what.startswith(each)]
                status, said = head.answers[max(fitting)] if fitting else (404, "not found")
                text = (said if isinstance(said, str) else json.dumps(said)).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_POST = do_PUT = do_GET

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def is_said(self, job: str, status: str, **more: Any) -> None:
        """Let a job be so."""
        answer = {"type": "SUBMISSION", "entrypoint": "a", "status": status, **more}
        self.answers[f"GET /api/jobs/{job}"] = (200, answer)


@pytest.fixture
def head(monkeypatch: pytest.MonkeyPatch) -> Iterator[Head]:
    monkeypatch.setattr(ray_jobs, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(ray_jobs, "PAUSE_SECONDS", 0.0)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    # Ray's client would rather go there.
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://127.0.0.1:1")
    made = Head()
    thread = Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def order(url: str) -> Order:
    return Order(
        arguments=["-m", "search.launch", "--space", "a b.yaml"],
        environment={"SEARCH_STORAGE": url, "SEARCH_SUBMISSION": "hold"},
        files={"a b.yaml": "study: made", ".gitignore": "*", "venv/net.py": "pass"},
    )


def test_a_job_is_told_all_but_the_store_s_password(head: Head, store: Store) -> None:
    submit(store, new())
    jobs = RayJobs(head.url)
    held = taken(store)
    child = jobs(
        held, order("postgresql+psycopg://me:first@host/db?password=second&sslmode=require")
    )
    ((_, _, body),) = [each for each in head.asked if each[:2] == ("POST", "/api/jobs/")]
    told = json.loads(body)
    assert told["entrypoint"] == "exec python -m search.launch --space 'a b.yaml'"
    assert told["submission_id"] == f"search-{held.submission_id}-{held.hold}"
    ((_, package, packed),) = [each for each in head.asked if each[0] == "PUT"]
    assert told["runtime_env"]["working_dir"] == f"gcs://{package.rpartition('/')[2]}"
    with ZipFile(BytesIO(packed)) as archive:
        assert archive.namelist() == ["a b.yaml", ".gitignore", "venv/net.py"]
        assert archive.read("a b.yaml") == b"study: made"
    variables = told["runtime_env"]["env_vars"]
    assert variables["SEARCH_STORAGE"] == "postgresql+psycopg://me@host/db?sslmode=require"
    assert variables["SEARCH_SUBMISSION"] == "hold"
    for _, _, each in head.asked:
        assert b"first" not in each
        assert b"second" not in each
    head.answers["GET /api/jobs/"] = (200, {"status": "unheard of"})
    with pytest.raises(ClusterError, match="not Ray"):
        child.poll()


@pytest.mark.parametrize(
    ("job", "status", "said"),
    [
        ({"status": "SUCCEEDED", "driver_exit_code": 0}, 0, None),
        ({"status": "STOPPED"}, 130, None),
        ({"status": "FAILED", "driver_exit_code": -9}, -9, None),
        ({"status": "FAILED", "driver_exit_code": 2, "message": "x:\nerror: a."}, 2, "a."),
        ({"status": "FAILED", "error_type": "JOB_SUPERVISOR_ACTOR_DIED"}, -9, None),
        ({"status": "FAILED", "error_type": "OTHER", "message": "It never began."}, 1, "never"),
    ],
)
def test_what_ray_says_of_a_job(
    head: Head, store: Store, job: dict[str, Any], status: int, said: str | None
) -> None:
    submit(store, new())
    held = taken(store)
    child = RayJobs(head.url)(held, order("sqlite:///s.db"))
    name = f"search-{held.submission_id}-{held.hold}"
    head.is_said(name, "PENDING")
    assert child.poll() is None
    head.is_said(name, **job)
    assert child.poll() == status
    if said is not None:
        assert said in child.said()


def test_a_job_is_asked_to_stop_until_it_has(head: Head, store: Store) -> None:
    submit(store, new())
    held = taken(store)
    child = RayJobs(head.url)(held, order("sqlite:///s.db"))
    name = f"search-{held.submission_id}-{held.hold}"
    head.is_said(name, "RUNNING")
    assert child.poll() is None
    child.interrupt()
    head.answers[f"POST /api/jobs/{name}/stop"] = (500, "Traceback")
    with pytest.raises(ClusterError, match="does not answer"):
        child.poll()
    head.answers[f"POST /api/jobs/{name}/stop"] = (200, {"stopped": True})
    for _ in range(2):
        assert child.poll() is None
    stops = [path for _, path, _ in head.asked if path.endswith("/stop")]
    assert len(stops) == 3
    head.is_said(name, "STOPPED")
    assert child.poll() == 130


def test_a_cluster_that_was_started_anew_knows_no_job(head: Head, store: Store) -> None:
    submit(store, new())
    held = taken(store)
    child = RayJobs(head.url)(held, order("sqlite:///s.db"))
    head.answers["GET /api/jobs/search"] = (404, "There is nothing here")
    with pytest.raises(ClusterError, match="404"):
        child.poll()
    gone = f"Job search-{held.submission_id}-{held.hold} does not exist"
    head.answers["GET /api/jobs/search"] = (404, gone)
    assert child.poll() == -signal.SIGKILL


def test_what_the_cluster_does_not_take_now_stays_in_the_queue(head: Head, store: Store) -> None:
    number = submit(store, new())
    jobs = RayJobs(head.url)
    agency = Agency(store, Room(cpus=1, gpus=()), checkpoints=Path("where"), launch=jobs)
    head.answers["POST /api/jobs/"] = (500, "No available agent to submit job.")
    with pytest.raises(ClusterError, match="No available agent"):
        agency.run(lambda: False, once=True)
    found = submission_of(store, number)
    assert found is not None
    assert (found.state, found.deaths) == ("queued", 0)
    assert "No available agent" in str(found.reason)
    head.answers["POST /api/jobs/"] = (413, "Too large")
    agency = Agency(store, Room(cpus=1, gpus=()), checkpoints=Path("where"), launch=jobs)
    agency.run(lambda: False, once=True)
    found = submission_of(store, number)
    assert found is not None
    assert found.state == "failed"
    assert "Too large" in str(found.reason)


def test_a_server_that_never_answers_is_not_waited_for(
    head: Head, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_jobs, "ANSWER_SECONDS", 0.2)
    head.server.shutdown()  # It listens, and that is all.
    with pytest.raises(ClusterError, match="not within"):
        RayJobs(head.url)


@pytest.mark.parametrize(
    ("version", "says"),
    [
        ((200, {"version": 4}), "not Ray"),
        ((200, []), "not Ray"),
        ((200, "<html>"), "HTTP"),
        ((404, ""), "404"),
        ((401, "Missing authentication token"), "RAY_AUTH_MODE"),
    ],
)
def test_who_is_no_head_of_a_cluster_is_refused(
    head: Head, version: tuple[int, Any], says: str
) -> None:
    head.answers["GET /api/version"] = version
    with pytest.raises(ClusterError, match=says):
        RayJobs(head.url)


def test_who_does_not_speak_tls_is_said_not_to(head: Head) -> None:
    with pytest.raises(ClusterError, match="TLS"):
        RayJobs(head.url.replace("http:", "https:"))


@pytest.mark.parametrize(
    "url",
    ["", "head", "head:8265", "ray://head:10001", "http://", "http://h:99999", "http://h:0",
     "http://h:8265/#/jobs", "os://system", "http://[::1"],
)  # fmt: skip
def test_what_is_no_url_of_a_dashboard_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="--ray-jobs"):
        RayJobs(url)


def test_no_password_of_a_proxy_is_shown() -> None:
    with pytest.raises(ClusterError, match=r"http://127\.0\.0\.1:1/x") as caught:
        RayJobs("http://me:secret@127.0.0.1:1/x")
    assert "secret" not in str(caught.value)


def test_where_ray_s_client_is_not_installed_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.dashboard.modules.job.sdk.requests", None)
    with pytest.raises(UsageError, match=r"pip install 'digit-pair-search\[rayjobs\]'"):
        RayJobs("http://127.0.0.1:1")


def test_the_cluster_is_named_once(tmp_path: Path) -> None:
    arguments = ["--ray-jobs", "http://h:1", "--ray-address", "auto"]
    with pytest.raises(UsageError, match="--ray-address"):
        main([*arguments, "--storage", str(tmp_path / "s.db"), "--once"])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A head with a dashboard."""
    made = Cluster(tmp_path_factory.mktemp("head"), dashboard=True)
    made.environment["PYTHONPATH"] = str(ROOT)
    try:
        made.add("--num-cpus=2", "--num-gpus=0")
        yield made
    finally:
        made.close()


class Agents:
    """Starts agents that a test may kill."""

    def __init__(self, cluster: Cluster, url: str) -> None:
        self._cluster, self._url = cluster, url
        self.started: list[subprocess.Popen[str]] = []

    def start(self, seconds: int) -> subprocess.Popen[str]:
        """Start one whose launches take so long."""
        command = [
            sys.executable,
            "-m",
            MODULE,
            "agent",
            self._url,
            str(seconds),
            self._cluster.url,
        ]
        agent = subprocess.Popen(
            command, env=self._cluster.environment, cwd=ROOT, stderr=subprocess.PIPE, text=True
        )
        self.started.append(agent)
        return agent


@pytest.fixture
def agents(cluster: Cluster, store_url: str) -> Iterator[Agents]:
    made = Agents(cluster, store_url)
    yield made
    for agent in made.started:
        agent.kill()
        agent.communicate()


def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.2)


@pytest.mark.slow
def test_kills_and_stops_of_agents_and_jobs_lose_nothing(agents: Agents, store: Store) -> None:
    number = submit(store, new())

    def seen() -> WholeSubmission:
        found = submission_of(store, number)
        assert found is not None
        return found

    first = agents.start(600)
    until(lambda: len(store.launches()) == 1)
    os.kill(store.launches()[0].pid, signal.SIGKILL)
    until(lambda: len(store.launches()) == 2)
    assert seen().deaths == 1
    first.send_signal(signal.SIGTERM)
    assert first.wait(PATIENCE_SECONDS) == 0
    assert seen().state == "queued"
    second = agents.start(600)
    until(lambda: len(store.launches()) == 3)
    second.kill()
    # The launch goes on without its agent; the next one hears of its end, and begins no other.
    third = agents.start(0)
    assert change(store, number, "stop")[0] == "asked"
    os.kill(store.launches()[2].pid, signal.SIGKILL)
    assert third.wait(PATIENCE_SECONDS) == 0
    assert seen().state == "stopped"
    assert len(store.launches()) == 3


@pytest.mark.slow
def test_a_real_launch_joins_the_cluster_of_its_job_and_a_bad_file_is_told(
    cluster: Cluster, tmp_path: Path
) -> None:
    (tmp_path / "wave.py").write_text(OWN)
    tree = {**SPACE, "trainable": "wave.py:wave", "parameters": RATES, "objective": OBJECTIVE}
    (tmp_path / "own.json").write_text(json.dumps(tree))
    url = str(tmp_path / "s.db")

    def run(*words: str) -> None:
        command = [sys.executable, "-m", "search", *words, "--storage", url]
        subprocess.run(command, env=cluster.environment, cwd=tmp_path, check=True)

    run("submit", "--space", "own.json")
    with closing(open_store(url)) as store:
        submit(store, new("bad", files={"space.yaml": "study: made"}))
        run("agent", "--ray-jobs", cluster.url, "--once")
        own, bad = list_submissions(store)
        assert (own.state, own.reason, bad.state) == ("done", None, "failed")
        assert str(bad.reason).startswith("space.yaml: ")
        trials = store.optuna_storage.get_all_trials(store.study_id("closed"))
        assert [trial.value for trial in trials] == [trial.params["rate"] for trial in trials]
        assert len(trials) == 2
