"""Trials that a program of the user's own trains: asked for, reported and told by hand."""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from search.api.notebook import Silent, quiet
from search.callbacks.find import makers
from search.launch.forms import choose_form, gpu_finder
from search.launch.open_launch import OpenLaunch
from search.launch.plan import Plan, known_study, settle_data
from search.runs.protocol import Report
from search.runs.provenance import collect_provenance
from search.trials.ledger import Ledger
from search.trials.open_trial import OpenTrial
from search.trials.study import open_study
from search.workers.workplace import Workplace
from space import RunConfig, Space, SpaceFile
from space.epochs import Epoch
from space.errors import UsageError, UserError
from space.words import count
from storage import open_store
from storage.commands.checkpoints import checkpoint_directory
from storage.connect.engine import parse_url

__all__ = ["AskedTrial", "Asking"]

BEAT_SECONDS = 1.0
"""How often a study that is asked looks whether its lease is to be renewed."""
COMMAND = "search.open_study(...).ask()"
"""What the store has for the command."""


@dataclass(frozen=True, kw_only=True)
class AskedTrial:
    """A trial to be trained.

    Attributes:
        number: Its number in the study.
        params: Parameter -> value.
        configs: The complete config of each of its runs: of one, or of a run a replicate, which
            differ in their seeds.
        epochs: How many epochs a run has.
        n_known: Epochs of each run that an earlier launch has reported: reported again, they are
            passed over.
    """

    number: int
    params: dict[str, Any]
    configs: tuple[RunConfig, ...]
    epochs: int
    n_known: tuple[int, ...]
    _runs: tuple[int, ...] = field(repr=False)

    @property
    def config(self) -> RunConfig:
        """The config of its first run."""
        return self.configs[0]


