"""``python -m tests.harness.shared_store``: PostgreSQL stops, and launches are killed.

Three things are done to a small search on a real server, again and again at random moments:

    outages   the server is stopped for half a minute once and restarted twice, once by a crash
    killed    two launches share the study, and one of them is killed: the other goes on with its
              trials, and the same command afterwards finds nothing left to do
    cut off   two launches share the study, and an outage cuts both off: each keeps its trials

Afterwards the study is compared with one that nobody disturbed, number by number, and the store is
checked as ``python -m storage check`` does it.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from space.errors import UsageError
from space.terminal.command import Parser, positive_int, run_command
from storage import Store, open_store
from storage.admin.check import check_store
from storage.tables import schema

from ..benchmarks.results import Table, add_json_option, publish
from ..postgresql import PostgresqlServer, programs
from .searches import (
    Curve,
    Losses,
    count_epochs,
    inspect,
    kill,
    make_space,
    processes,
    start,
    undisturbed,
    wait_until,
)

__all__ = ["Found", "Outage", "SharedStore"]

Launch = subprocess.Popen[str]


@dataclass(frozen=True, kw_only=True)
class Outage:
    """A stop of the server.

    Attributes:
        at: Share of the study's epochs that are recorded when it begins.
        seconds: How long the server is away.
        mode: ``"fast"``, or ``"immediate"`` as if it crashed.
    """

    at: float
    seconds: float
    mode: str = "fast"


@dataclass(kw_only=True)
class Found(Losses):
    """What became of the searches; all but the last three must be zero.

    Attributes:
        bad_exits: How launches ended that should have ended by themselves with status 0.
        findings: What the store's own check found.
        unexpected: Epochs that a launch trained of a run that was another's to train, or that were
            trained again after the study was done.
        struck: Stops and kills that struck while the search was running.
        notices: Times that a launch said that the server was away.
        taken_over: Trials of a killed launch that the other one finished, with epochs of both.
    """

    bad_exits: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    unexpected: int = 0
    struck: int = 0
    notices: int = 0
    taken_over: int = 0

    @property
    def faults(self) -> dict[str, Any]:
        """What should not be there."""
        fine = ("struck", "notices", "taken_over")
        return {name: value for name, value in asdict(self).items() if value and name not in fine}


@dataclass(frozen=True, kw_only=True)
class SharedStore:
    """A store on a server, and the searches that are disturbed on it.

    Attributes:
        server: The server, running.
        store: A store on it.
        directory: For space files, checkpoints and what is said.
        space: From `make_space`.
        expected: From `undisturbed`; None where numbers are not compared.
        options: More options of every launch.
    """

    server: PostgresqlServer
    store: Store
    directory: Path
    space: dict[str, Any]
    expected: dict[str, Curve] | None = None
    options: tuple[str, ...] = ()

    def disturb(
        self,
        name: str,
        found: Found,
        *,
        n_launches: int = 1,
        outages: Sequence[Outage] = (),
        kill_at: float | None = None,
    ) -> None:
        """Let launches share a study, stop the server under them, and kill one of them.

        Args:
            name: The study, a new one.
            found: Added to.
            n_launches: How many launches there are, all of them in the middle of trials before
                anything happens to them: a worker that is waits for the others to be.
            outages: When and how the server stops, in order.
            kill_at: Share of the study's epochs that are recorded when one of the launches is
                killed, at the least; by then all of them are in the middle of trials. None leaves
                them all alive.
        """
        mark = uuid.uuid4().hex
        launches = [self._start(name, "" if each else mark) for each in range(n_launches)]

        def are_under_way() -> bool:
            return len(self._under_way(name)) == n_launches

        if n_launches > 1:
            with self._waiting_workers(name) as stop:
                wait_until(lambda: stop() or are_under_way(), *launches)
        for outage in outages:
            self._strike(name, outage, launches, found)
        if kill_at is None:
            self._hear(name, launches, found)
            found.unexpected += self._n_taken_over(name)
        else:
            if wait_until(lambda: are_under_way() and self._share(name) >= kill_at, *launches):
                found.struck += 1
            found.unexpected += self._n_taken_over(name)
            victim, *survivors = launches
            kill(victim.pid)
            for pid, _ in processes(mark):
                kill(pid)
            # Not waited for yet: what is left of the process must not count as alive.
            self._hear(name, survivors, found)
            victim.wait()
            found.taken_over += self._n_taken_over(name)
            n_epochs = count_epochs(self.store)
            self._hear(name, [self._start(name)], found)
            found.unexpected += count_epochs(self.store) - n_epochs
        self._look(name, found)

    def _start(self, name: str, mark: str = "") -> Launch:
        url = self.store.url.render_as_string(hide_password=False)
        said = self._said(name)
        return start(self.directory, url, name, self.space, *self.options, mark=mark, said=said)

    def _said(self, name: str) -> Path:
        return self.directory / f"{name}.log"

    def _share(self, name: str) -> float:
        """Which share of a study's epochs is recorded."""
        total = self.space["budget"]["trials"] * self.space["training"]["epochs"]
        return count_epochs(self.store, name) / float(total)

    def _strike(self, name: str, outage: Outage, launches: Sequence[Launch], found: Found) -> None:
        """Stop the server when it is time, and start it again."""
        if wait_until(lambda: self._share(name) >= outage.at, *launches):
            found.struck += 1
        self.server.stop(outage.mode)
        time.sleep(outage.seconds)
        self.server.start()

    def _hear(self, name: str, launches: Sequence[Launch], found: Found) -> None:
        """Wait for launches to end."""
        for launch in launches:
            if launch.wait() != 0:
                said = self._said(name).read_text()[-1000:]
                found.bad_exits.append(f"status {launch.returncode}: {said}")

    def _look(self, name: str, found: Found) -> None:
        """Compare what there is with what there should be."""
        found.notices += self._said(name).read_text().count("does not answer")
        inspect(self.store, name, self.space, found, self.expected)
        findings = check_store(self.store).findings
        found.findings += [f"{each.key}: {each.what}" for each in findings]

    def _of_study(self, name: str) -> sa.ColumnElement[bool]:
        studies = self.store.optuna_storage.get_all_studies()
        ids = {study.study_name: study._study_id for study in studies}
        return schema.runs.c.study_id == ids.get(name, -1)

    def _under_way(self, name: str) -> set[int]:
        """The launches that are in the middle of a trial."""
        runs = schema.runs
        is_under_way = (runs.c.state == "running") & (runs.c.n_epochs > 0)
        query = sa.select(runs.c.launch_id).distinct()
        rows = self.store.rows(query.where(self._of_study(name) & is_under_way))
        return {row["launch_id"] for row in rows}

    @contextmanager
    def _waiting_workers(self, name: str) -> Iterator[Callable[[], None]]:
        """Let workers that have trained an epoch of a study wait until the block ends.

        Yields:
            Stops those that there are by now.
        """
        stopped: set[int] = set()

        def stop() -> None:
            for run in self.store.rows(sa.select(schema.runs.c.worker).where(self._of_study(name))):
                if run["worker"]:
                    stopped.add(pid := int(run["worker"].split()[1]))
                    os.kill(pid, signal.SIGSTOP)

        try:
            yield stop
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)

    def _n_taken_over(self, name: str) -> int:
        """Runs whose epochs were trained by more than one launch."""
        epochs = schema.epochs
        query = (
            sa.select(epochs.c.run_id)
            .join(schema.runs, schema.runs.c.run_id == epochs.c.run_id)
            .where(self._of_study(name))
            .group_by(epochs.c.run_id)
            .having(sa.func.count(epochs.c.launch_id.distinct()) > 1)
        )
        return len(self.store.rows(query))


