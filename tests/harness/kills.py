"""``python -m tests.harness.kills --kills 100``: SIGKILL a real search at random moments.

A small search (a grid, so that every launch proposes the same trials) is launched again and again
as a user would, and its driver, one of its workers or everything at once is killed, until the study
is done; then the next study begins, until so many kills have struck. A kill waits for one of four
moments: any from the launch's beginning to its first epoch, any after an epoch, the milliseconds
after something was written into the store, or those after a trial's last epoch. Each study is
compared with one that nobody disturbed: training is deterministic and goes on to the bit, so every
number of every epoch must be the same. Where a worker trains several runs as one model
(``--runs-per-trainable``), it must be the same but for rounding as in a search that trains them
alone.

With ``--findings FILE`` runs of the harness add up: what earlier ones found is read from the file,
and the file is written again at each study's end.
"""

from __future__ import annotations

import json
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from search.workers.workers import MAX_WORKER_DEATHS
from space.terminal.command import Parser, positive_int, run_command
from storage import Store, open_store
from tests.benchmarks.results import Cell, Table, add_json_option, publish

from .findings import COUNTS, Findings, inspect
from .launches import Launch, Watch, kill
from .searches import ROUNDING, Curve, curves, make_space

__all__ = ["Harness", "main"]

VICTIMS = {"driver": 3, "worker": 5, "everything": 2}
"""How often each is chosen, to one another."""

MOMENTS = {"start": 2, "epoch": 3, "write": 3, "end of a trial": 2}
"""How often each is waited for, to one another."""

LONGEST_PAUSE = 2.0
"""Seconds from an epoch's record to the kill that waited for it."""

LONGEST_WRITE = 0.04
"""Seconds from a change of the store to the kill that waited for it: the next one falls into it."""

_PROGRESS = sa.text(
    "SELECT (SELECT count(*) FROM search_epochs), (SELECT count(*) FROM trial_intermediate_values),"
    " (SELECT count(*) FROM trials), (SELECT count(*) FROM trials WHERE state = 'RUNNING'),"
    " (SELECT count(*) FROM search_runs), (SELECT count(*) FROM search_runs WHERE state ="
    " 'running'), (SELECT count(*) FROM search_launches)"
)
_EPOCHS = sa.text("SELECT count(*) FROM search_epochs")


