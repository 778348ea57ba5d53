"""The launches that clients hold: in this server's memory, and in the store for the next one."""

from __future__ import annotations

import asyncio
import functools
import os
import threading
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, ParamSpec, TypeVar

from search.api.asked import AskedLaunch, AskedTrial, plan_of
from search.runs.provenance import Provenance, collect_provenance
from search.serve.answers import Problem
from search.serve.space import space_of
from search.serve.stores import Stores
from space import Space
from space.errors import LeaseLostError, UsageError
from storage import Store
from storage.actions import Answer, act, find_action, require_same
from storage.clients import (
    BEGIN,
    begun_by,
    forget_asks,
    give,
    given,
    server_of,
    take_launch,
    trial_given,
)
from storage.leases import LEASE_SECONDS, process_mark
from storage.tables.service import NewAction, TokenRecord

__all__ = ["HeldLaunch", "HeldLaunches"]

COMMAND = "POST /api/v1/launches"
"""What the store has for the command of a client's launch."""
AT_ONCE = 5
"""Requests about launches that are answered at a time. Each may need two of a store's connections,
of which there are 15: were they all held by launches that wait for a study's turn, none would get
on."""

P = ParamSpec("P")
R = TypeVar("R")


class HeldLaunch:
    """A launch that a client holds, and which of its trials were given out.

    Attributes:
        launch: Its ledger.
    """

    def __init__(self, store: Store, launch: AskedLaunch) -> None:
        """Read which of its open trials were given out."""
        self._store = store
        self.launch = launch
        self._given = given(store, launch.launch_id, launch.trials)

    def ask(self, key: str | None) -> AskedTrial | None:
        """The trial for a request: the same one for the same key.

        One that was opened for a request that was never answered is given first.

        Raises:
            Problem: If the key's trial has ended.
        """
        launch = self.launch
        number = None if key is None else trial_given(self._store, launch.launch_id, key)
        if number is not None:
            if number not in launch.trials:
                raise Problem(
                    409,
                    f"this Idempotency-Key was given trial {number}, which is "
                    f"{launch.state_of(number)} by now; take another key",
                )
            return launch.trials[number]
        left = (trial for trial in launch.trials.values() if trial.number not in self._given)
        trial = next(left, None) or launch.ask()
        if trial is not None:
            give(self._store, launch.launch_id, key or uuid.uuid4().hex, trial.number)
            self._given.add(trial.number)
        return trial

    def trial(self, number: int) -> AskedTrial | None:
        """A trial of the launch; None where it is open no more.

        Raises:
            Problem: If it is none of the launch's.
        """
        if number in self.launch.trials:
            return self.launch.trials[number]
        try:
            if self.launch.has_trained(number):
                return None
        except UsageError as error:
            raise Problem(404, str(error)) from error
        raise Problem(
            409, f"trial {number} is in the hands of another launch than {self.launch.launch_id}"
        )


