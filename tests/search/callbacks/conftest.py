"""A study whose runs are told of at moments that tests choose."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from search.callbacks import Callback, ToldRun
from search.callbacks.source import Source
from search.callbacks.telling import Teller
from search.trials.ledger import Ledger
from storage import Store, open_store


class Listener(Callback):
    """Remembers what it is told."""

    def __init__(self, *, catches_up: bool = False) -> None:
        self.catches_up = catches_up
        self.begun: list[str] = []
        self.told: dict[str, list[int]] = {}
        self.ended: dict[str, ToldRun] = {}

    def begin(self, run: ToldRun) -> int:
        self.begun.append(run.name)
        return len(self.told.setdefault(run.name, []))

    def has(self, run: ToldRun) -> bool:
        ended = self.ended.get(run.name)
        return ended is not None and (ended.state, ended.n_epochs) == (run.state, run.n_epochs)

    def epochs(self, run: ToldRun, epochs: Any) -> None:
        self.told[run.name] += [each.epoch for each in epochs]

    def end(self, run: ToldRun) -> None:
        self.ended[run.name] = run


Tell = Callable[[Ledger, Callback], Teller]


@pytest.fixture
def looking(store: Store) -> Iterator[Store]:
    """The store as callbacks read it."""
    url = store.url.render_as_string(hide_password=False)
    with closing(open_store(url, look=True)) as found:
        yield found


@pytest.fixture
def teller(looking: Store) -> Tell:
    """Makes who tells a callback of a ledger's study, for the ledger's launch."""

    def make(ledger: Ledger, callback: Callback) -> Teller:
        source = Source(group="closed", launch_id=ledger._launch_id, study_id=ledger.study_id)
        return Teller(callback, source, looking)

    return make