class Harness:
    """Searches under fire.

    Attributes:
        findings: What was found in the studies that were run to their end.
    """

    def __init__(
        self,
        *,
        seed: int,
        directory: Path,
        storage: str | None = None,
        runs_per_trainable: int = 1,
        n_trials: int = 8,
        epochs: int = 30,
    ) -> None:
        """Make the harness.

        Args:
            seed: Of moments and victims; these are the same on every machine.
            directory: For stores, checkpoints and temporary files. Its path must be short: Ray has
                its sockets beneath it.
            storage: The store's URL; default: an SQLite file in the directory.
            runs_per_trainable: How many runs a worker trains as one model.
            n_trials: Of each study.
            epochs: Of each trial.
        """
        self._rng = random.Random(seed)
        self._seed = seed
        self._directory = directory
        self._url = storage or f"sqlite:///{directory / 'kills.db'}"
        self._temporary = directory / "t"
        self._temporary.mkdir()
        self._alone = make_space(n_trials=n_trials, epochs=epochs)
        self._space = make_space(
            n_trials=n_trials, epochs=epochs, runs_per_trainable=runs_per_trainable
        )
        self._last = sa.text(f"{_EPOCHS} WHERE epoch = {epochs}")
        self._watch = Watch()
        self._start_seconds = 0.0
        self.findings = Findings(seeds=[seed])

    def run(
        self,
        n_kills: int,
        on_study: Callable[[Findings], None],
        expected: dict[str, Curve] | None = None,
    ) -> None:
        """Run studies until so many kills have struck.

        Args:
            n_kills: SIGKILLs in all; the last study is run to its end undisturbed.
            on_study: Called with the findings so far at every study's end.
            expected: `curves` of the search undisturbed; default: it is run first.
        """
        store = open_store(self._url)
        try:
            expected = expected or self._undisturbed(store)
            while self.findings.n_kills < n_kills:
                name = f"study-{self.findings.studies}"
                self._run_under_fire(store, name, n_kills)
                self.findings.studies += 1
                inspect(store, name, self._space, self.findings, expected)
                self.findings.checkpoints += len(list(self._directory.rglob("*.pt*")))
                self.findings.directories += len(list(self._temporary.iterdir()))
                self.findings.longest_seconds = round(self._watch.longest, 1)
                on_study(self.findings)
            self.findings.processes += len(self._watch.finish())
            self.findings.longest_seconds = round(self._watch.longest, 1)
            on_study(self.findings)
        finally:
            store.close()

    def _launch(self, name: str, space: dict[str, Any]) -> Launch:
        path = self._directory / "space.json"
        path.write_text(json.dumps({"study": "any", **space}))
        where = ["--study", name, "--checkpoints", str(self._directory / "checkpoints")]
        return Launch(["--space", str(path), *where], url=self._url, temporary=self._temporary)

    def _undisturbed(self, store: Store) -> dict[str, Curve]:
        launch = self._launch("undisturbed", self._alone)
        self._wait_for(launch, store, _EPOCHS)
        self._start_seconds = time.monotonic() - launch.started
        status, said = launch.end()
        self._watch.add(launch)
        if status != 0:
            raise RuntimeError(f"the undisturbed search failed: {said}")
        return curves(store, "undisturbed")

    def _run_under_fire(self, store: Store, name: str, n_kills: int) -> None:
        """Launch and kill until a launch ends by itself."""
        while True:
            self.findings.launches += 1
            launch = self._launch(name, self._space)
            deaths: dict[int, int] = {}
            while launch.runs and self.findings.n_kills < n_kills:
                moment = self._wait_for_moment(launch, store)
                if not launch.runs:
                    break
                rng = random.Random(f"{self._seed} {self.findings.n_kills}")
                (victim,) = rng.choices(list(VICTIMS), list(VICTIMS.values()))
                if victim == "worker":
                    workers = [each for each in launch.processes() if each.is_worker]
                    if not workers or not self._may_lose_one(store, deaths):
                        continue
                    kill(self._rng.choice(workers))
                elif victim == "driver":
                    launch.kill_driver()
                else:
                    launch.kill_everything()
                self.findings.count_kill(victim, moment)
                if victim != "worker":
                    break
            status, said = launch.end()
            self._watch.add(launch)
            if status == 0:
                return
            if status != -signal.SIGKILL:
                self.findings.bad_exits.append(f"status {status}: {said[-500:]}")
                if len(self.findings.bad_exits) > 3:
                    raise RuntimeError("\n".join(self.findings.bad_exits))

    @staticmethod
    def _may_lose_one(store: Store, deaths: dict[int, int]) -> bool:
        """Whether no run can be given up for one more death of a worker, which then is counted.

        Args:
            store: The store.
            deaths: Run -> workers killed in this launch while it was running, its own or another's.
        """
        running = [run.run_id for run in store.runs() if run.state == "running"]
        for run_id in running:
            # The last one may have died between two runs, and be a death of the next.
            deaths.setdefault(run_id, 1 if deaths else 0)
        if any(deaths[run_id] == MAX_WORKER_DEATHS for run_id in running):
            return False
        deaths.update({run_id: deaths[run_id] + 1 for run_id in running})
        return True

    def _wait_for_moment(self, launch: Launch, store: Store) -> str:
        """Wait for a moment to kill at, or for the driver's end; says what was waited for."""
        (moment,) = self._rng.choices(list(MOMENTS), list(MOMENTS.values()))
        age = time.monotonic() - launch.started
        if moment == "start":
            if age < self._start_seconds:
                launch.wait(self._rng.uniform(age, self._start_seconds) - age)
                return moment
            moment = "epoch"
        longest = LONGEST_PAUSE if moment == "epoch" else LONGEST_WRITE
        query = {"epoch": _EPOCHS, "write": _PROGRESS, "end of a trial": self._last}[moment]
        self._wait_for(launch, store, query)
        launch.wait(self._rng.uniform(0.0, longest))
        return moment

    def _wait_for(self, launch: Launch, store: Store, query: sa.TextClause) -> None:
        """Wait until what a query finds changes, or the driver has ended."""

        def found() -> tuple[Any, ...]:
            with store.engine.connect() as connection:
                return tuple(connection.execute(query).one())

        before = found()
        while launch.runs and found() == before:
            time.sleep(0.003)