@contextmanager
def _server(directory: Path) -> Iterator[PostgresqlServer]:
    binaries = programs()
    if binaries is None:
        raise UsageError("PostgreSQL's programs initdb and pg_ctl are not installed.")
    server = PostgresqlServer(directory, binaries, fsync=True)
    try:
        yield server
    finally:
        server.stop("immediate")


def main(argv: list[str]) -> int:
    """Run the command; exit status 1 if there is any fault."""
    parser = Parser(prog="python -m tests.harness.shared_store", description=__doc__)
    parser.add_argument("--rounds", type=positive_int, default=3, help="of each kind")
    parser.add_argument("--seconds", type=positive_int, default=30, help="of the long outages")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    add_json_option(parser)
    options = parser.parse_args(argv)
    rng = random.Random(options.seed)
    space = make_space()
    results = {kind: Found() for kind in ("outages", "killed", "cut off")}
    with tempfile.TemporaryDirectory(prefix="shared-store-") as scratch:
        directory = Path(scratch)
        directory.chmod(0o755)
        (directory / "server").mkdir()
        with (
            _server(directory / "server") as server,
            server.database() as url,
            closing(open_store(url)) as store,
        ):
            shared = SharedStore(
                server=server,
                store=store,
                directory=directory,
                space=space,
                expected=undisturbed(directory, store, space),
            )
            for number in range(options.rounds):
                moments = sorted(rng.uniform(0.05, 0.75) for _ in range(3))
                long = rng.randrange(3)
                outages = [
                    Outage(
                        at=at,
                        seconds=options.seconds if each == long else rng.uniform(0.0, 2.0),
                        mode="immediate" if each == (long + 1) % 3 else "fast",
                    )
                    for each, at in enumerate(moments)
                ]
                shared.disturb(f"outages-{number}", results["outages"], outages=outages)
                at = rng.uniform(0.05, 0.6)
                shared.disturb(f"killed-{number}", results["killed"], n_launches=2, kill_at=at)
                outage = Outage(at=rng.uniform(0.05, 0.5), seconds=options.seconds)
                shared.disturb(
                    f"cut-off-{number}", results["cut off"], n_launches=2, outages=[outage]
                )
                for kind, each in results.items():
                    print(f"round {number + 1}, {kind}: {asdict(each)}", file=sys.stderr)
    publish(
        title="Searches whose PostgreSQL server stops, and launches that are killed beside others",
        module="tests.harness.shared_store",
        argv=argv,
        tables=[_table(results, options.rounds, space)],
        notes=[
            f"outages: one launch; the server is stopped for {options.seconds} s once, restarted "
            "once, and crashes and restarts once. killed: two launches on one study, one of them "
            "killed with SIGKILL in the middle of its trials, which the other one finishes. cut "
            f"off: two launches on one study, both cut off for {options.seconds} s.",
            "changed numbers: trials with a number, of any epoch, unlike that of the search that "
            "nobody disturbed. left running: trials, runs or launches at the end. unexpected "
            "epochs: trained by a launch that the run did not belong to, or after the end.",
        ],
        json_file=options.json,
    )
    return 1 if any(found.faults for found in results.values()) else 0


