"""How many asks, reports and tells a second the HTTP API answers, beside Optuna's gRPC proxy.

    python -m tests.benchmarks.searching.api_load [--clients 1 10 50] [--seconds 8] [--json FILE]

In turn, each over a new SQLite store of ours: `search serve`, whose clients ask, report every epoch
and tell over HTTP connections that stay open; and Optuna's own server,
`optuna.storages.run_grpc_proxy_server`, whose clients are Optuna's `study.ask`, `trial.report` and
`study.tell` through `GrpcStorageProxy`. Clients are threads of one process, which have each trained
a trial before; trials have four epochs that take no time, proposals are random and nothing is
pruned: what is measured is the service.
Halfway through one more run with the most clients the API's server is killed and started again; the
store must then have every epoch and trial that a client was told of, once.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import grpc
import optuna

from dashboards.pages.guard import API
from space.terminal.command import EXIT_DONE, Parser, run_command
from storage import open_store
from storage.admin.check import check_store
from storage.tokens import create_token
from tests.benchmarks.results import Table, add_json_option, cpu_seconds, publish
from tests.dashboards.pages.web import serving

MODULE = "tests.benchmarks.searching.api_load"
N_EPOCHS = 4
SPACE: dict[str, Any] = {
    "study": "load",
    "trainable": "closed-form",
    "training": {"epochs": N_EPOCHS},
    "parameters": {
        "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
        "weight_decay": {"type": "float", "low": 1e-6, "high": 1e-1, "log": True},
    },
    "sampler": {"name": "random", "seed": 0},
    "budget": {"trials": 1_000_000},
}
METRICS = {"val_error": 0.2, "val_loss": 0.3, "train_loss": 0.1, "train_error": 0.1}
PROXY = """
import sys, optuna
from optuna.storages import RDBStorage, run_grpc_proxy_server
optuna.logging.set_verbosity(optuna.logging.WARNING)
run_grpc_proxy_server(RDBStorage(sys.argv[1]), host="127.0.0.1", port=int(sys.argv[2]))
"""
Timed = Callable[[Callable[[], Any]], Any]
"""Does something, and keeps how long it took."""


class ApiClient:
    """A client of the HTTP API, over a connection that stays open."""

    def __init__(self, address: str, token: str) -> None:
        """Begin a launch."""
        self._host = urlsplit(address).netloc
        self._token = token
        self._connection = http.client.HTTPConnection(self._host, timeout=300)
        self._launch = self.post("/launches", {"space": SPACE})["launch"]
        self._n_asked = 0

    def post(self, path: str, body: Any, key: str = "") -> Any:
        """One request, sent again until it is answered."""
        sent = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        if key:
            sent["Idempotency-Key"] = key
        while True:
            try:
                self._connection.request("POST", f"{API}{path}", json.dumps(body), sent)
                answer = self._connection.getresponse()
                said = json.loads(answer.read())
            except (OSError, http.client.HTTPException, json.JSONDecodeError):
                self._connection.close()
                time.sleep(0.05)
                continue
            if answer.status >= 300:
                raise RuntimeError(f"{path}: {answer.status} {said}")
            return said

    def train(self, timed: Timed) -> None:
        """A trial from its ask to its end."""
        self._n_asked += 1
        path = f"/launches/{self._launch}"
        asked = timed(lambda: self.post(f"{path}/ask", {}, str(self._n_asked)))
        path = f"{path}/trials/{asked['trial']['number']}"
        for epoch in range(1, N_EPOCHS + 1):
            body = {"epoch": epoch, "metrics": METRICS}
            timed(lambda body=body: self.post(f"{path}/report", body))  # type: ignore[misc]
        timed(lambda: self.post(f"{path}/tell", {}))


class ProxyClient:
    """A client of Optuna's gRPC storage proxy."""

    def __init__(self, port: int) -> None:
        """Load the study."""
        storage = optuna.storages.GrpcStorageProxy(host="127.0.0.1", port=port)
        sampler = optuna.samplers.RandomSampler()
        self._study = optuna.load_study(study_name="load", storage=storage, sampler=sampler)
        float_ = optuna.distributions.FloatDistribution
        self._distributions: dict[str, optuna.distributions.BaseDistribution] = {
            "learning_rate": float_(1e-4, 1e-1, log=True),
            "weight_decay": float_(1e-6, 1e-1, log=True),
        }

    def train(self, timed: Timed) -> None:
        """A trial from its ask to its end."""
        trial = timed(lambda: self._study.ask(self._distributions))
        for epoch in range(1, N_EPOCHS + 1):
            timed(lambda epoch=epoch: trial.report(0.2, epoch))  # type: ignore[misc]
        timed(lambda: self._study.tell(trial, 0.2))