def _tables(findings: Findings) -> list[Table]:
    found = asdict(findings)
    counts: list[list[Cell]] = [[victim, n] for victim, n in sorted(findings.kills.items())]
    moments: list[list[Cell]] = [[moment, n] for moment, n in sorted(findings.moments.items())]
    told = ("studies", "launches", "resumed_epochs", "epochs_together", "longest_seconds")
    faults = [
        [key.replace("_", " "), len(value) if isinstance(value, list) else value]
        for key, value in found.items()
        if key not in COUNTS
    ]
    return [
        Table(title="Kills by victim", columns=["victim", "kills"], rows=counts),
        Table(title="Kills by moment", columns=["moment", "kills"], rows=moments),
        Table(
            title="Searches",
            columns=["what", "count"],
            rows=[[key.replace("_", " "), found[key]] for key in told],
        ),
        Table(title="Faults", columns=["fault", "found"], rows=faults),
    ]


def main(argv: list[str]) -> int:
    """Run the command.

    Args:
        argv: Its arguments.

    Returns:
        1 if there is any fault, else 0.
    """
    parser = Parser(prog="python -m tests.harness.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=100, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument(
        "--runs-per-trainable",
        type=positive_int,
        default=1,
        metavar="N",
        help="how many runs a worker trains as one model (default: 1)",
    )
    parser.add_argument("--storage", metavar="URL", help="default: an SQLite file")
    parser.add_argument("--findings", type=Path, metavar="FILE", help="add up in this JSON file")
    add_json_option(parser)
    options = parser.parse_args(argv)
    earlier = Findings()
    if options.findings is not None and options.findings.exists():
        earlier = Findings(**json.loads(options.findings.read_text()))
    total = earlier

    def keep(found: Findings) -> None:
        nonlocal total
        total = earlier.plus(found)
        print(json.dumps(asdict(total)), file=sys.stderr)
        if options.findings is not None:
            options.findings.write_text(json.dumps(asdict(total), indent=1) + "\n")

    if options.kills:
        with tempfile.TemporaryDirectory(prefix="kills-") as directory:
            harness = Harness(
                seed=options.seed,
                directory=Path(directory),
                storage=options.storage,
                runs_per_trainable=options.runs_per_trainable,
            )
            harness.run(options.kills, keep)
    if options.runs_per_trainable == 1:
        differs = "in any bit"
    else:
        differs = f"a loss by {ROUNDING:.1%} or an error by more than one pair"
    publish(
        title=f"{total.n_kills} kills of a search",
        module="tests.harness.kills",
        argv=argv,
        tables=_tables(total),
        notes=[
            "A search of eight MLPs on scikit-learn's digits, its driver, a worker or all of its "
            "processes killed by SIGKILL and the same command run again until the study was done; "
            "then the next study. Every fault is counted at the end of each study. Changed numbers "
            f"are trials of which any loss or error of any epoch differs, {differs}, from that of "
            "a search that nobody disturbed and that trained each run alone. Seeds: "
            f"{', '.join(map(str, total.seeds))}."
        ],
        json_file=options.json,
    )
    return 1 if total.faults else 0


if __name__ == "__main__":
    run_command(main)