def _table(results: dict[str, Found], rounds: int, space: dict[str, Any]) -> Table:
    rows: list[list[str | int | float | None]] = [
        ["studies", *[rounds for _ in results]],
        ["trials", *[rounds * space["budget"]["trials"] for _ in results]],
        ["epochs", *[rounds * space["budget"]["trials"] * space["training"]["epochs"]] * 3],
    ]
    for each in ("struck", "notices", "taken_over", *[each.name for each in fields(Losses)]):
        rows.append([_TITLES.get(each, each.replace("_", " ")), *_counts(results, each)])
    for each in ("unexpected", "findings", "bad_exits"):
        rows.append([_TITLES[each], *_counts(results, each)])
    return Table(title="What became of them", columns=["", *results], rows=rows)


def _counts(results: dict[str, Found], name: str) -> list[int]:
    values = [getattr(found, name) for found in results.values()]
    return [value if isinstance(value, int) else len(value) for value in values]


_TITLES = {
    "struck": "stops and kills in mid-search",
    "notices": "notices that the server is away",
    "taken_over": "trials taken over",
    "baselines_twice": "baselines twice",
    "zombies": "left running",
    "unexpected": "unexpected epochs",
    "findings": "findings of the store's check",
    "bad_exits": "launches that failed",
}


if __name__ == "__main__":
    run_command(main)
