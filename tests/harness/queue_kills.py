"""``python -m tests.harness.queue_kills``: a service under fire.

Users put launches into the queue over the HTTP API, agents run them, and at random moments one of
these is killed by SIGKILL: an agent, a launch's driver, one of its workers, the API's server, or
PostgreSQL, which is stopped as by a crash. What was killed is started again, as systemd would. With
every kill a request without a token, and one with a token that only reads, try to put a launch into
the queue, too. In the end every submission must be done, once, with its exact budget.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import psutil
from optuna.trial import TrialState

from search.workers.workers import MAX_WORKER_DEATHS
from space.errors import StorageError
from space.terminal.command import Parser, positive_int, run_command
from storage import Store, open_store
from storage.actions import list_actions
from storage.admin.check import check_store
from storage.submissions import MAX_DEATHS, list_submissions
from storage.tables.attributes import FAIL_REASON
from storage.tokens import create_token
from tests.benchmarks.results import Cell, Table, add_json_option, publish
from tests.harness.launches import WORKERS
from tests.postgresql import PostgresqlServer, programs

__all__ = ["main"]

VICTIMS = {"agent": 3, "driver": 3, "worker": 3, "server": 1, "postgresql": 1}
"""How often each is chosen, to one another."""
PAUSE_SECONDS = (1.0, 6.0)
N_TRIALS, N_EPOCHS = 6, 12
USERS = ("ada", "bob")


class Service:
    """PostgreSQL, a server and agents, all of which may be killed.

    Attributes:
        killed: Victim -> how often.
        n_let_in: Requests that should have been refused, and were not.
    """

    def __init__(
        self, directory: Path, database: PostgresqlServer, n_agents: int, seed: int
    ) -> None:
        """Start all of it."""
        self._directory, self._database = directory, database
        self._url = database.url("search")
        self._rng = random.Random(seed)
        self.store = self._made()
        self.tokens = {
            name: create_token(self.store, name, role, asked_by="harness")
            for name, role in [*((user, "editor") for user in USERS), ("carol", "reader")]
        }
        self._port = 0
        self._server = self._serve()
        self._agents = [self._agent() for _ in range(n_agents)]
        self.killed: Counter[str] = Counter()
        self._lost: Counter[int] = Counter()
        """Driver -> workers of it that were killed: one more, and a trial would rightly fail."""
        self.n_let_in = 0

    def _made(self) -> Store:
        self._database._execute("CREATE DATABASE search")
        return open_store(self._url)

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", *arguments],
            env={**os.environ, "SEARCH_STORAGE": self._url, "RAY_TMPDIR": str(self._directory)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _serve(self) -> subprocess.Popen[bytes]:
        self._port = self._port or 20_000 + self._rng.randrange(20_000)
        return self._start("search.serve", "--port", str(self._port))

    def _agent(self) -> subprocess.Popen[bytes]:
        where = str(self._directory / "checkpoints")
        return self._start("search.agent", "--cpus", "1", "--checkpoints", where)

    def submit(self, token: str | None, name: str) -> int:
        """Put a launch into the queue over the API; the status of the answer, 0 without any."""
        space = {
            "study": name,
            "trainable": "closed-form",
            "training": {"epochs": N_EPOCHS},
            "parameters": {
                "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True}
            },
            "options": {"sleep": 0.2},
            "sampler": {"name": "random", "seed": 0},
            "budget": {"trials": N_TRIALS},
        }
        body = {
            "command": "launch",
            "name": name,
            "files": {"space.json": json.dumps(space)},
            "arguments": ["--space", "space.json"],
        }
        head = {"Content-Type": "application/json", "Idempotency-Key": name}
        if token is not None:
            head["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._port}/api/v1/submissions",
            data=json.dumps(body).encode(),
            headers=head,
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def intrude(self) -> None:
        """Try what nobody may."""
        for token in (None, "search_nonsense", self.tokens["carol"]):
            self.n_let_in += 200 <= self.submit(token, "intruder") < 300

    def kill(self) -> None:
        """Kill something, and start it again."""
        (victim,) = self._rng.choices(list(VICTIMS), list(VICTIMS.values()))
        if victim == "postgresql":
            self._database.stop("immediate")
            time.sleep(self._rng.uniform(0.0, 3.0))
            self._database.start()
        elif victim == "server":
            _kill(self._server.pid)
            self._server.wait()
            self._server = self._serve()
        elif victim == "agent":
            place = self._rng.randrange(len(self._agents))
            _kill(self._agents[place].pid)
            self._agents[place].wait()
            self._agents[place] = self._agent()
        else:
            pid = self._victim(is_worker=victim == "worker")
            if pid is None or not _kill(pid):
                return
        self.killed[victim] += 1

    def _victim(self, *, is_worker: bool) -> int | None:
        """A driver of a launch, or a worker of one."""
        drivers = [launch.pid for launch in self.store.launches(status="running")]
        if not drivers:
            return None
        pid = self._rng.choice(drivers)
        if not is_worker and pid in self._spared():
            return None
        try:
            driver = psutil.Process(pid)
            if "search.launch" not in driver.cmdline():
                return None
            if not is_worker:
                return pid
            below = driver.children(recursive=True)
            workers = [each.pid for each in below if each.cmdline()[0].startswith(WORKERS)]
        except (psutil.Error, IndexError):
            return None
        if not workers or self._lost[pid] == MAX_WORKER_DEATHS:
            return None
        self._lost[pid] += 1
        return self._rng.choice(workers)

    def _spared(self) -> set[int | None]:
        """The drivers whose submission would rightly fail for one more death."""
        drivers = {each.launch_id: each.pid for each in self.store.launches(status="running")}
        running = list_submissions(self.store, "running")
        return {drivers.get(e.launch_id or 0) for e in running if e.deaths == MAX_DEATHS - 1}

    def close(self) -> None:
        """Stop all of it but PostgreSQL."""
        for process in (self._server, *self._agents):
            process.send_signal(signal.SIGTERM)
        for process in (self._server, *self._agents):
            process.wait()
        self.store.close()


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _until(done: Callable[[], bool], seconds: float) -> bool:
    """Wait for something; whether it came."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(0.5)
    return True