def load(clients: list[Any], seconds: float) -> tuple[int, list[float]]:
    """Have clients train side by side; say how many trials ended, and what each request took."""
    took: list[float] = []
    n_trials: list[int] = []
    end = time.monotonic() + seconds

    def timed(work: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        found = work()
        took.append(time.perf_counter() - began)
        return found

    def work(client: Any) -> None:
        while True:
            client.train(timed)
            n_trials.append(1)
            if time.monotonic() >= end:
                break

    threads = [threading.Thread(target=work, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(n_trials), took


def row(name: str, pid: int, clients: list[Any], seconds: float) -> list[Any]:
    """A server's row of the table."""
    load(clients, 0.0)
    began, busy = time.perf_counter(), cpu_seconds(pid)
    _, took = load(clients, seconds)
    wall, busy = time.perf_counter() - began, cpu_seconds(pid) - busy
    cuts = statistics.quantiles(took, n=100)
    cpu = 1000 * busy / len(took)
    return [name, len(clients), len(took) / wall, 1000 * cuts[49], 1000 * cuts[98], cpu]


@contextmanager
def new_store() -> Iterator[tuple[str, str]]:
    """A store's URL, and a token."""
    with tempfile.TemporaryDirectory() as directory:
        url = f"sqlite:///{directory}/s.db"
        with contextlib.closing(open_store(url)) as store:
            token = create_token(store, "load", "editor", asked_by="benchmark")
        yield url, token


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def proxy(url: str) -> Iterator[tuple[int, int]]:
    """Optuna's server over a store; its port and its process."""
    with contextlib.closing(open_store(url)) as store:
        optuna.create_study(study_name="load", storage=store.optuna_storage)
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", PROXY, url, str(port)])
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            grpc.channel_ready_future(channel).result(timeout=120)
        yield port, process.pid
    finally:
        process.kill()
        process.wait()


def of_api(n_clients: int, seconds: float) -> list[Any]:
    """The API's row."""
    with (
        new_store() as (url, token),
        serving(url, "--rate", "1e6", module="search.serve") as server,
    ):
        # What the pages need is loaded once the server has begun.
        with urllib.request.urlopen(f"{server.address}/dashboard") as answer:
            answer.read()
        clients = [ApiClient(server.address, token) for _ in range(n_clients)]
        return row("search serve", server.process.pid, clients, seconds)


def of_proxy(n_clients: int, seconds: float) -> list[Any]:
    """Optuna's row."""
    with new_store() as (url, _), proxy(url) as (port, pid):
        clients = [ProxyClient(port) for _ in range(n_clients)]
        return row("Optuna's gRPC proxy", pid, clients, seconds)


def restarted(n_clients: int, seconds: float) -> list[Any]:
    """Kill the server while clients ask and tell, and count what the store has."""
    port = free_port()
    with new_store() as (url, token):
        address = f"http://127.0.0.1:{port}"
        with serving(url, "--rate", "1e6", module="search.serve", port=port) as server:
            clients = [ApiClient(address, token) for _ in range(n_clients)]
            threading.Timer(
                seconds / 2, lambda: os.kill(server.process.pid, signal.SIGKILL)
            ).start()
            counted: list[int] = []
            training = threading.Thread(target=lambda: counted.append(load(clients, seconds)[0]))
            training.start()
            server.process.wait()
        with serving(url, "--rate", "1e6", module="search.serve", port=port):
            training.join()
        with contextlib.closing(open_store(url)) as store:
            trials = store.optuna_storage.get_all_trials(store.study_id("load"))
            n_epochs = store.n_epochs(store.study_id("load"))
            n_complete = sum(trial.state.name == "COMPLETE" for trial in trials)
            n_findings = len(check_store(store).findings)
    n_told = counted[0]
    lost = n_told - n_complete, n_told * N_EPOCHS - n_epochs
    return [n_clients, n_told, len(trials) - n_told, *lost, n_findings]


def main(argv: list[str]) -> int:
    """Run the benchmark."""
    parser = Parser(prog=f"python -m {MODULE}", description=__doc__)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 10, 50])
    parser.add_argument("--seconds", type=float, default=8.0)
    add_json_option(parser)
    options: argparse.Namespace = parser.parse_args(argv)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    busy = os.getloadavg()[0]
    rows = [
        measure(n_clients, options.seconds)
        for n_clients in options.clients
        for measure in (of_api, of_proxy)
    ]
    columns = ["server", "clients", "requests a second", "median ms", "p99 ms"]
    columns.append("server's CPU ms a request")
    served = Table(title="Asking, reporting, telling", columns=columns, rows=rows)
    columns = ["clients", "trials told", "others", "trials lost", "epochs lost", "findings"]
    killed = Table(
        title="The API's server killed and started again",
        columns=columns,
        rows=[restarted(max(options.clients), options.seconds)],
    )
    publish(
        title="The HTTP API beside Optuna's gRPC storage proxy",
        module=MODULE,
        argv=argv,
        tables=[served, killed],
        notes=[
            "A request is what a client does: an ask, a report of an epoch, a tell. The API's are "
            "one HTTP request each; it stores an epoch with its four metrics and renews leases. "
            "Optuna's are one to three calls each, of which the ask and the tell decide in the "
            "client; it stores an epoch's objective alone.",
            f"Other processes kept {busy:.1f} of the machine's {os.cpu_count()} CPUs' worth of "
            "work ready to run when it began (load average): on a quiet machine both answer "
            "sooner, and the CPU time a request says by how much they differ.",
        ],
        json_file=options.json,
    )
    return EXIT_DONE


if __name__ == "__main__":
    run_command(main)
