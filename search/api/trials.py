"""Trials that a program of the user's own trains: asked for, reported and told by hand."""

from __future__ import annotations

import atexit
import contextlib
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from search.api.asked import AskedLaunch, AskedTrial, plan_of
from search.api.notebook import quiet
from search.runs.provenance import collect_provenance
from space import SpaceFile
from space.errors import UsageError, UserError
from space.words import count
from storage import open_store

__all__ = ["Asking"]

BEAT_SECONDS = 1.0
"""How often a study that is asked looks whether its lease is to be renewed."""
COMMAND = "search.open_study(...).ask()"
"""What the store has for the command."""


class Asking:
    """A launch whose trials this program trains; it is alive until it is closed.

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
        self._store = open_store(storage)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._lost: UserError | None = None
        with contextlib.ExitStack() as stack:
            stack.callback(self._store.close)
            with quiet(verbose=False):
                provenance = collect_provenance()
                plan = plan_of(self._store, study, file, command=COMMAND, provenance=provenance)
                worker = f"{socket.gethostname()} {os.getpid()}"
                self._launch = AskedLaunch(self._store, plan, worker=worker)
            stack.pop_all()
        self._beating = threading.Thread(target=self._beat, daemon=True)
        self._beating.start()
        atexit.register(self.close)

    def ask(self) -> AskedTrial | None:
        """See `Study.ask`."""
        with self._working():
            return self._launch.ask()

    def report(
        self, trial: AskedTrial, metrics: Mapping[str, float], replicate: int, epoch: int | None
    ) -> bool:
        """See `Study.report`."""
        if not 0 <= replicate < len(trial._runs):
            raise UsageError(
                f"replicate {replicate}: trial {trial.number} has {count(len(trial._runs), 'run')}"
                ", counted from 0"
            )
        with self._working():
            return self._launch.report(trial._runs[replicate], metrics, epoch)

    def tell(self, trial: AskedTrial, failure: str | None) -> str:
        """See `Study.tell`."""
        with self._working():
            return self._launch.tell(trial.number, failure)

    def close(self) -> None:
        """Put what is open back into the queue and end the launch; may be called more than once."""
        if self._closing.is_set():
            return
        self._closing.set()
        atexit.unregister(self.close)
        self._beating.join()
        with contextlib.closing(self._store):
            if self._lost is None:
                self._launch.end("the program that trained it closed the study")
            self._launch.leave()

    @contextmanager
    def _working(self) -> Iterator[None]:
        """One thread at a time works with the launch, while it is alive."""
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
                    if not self._launch.renew():
                        self._lost = UsageError(
                            f"somebody stopped launch {self._launch.launch_id}; open the study "
                            "again to go on"
                        )
                except UserError as error:
                    self._lost = error
                if self._lost is not None:
                    return