def faults(store: Store, names: Sequence[str], n_let_in: int) -> dict[str, Any]:
    """What should not be there, counted once everything has ended."""
    done = Counter(each.name for each in list_submissions(store, "done"))
    states: Counter[str] = Counter()
    budget = doubled = missing = 0
    reasons: list[str] = []
    for name in names:
        try:
            study_id = store.study_id(name)
        except StorageError:
            continue  # It is lost, and counted so.
        trials = store.optuna_storage.get_all_trials(study_id)
        states.update(trial.state.name for trial in trials)
        budget += abs(len(trials) - N_TRIALS)
        n_epochs = store.n_epochs(study_id) - N_TRIALS * N_EPOCHS
        doubled, missing = doubled + max(0, n_epochs), missing + max(0, -n_epochs)
        reasons += [str(t.user_attrs[FAIL_REASON]) for t in trials if FAIL_REASON in t.user_attrs]
        statuses = Counter(launch.status for launch in store.launches(study_id))
        doubled += max(0, statuses["done"] - 1)
    for reason in reasons:
        print(f"a trial failed: {reason}", file=sys.stderr)
    findings = check_store(store).findings
    return {
        "lost submissions": sum(name not in done for name in names),
        "submissions doubled": sum(n - 1 for n in done.values()),
        "trials or epochs doubled": doubled,
        "epochs missing": missing,
        "trials in another state than COMPLETE": states.total() - states[TrialState.COMPLETE.name],
        "trials out of budget": budget,
        "what the store's check finds": len(findings),
        "open actions": sum(each.state == "asked" for each in list_actions(store)),
        "unauthorised requests let in": n_let_in,
        "submissions of nobody": sum(n not in names for n in done),
    }


def main(argv: list[str]) -> int:
    """Run the command; 1 if there is any fault, else 0."""
    parser = Parser(prog="python -m tests.harness.queue_kills", description=__doc__)
    parser.add_argument("--launches", type=positive_int, default=20, metavar="N")
    parser.add_argument("--agents", type=positive_int, default=3, metavar="N")
    parser.add_argument("--kills", type=int, default=100, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    add_json_option(parser)
    options = parser.parse_args(argv)
    binaries = programs()
    if binaries is None:
        raise RuntimeError("PostgreSQL's programs are not installed")
    names = [f"{USERS[n % 2]}-{n}" for n in range(options.launches)]
    with (
        tempfile.TemporaryDirectory(prefix="q-", dir="/tmp") as place,
        tempfile.TemporaryDirectory(prefix="q-pg-", dir="/tmp") as data,
        ExitStack() as stack,
    ):
        Path(data).chmod(0o755)
        database = PostgresqlServer(Path(data), binaries, fsync=True)
        stack.callback(database.stop, "immediate")
        service = Service(Path(place), database, options.agents, options.seed)
        began = time.monotonic()
        rng = random.Random(options.seed)
        try:
            for name in names:
                token = service.tokens[name.partition("-")[0]]
                if not _until(lambda n=name, t=token: service.submit(t, n) == 201, 120):
                    raise RuntimeError(f"{name} cannot be submitted")

            def is_over() -> bool:
                return not list_submissions(service.store, "queued", "running")

            while service.killed.total() < options.kills and not is_over():
                time.sleep(rng.uniform(*PAUSE_SECONDS))
                service.kill()
                service.intrude()
                print(dict(service.killed), file=sys.stderr)
            if not _until(is_over, 3600):
                print("not all came to an end", file=sys.stderr)
        finally:
            service.close()
        with closing(open_store(database.url("search"))) as store:
            found = faults(store, names, service.n_let_in)
            n_launches = len(store.launches())
    told: list[list[Cell]] = [
        ["submissions", len(names)],
        ["users", len(USERS)],
        ["agents", options.agents],
        ["launches that it took", n_launches],
        ["seconds", round(time.monotonic() - began)],
    ]
    kills: list[list[Cell]] = [[victim, n] for victim, n in sorted(service.killed.items())]
    publish(
        title=f"{service.killed.total()} kills of a service",
        module="tests.harness.queue_kills",
        argv=argv,
        tables=[
            Table(title="Kills by victim", columns=["victim", "kills"], rows=kills),
            Table(title="The service", columns=["what", "count"], rows=told),
            Table(title="Faults", columns=["fault", "found"], rows=[[*e] for e in found.items()]),
        ],
        notes=[
            f"Launches of {N_TRIALS} trials of {N_EPOCHS} epochs, put into the queue over the HTTP "
            "API, run by agents of one CPU each on PostgreSQL; every victim of a SIGKILL is "
            "started again at once."
        ],
        json_file=options.json,
    )
    return 1 if any(found.values()) else 0


if __name__ == "__main__":
    run_command(main)
