"""Telling callbacks of runs: a thread each, which reads the store and holds nobody up.

What a callback is told is what the store has and the callback has not. So nothing is queued: a slow
one is told the newest state later, and what it missed, whatever the reason, a later launch tells.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from typing import NamedTuple

import sqlalchemy as sa

from search.callbacks.callback import Callback, ToldRun
from search.callbacks.find import Maker
from search.callbacks.source import Progress, Source
from space.words import count, duration
from storage import Store, open_store

__all__ = ["Teller", "Telling"]

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How often the store is looked at for something new."""
FLUSH_SECONDS = 30.0
"""How long a launch waits at its end for callbacks to take what they have not been told yet."""
AT_A_TIME = 50
"""Runs that are read at a time."""


class _Told(NamedTuple):
    """What a callback was told of a run."""

    progress: Progress
    n_epochs: int


class Teller:
    """Tells one callback, whenever it is asked to look, what that has not been told yet.

    Attributes:
        n_left: Of how many runs there was still something to tell.
    """

    def __init__(self, callback: Callback, source: Source, store: Store) -> None:
        """Tell nothing yet.

        Args:
            callback: Whom to tell.
            source: Of which runs.
            store: Where they are read.
        """
        self._callback, self._source, self._store = callback, source, store
        self._launches = source.launches(store, earlier=callback.catches_up)
        self._told: dict[int, _Told] = {}
        self.n_left = 0

    def look(self, stopping: threading.Event | None = None) -> None:
        """Tell all there is to tell.

        Args:
            stopping: Once it is set, the rest is left untold.
        """
        progress = self._source.progress(self._store, self._launches)
        news = [
            run_id
            for run_id, now in progress.items()
            if run_id not in self._told or self._told[run_id].progress != now
        ]
        self.n_left = len(news)
        for start in range(0, len(news), AT_A_TIME):
            runs = self._source.read(self._store, news[start : start + AT_A_TIME])
            for run_id, run in runs.items():
                if stopping is not None and stopping.is_set():
                    return
                self._told[run_id] = _Told(progress[run_id], self._tell(run_id, run))
                self.n_left -= 1

    def _tell(self, run_id: int, run: ToldRun) -> int:
        """Tell what is new of a run; say how many of its epochs have been told by now."""
        told = self._told.get(run_id)
        if told is None and run.state != "RUNNING" and self._callback.has(run):
            return run.n_epochs
        if told is None or told.progress.state != "RUNNING":
            n_told = self._callback.begin(run) or 0
        else:
            n_told = told.n_epochs
        epochs = self._source.epochs(self._store, run_id, after=n_told)
        if epochs:
            self._callback.epochs(run, epochs)
            n_told = epochs[-1].epoch
        if run.state != "RUNNING":
            self._callback.end(run)
        return n_told


class Telling:
    """The threads of a launch that tell its callbacks."""

    def __init__(self, callbacks: Sequence[Maker], source: Source, url: sa.URL) -> None:
        """Begin to tell.

        Args:
            callbacks: Whom to tell.
            source: Of which runs.
            url: The store's.
        """
        text = url.render_as_string(hide_password=False)
        self._ending, self._leaving = threading.Event(), threading.Event()
        self._threads = [
            _CallbackThread(maker, source, text, self._ending, self._leaving) for maker in callbacks
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Tell the rest, as far as there is time; may be called more than once."""
        self._ending.set()
        until = time.monotonic() + FLUSH_SECONDS
        try:
            for thread in self._threads:
                thread.join(max(0.0, until - time.monotonic()))
        finally:
            self._leaving.set()
            for thread in self._threads:
                if thread.is_alive():
                    thread.say_left()
            self._threads = []


class _CallbackThread(threading.Thread):
    """Makes a callback and tells it until the launch ends, or the callback fails."""

    def __init__(
        self,
        maker: Maker,
        source: Source,
        url: str,
        ending: threading.Event,
        leaving: threading.Event,
    ) -> None:
        super().__init__(name=f"callback {maker.name}", daemon=True)
        self._maker, self._source, self._url = maker, source, url
        self._ending, self._leaving = ending, leaving
        self._teller: Teller | None = None

    def run(self) -> None:
        try:
            callback = self._maker.make()
            with closing(open_store(self._url, look=True)) as store:
                teller = self._teller = Teller(callback, self._source, store)
                is_last = False
                while not is_last:
                    is_last = self._ending.wait(LOOK_SECONDS)
                    teller.look(self._leaving)
            callback.close()
        except BaseException as error:  # whatever a library or a user's class does
            said = " ".join(f"{type(error).__name__}: {error}".split())
            logger.warning(
                "%s fails and is told nothing more (%s); the search goes on, and the next launch "
                "with this callback tells it what it missed",
                self.name, said, exc_info=error if logger.isEnabledFor(logging.DEBUG) else None,
            )  # fmt: skip

    def say_left(self) -> None:
        """Say what was not told in time."""
        left = "" if self._teller is None else f" of {count(self._teller.n_left, 'run')}"
        logger.warning(
            "%s has not taken everything%s within %s; the next launch with this callback tells it "
            "the rest",
            self.name, left, duration(round(FLUSH_SECONDS)),
        )  # fmt: skip