class Asking(Silent):
    """A launch whose trials are trained by whoever asks for them; it is alive until it is closed.

    A thread renews its lease, so that a trial may take as long as it wants between two reports.
    """

    def __init__(self, storage: str, study: str, file: SpaceFile | None) -> None:
        """Open the study, or create it, and begin a launch.

        Args:
            storage: The store's URL.
            study: The study's name.
            file: What is searched; None: what its last launch searched.

        Raises:
            UserError: If the study, the store or the data do not allow it.
        """
        url = parse_url(storage)
        self._store = open_store(storage)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._reported: dict[int, tuple[int, float]] = {}
        """Run -> the last epoch that was reported here, and when."""
        self._ended: dict[int, str] = {}
        self._lost: UserError | None = None
        with contextlib.ExitStack() as stack:
            stack.callback(self._store.close)
            record = known_study(self._store, study)
            if file is not None:
                space, _ = choose_form(file, record, gpu_finder(None, verbose=False))
            else:
                launches = self._store.launches(self._store.study_id(study))
                if not launches:
                    raise UsageError(
                        f"study '{study}' was not begun here: give the space that it searches"
                    )
                space = Space.recorded(launches[-1].config)
            if record is not None:
                space = space.keep_seeds(record.identity)
            makers(space.callbacks)
            space, data = settle_data(space, record)
            place = Workplace(checkpoints=checkpoint_directory(url) / study, data=data)
            plan = Plan(space=space, place=place, command=COMMAND, provenance=collect_provenance())
            with quiet(verbose=False):
                opened = open_study(self._store, space, data)
                self._launch = OpenLaunch(plan, opened)
                self._ledger = Ledger(opened, self._launch.launch_id, self)
                self._launch.ledger = self._ledger
                self._launch.put_right()
            stack.pop_all()
        self._space = space
        self._needed = dict.fromkeys(
            [*(each.metric for each in space.objectives), *opened.measured.kept_by]
        )
        self._beating = threading.Thread(target=self._beat, daemon=True)
        self._beating.start()
        atexit.register(self.close)

    def ask(self) -> AskedTrial | None:
        """See `Study.ask`."""
        with self._working():
            assignment = self._ledger.next_assignment()
            if assignment is None:
                return None
            records = [record for record, _ in assignment.runs]
            opened = self._ledger.trial_of(records[0].run_id)
            now = time.monotonic()
            self._reported.update({record.run_id: (0, now) for record in records})
            return AskedTrial(
                number=opened.number,
                params=dict(opened.params),
                configs=tuple(config for _, config in assignment.runs),
                epochs=opened.epochs,
                n_known=tuple(record.n_epochs for record in records),
                _runs=tuple(record.run_id for record in records),
            )

    def report(
        self, trial: AskedTrial, metrics: Mapping[str, float], replicate: int, epoch: int | None
    ) -> bool:
        """See `Study.report`."""
        self._check(metrics)
        if not 0 <= replicate < len(trial._runs):
            raise UsageError(
                f"replicate {replicate}: trial {trial.number} has {count(len(trial._runs), 'run')}"
                ", counted from 0"
            )
        run_id = trial._runs[replicate]
        with self._working():
            last, at = self._reported.get(run_id, (0, time.monotonic()))
            epoch = last + 1 if epoch is None else epoch
            now = time.monotonic()
            self._reported[run_id] = (epoch, now)
            wrong = [name for name, value in metrics.items() if not math.isfinite(value)]
            report = Report(
                run_id=run_id,
                epoch=Epoch(
                    epoch=epoch,
                    metrics={name: float(value) for name, value in metrics.items()},
                    seconds=now - at,
                ),
                failure=f"{wrong[0]} is not finite in epoch {epoch}" if wrong else None,
                worker=f"{socket.gethostname()} {os.getpid()}",
            )
            return run_id in self._ledger.report([report])

    def tell(self, trial: AskedTrial, failure: str | None) -> str:
        """See `Study.tell`."""
        with self._working():
            open_runs = [run_id for run_id in trial._runs if self._ledger.is_open(run_id)]
            if open_runs and failure is None:
                done = self._ledger.trial_of(open_runs[0]).n_epochs
                raise UsageError(
                    f"trial {trial.number} has {done} of {count(trial.epochs, 'epoch')}: report "
                    "the others, or say with failure='...' why it cannot go on"
                )
            if open_runs and failure is not None:
                self._ledger.fail(open_runs[0], " ".join(failure.split()))
            return self._ended.get(trial.number, "WAITING")

    def on_trial_end(self, trial: OpenTrial) -> None:
        """Keep how it ended."""
        self._ended[trial.number] = trial.state.name

    def close(self) -> None:
        """Put what is open back into the queue and end the launch; may be called more than once."""
        if self._closing.is_set():
            return
        self._closing.set()
        atexit.unregister(self.close)
        self._beating.join()
        with contextlib.closing(self._store):
            if self._lost is None:
                n_open = self._ledger.interrupt("the program that trained it closed the study")
                self._launch.end("interrupted" if n_open else "done")
            self._launch.stop_telling()

    def _check(self, metrics: Mapping[str, float]) -> None:
        missing = [name for name in self._needed if name not in metrics]
        if missing:
            raise UsageError(
                f"metrics: '{missing[0]}' is missing, which the study goes by; found "
                f"{', '.join(metrics) or 'none'}"
            )
        for name in metrics:
            if name.startswith("test_"):
                raise UsageError(f"metrics: '{name}': a search never sees the test split")

    @contextmanager
    def _working(self) -> Iterator[None]:
        """One thread at a time works with the ledger, while the launch is alive."""
        with self._lock:
            if self._lost is not None:
                raise self._lost
            if self._closing.is_set():
                raise UsageError("the study was closed; open it again with open_study")
            with quiet(verbose=False):
                yield

    def _beat(self) -> None:
        while not self._closing.wait(BEAT_SECONDS):
            with self._lock:
                try:
                    self._ledger.renew()
                except UserError as error:
                    self._lost = error
                    return