@dataclass
class _Slot:
    """What this server knows of a client's launch.

    Attributes:
        lock: Of whoever works with it.
        begun_by: Who began it; empty as long as nothing is known.
        held: None where another server had it last.
        used: When something of it was heard last, by the monotonic clock.
    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    begun_by: str = ""
    held: HeldLaunch | None = None
    used: float = field(default_factory=time.monotonic)


class HeldLaunches:
    """All of them."""

    def __init__(self, stores: Stores) -> None:
        """Hold none yet.

        Args:
            stores: The store.
        """
        self._stores = stores
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(AT_ONCE)
        self._slots: dict[int, _Slot] = {}
        self._mark = f"{process_mark(os.getpid())} {uuid.uuid4().hex}"

    def in_turn(self, work: Callable[P, R]) -> Callable[P, Coroutine[Any, Any, R]]:
        """Let what answers a request wait for its turn without a thread: the pages need those."""

        @functools.wraps(work)
        async def waiting(*arguments: P.args, **settings: P.kwargs) -> R:
            return await asyncio.wrap_future(self._threads.submit(work, *arguments, **settings))

        return waiting

    def begin(
        self,
        token: TokenRecord,
        client: str,
        study: str | None,
        tree: dict[str, Any] | None,
        uid: str,
    ) -> tuple[int, str, int]:
        """Begin a launch for a client, once for each request.

        Args:
            token: Its token.
            client: Its address.
            study: The study's name.
            tree: What is searched.
            uid: Names the request.

        Returns:
            The launch, its study's name and number.

        Raises:
            UserError: If the study, the space or the store do not allow it.
        """
        store = self._stores.writing
        file = None if tree is None else space_of(tree, study)
        name = study if file is None else file.forms()[0].study
        if name is None:
            raise UsageError("name a study, or give the space that is searched")
        action = NewAction(verb=BEGIN, asked_by=token.asker, study=name, uid=uid)
        found = find_action(store, uid)
        if found is not None:
            require_same(found, action)
            return int(found.launch_id or 0), name, store.study_id(name)
        self._forget()
        plan = plan_of(store, name, file, command=COMMAND, provenance=_client(token.name, client))
        launch = AskedLaunch(store, plan, worker=f"{token.name}@{client}", is_alone=False)
        take_launch(store, launch.launch_id, self._mark)
        done = act(store, action, lambda _: Answer("done", "it began", launch_id=launch.launch_id))
        if done.launch_id != launch.launch_id:  # The same request came twice at a time.
            launch.end("its request was answered with another launch")
            return int(done.launch_id or 0), name, launch.study_id
        with self._lock:
            self._slots[launch.launch_id] = _Slot(
                begun_by=token.asker, held=HeldLaunch(store, launch)
            )
        return launch.launch_id, name, launch.study_id

    @contextmanager
    def working(self, launch_id: int, token: TokenRecord) -> Iterator[HeldLaunch]:
        """Work with a launch that a token has begun, alone, while it is alive.

        Raises:
            Problem: If there is none, it has ended, or it is not this token's.
            LeaseLostError: If it was taken for dead.
        """
        with self._lock:
            slot = self._slots.setdefault(launch_id, _Slot())
            slot.used = time.monotonic()
        with slot.lock:
            try:
                held = self._open(slot, launch_id, token)
                if not held.launch.renew():
                    self._drop(launch_id, slot)
                    raise Problem(409, f"somebody stopped launch {launch_id}; begin another")
                yield held
            except LeaseLostError:
                self._drop(launch_id, slot)
                raise

    def end(self, launch_id: int, token: TokenRecord) -> None:
        """Put the open trials of a launch back, and end it; one that has ended stays so."""
        store = self._stores.writing
        if server_of(store, launch_id) is None and begun_by(store, launch_id) == token.asker:
            return
        with self.working(launch_id, token) as held:
            held.launch.end("its client ended the launch")
            self._drop(launch_id, self._slots[launch_id])

    def _open(self, slot: _Slot, launch_id: int, token: TokenRecord) -> HeldLaunch:
        """The launch as the store has it, its ledger in memory."""
        store = self._stores.writing
        server = server_of(store, launch_id)
        if not slot.begun_by:
            begun = begun_by(store, launch_id)
            if begun is None:
                self._drop(launch_id, slot)
                raise Problem(404, f"no client has begun a launch {launch_id}")
            slot.begun_by = begun
        if slot.begun_by != token.asker:
            raise Problem(403, f"launch {launch_id} was begun with another token")
        if server is None:
            self._drop(launch_id, slot)
            raise Problem(
                409,
                f"launch {launch_id} has ended, or was silent for so long that others train its "
                "trials; begin another",
            )
        if slot.held is None or server != self._mark:
            self._leave(slot)
            slot.held = self._go_on(store, launch_id)
        return slot.held

    def _go_on(self, store: Store, launch_id: int) -> HeldLaunch:
        """Take up a launch that another server had, or this one before it was started again."""
        (record,) = [each for each in store.launches() if each.launch_id == launch_id]
        if not take_launch(store, launch_id, self._mark):
            raise LeaseLostError(f"launch {launch_id} has ended; begin another")
        space = Space.recorded(record.config)
        token, _, client = record.host.partition("@")
        provenance = _client(token, client)
        plan = plan_of(store, space.study, space, command=COMMAND, provenance=provenance)
        launch = AskedLaunch(store, plan, worker=record.host, launch_id=launch_id, is_alone=False)
        return HeldLaunch(store, launch)

    def _forget(self) -> None:
        """Forget launches of which nothing was heard for their lease: the store has them."""
        forget_asks(self._stores.writing)
        long_ago = time.monotonic() - LEASE_SECONDS
        with self._lock:
            silent = [each for each, slot in self._slots.items() if slot.used < long_ago]
            slots = {launch_id: self._slots.pop(launch_id) for launch_id in silent}
        for slot in slots.values():
            with slot.lock:
                self._leave(slot)

    def _drop(self, launch_id: int, slot: _Slot) -> None:
        self._leave(slot)
        with self._lock:
            self._slots.pop(launch_id, None)

    @staticmethod
    def _leave(slot: _Slot) -> None:
        if slot.held is not None:
            slot.held.launch.leave()
            slot.held = None


@functools.cache
def _server() -> Provenance:
    return collect_provenance()


def _client(token: str, client: str) -> Provenance:
    """Where a client's results come from: this code, and no process of a machine.

    With no machine's name for its host, its lease alone says whether it is alive.
    """
    return replace(_server(), host=f"{token}@{client}", pid=0)
