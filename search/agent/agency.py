"""An agent: what it has room for, what it runs, and what becomes of that."""

from __future__ import annotations

import logging
import math
import os
import platform
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from search.agent.children import Child, Start, order_of, start
from search.agent.room import Room
from search.callbacks.messages import Send, where_to_look
from space.errors import ClusterError, StorageError
from space.files.places import Place
from space.terminal.command import EXIT_INTERRUPTED, FULL_DISK
from space.terminal.printing import say_event
from space.words import count
from storage import LaunchRecord, Store
from storage.actions import refuse_unheard
from storage.connect.outage import is_unreachable
from storage.leases import process_mark, status_of
from storage.submissions import (
    end_hold,
    hold_on,
    put_back,
    state_after,
    submission_of,
    take,
)
from storage.tables.service import Holder, SubmissionRecord

__all__ = ["Agency"]

logger = logging.getLogger(__name__)

STEP_SECONDS = 0.2
LOOK_SECONDS = 2.0
REMINDER_SECONDS = 600.0
_CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)
_ENDED_WELL = ("done", "plateau", "time limit")
"""How a launch may have ended that has nothing more to do."""


@dataclass(kw_only=True)
class _Running:
    submission: SubmissionRecord
    child: Child
    gpus: tuple[str, ...]


class Agency:
    """Takes submissions, runs each as a child, and says in the store what became of it."""

    def __init__(
        self,
        store: Store,
        room: Room,
        *,
        checkpoints: Place,
        ray_address: str | None = None,
        launch: Start = start,
        send: Send | None = None,
    ) -> None:
        """It has nothing yet.

        Args:
            store: The store.
            room: What it gives away.
            checkpoints: Where unfinished runs lie, for every agent of the store.
            ray_address: The cluster that its children join, if any.
            launch: Starts a child, here or elsewhere.
            send: Tells people of what failed and could not tell them itself; None: nobody is.
        """
        self._store, self._room, self._ray_address = store, room, ray_address
        self._checkpoints, self._launch, self._send = checkpoints, launch, send
        pid = os.getpid()
        self._holder = Holder(host=platform.node(), pid=pid, process=process_mark(pid))
        self._running: list[_Running] = []
        self._orphans: list[SubmissionRecord] = []
        self._looked = -LOOK_SECONDS
        self._is_stopping = False
        self._missed, self._said_so = "", -math.inf

    def run(self, stop: Callable[[], bool], *, once: bool = False) -> None:
        """Work until somebody stops it, or with `once` until nothing is left to be taken.

        Args:
            stop: Whether somebody asks it to stop: what it runs is stopped, and put back.
            once: Leave once nothing runs and nothing can be taken.

        Raises:
            StorageError: If the store fails otherwise than by being away.
            ClusterError: With `once`, if nobody who runs commands elsewhere answers.
        """
        cpus, gpus = count(self._room.cpus, "CPU"), count(len(self._room.gpus), "GPU")
        say_event(f"agent on {self._holder.host}: {cpus}, {gpus}, {self._store.name}")
        while True:
            if stop() and not self._is_stopping:
                self._is_stopping = True
                for each in self._running:
                    each.child.interrupt()
            try:
                has_looked = self._step()
            except StorageError as error:
                if not is_unreachable(error):
                    raise
                logger.warning("%s", error)
                continue
            except ClusterError as error:
                if once and not self._running:
                    raise
                self._miss(error)
                has_looked = False
            if not self._running and (self._is_stopping or (once and has_looked)):
                return
            time.sleep(STEP_SECONDS)

    def _step(self) -> bool:
        """Hear of what ended, keep what runs, take all that there is room for.

        Returns:
            Whether it has looked for what to take; it does so now and then.
        """
        for each in list(self._running):
            try:
                status = each.child.poll()
            except ClusterError as error:
                self._miss(error)
                continue
            if status is not None:
                self._settle(each, status)
                self._looked = -LOOK_SECONDS  # There is room now.
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return False
        self._looked = now
        for each in self._running:
            # Where another has it by now, the child will be told as it begins its launch.
            hold_on(self._store, str(each.submission.hold), self._holder)
        if self._is_stopping:
            return True
        refuse_unheard(self._store)
        self._orphans, settled = put_back(self._store)
        for number in settled:
            self._say_end(number)
        while self._take():
            pass
        return True

    def _take(self) -> bool:
        free, gpus = self._free()
        total = self._room.cpus, float(len(self._room.gpus))
        taken = take(self._store, self._holder, free=(free, float(len(gpus))), total=total)
        if taken is None:
            return False
        gpus = gpus[: int(taken.gpus)]
        order = order_of(
            taken,
            self._store.url,
            checkpoints=self._checkpoints,
            ray_address=self._ray_address,
            gpus=gpus,
        )
        try:
            child = self._launch(taken, order)
        except ClusterError as error:
            end_hold(self._store, taken, "queued", str(error).rstrip("."))
            raise
        except (OSError, ValueError) as error:  # Files or arguments that no system takes.
            if isinstance(error, OSError) and error.errno in FULL_DISK:
                end_hold(self._store, taken, "queued", "the disk of its agent was full")
                raise
            reason = " ".join(f"it cannot be started: {error}".split())
            end_hold(self._store, taken, "failed", reason)
            self._say_end(taken.submission_id)
            return True
        self._running.append(_Running(submission=taken, child=child, gpus=gpus))
        say_event(f"{_label(taken)} starts")
        return True

    def _miss(self, error: ClusterError) -> None:
        """Say that who runs commands elsewhere does not answer; the same only now and then."""
        now = time.monotonic()
        if str(error) != self._missed or now - self._said_so > REMINDER_SECONDS:
            logger.warning("%s", error)
            self._missed, self._said_so = str(error), now

    def _free(self) -> tuple[float, tuple[str, ...]]:
        """The CPUs and the GPUs that are left.

        A launch whose agent died on this machine still takes up what it was given.
        """
        here = [each for each in self._orphans if _host(each) == self._holder.host]
        busy = [*here, *(each.submission for each in self._running)]
        in_use = {gpu for each in self._running for gpu in each.gpus}
        if here:
            pids = {
                each.launch_id: each.pid
                for each in self._store.launches(status="running")
                if each.host == self._holder.host
            }
            in_use |= {gpu for each in here for gpu in _gpus_of(pids.get(each.launch_id or 0))}
        gpus = tuple(gpu for gpu in self._room.gpus if gpu not in in_use)
        # Elsewhere which ones are in use is not known, but how many.
        n_left = max(0, len(self._room.gpus) - int(sum(each.gpus for each in busy)))
        return self._room.cpus - sum(each.cpus for each in busy), gpus[:n_left]

    def _settle(self, running: _Running, status: int) -> None:
        """Record what has become of a child's submission."""
        hold = running.submission.hold
        seen = submission_of(self._store, running.submission.submission_id)
        if seen is not None and seen.hold == hold and seen.state == "running":
            launches = {each.launch_id: each for each in self._store.launches()}
            launch = launches.get(seen.launch_id or 0)
            end_hold(self._store, seen, *what_became(status, launch, running.child.said))
            self._say_end(seen.submission_id)
        self._running.remove(running)
        running.child.clear()

    def _say_end(self, submission_id: int) -> None:
        """Say what has become of a submission, and tell people if it failed before they were."""
        found = submission_of(self._store, submission_id)
        if found is None:
            return
        why = f": {found.reason}" if found.reason else ""
        say_event(f"{_label(found)} is {found.state}{why}")
        if self._send is None or found.state != "failed":
            return
        told = {each.launch_id for each in self._store.launches() if each.told is not None}
        if found.launch_id not in told:
            what = f"submission {submission_id}, {found.command} '{found.name}'"
            where = where_to_look(self._store, "/queue")
            self._send(f"{what}: failed", f"{found.reason}\n{where}")


def what_became(
    status: int, launch: LaunchRecord | None, said: Callable[[], str]
) -> tuple[str, str | None]:
    """What has become of a submission once its command has ended: its state, and why.

    Args:
        status: The command's exit status; negative where a signal ended it.
        launch: The launch that it began, if it did.
        said: What it ended with on stderr.
    """
    ended = None if launch is None else status_of(launch)
    if status == 0 or (status == 1 and ended in _ENDED_WELL):
        return "done", None if status == 0 else "nothing finished"
    if status == EXIT_INTERRUPTED or status < 0:
        if ended in _ENDED_WELL:
            return "done", None
        if -status in _CRASHES:  # It would crash again, and again.
            return "failed", f"its command crashed ({signal.Signals(-status).name})"
        if ended:
            return state_after(launch)
        if status < 0:
            return "died", f"its command was killed ({signal.Signals(-status).name})"
        return "queued", "it was interrupted"
    if ended in ("died", "running"):  # The store was away for too long to hear of its end.
        return state_after(launch)
    return "failed", said()


def _gpus_of(pid: int | None) -> list[str]:
    """The GPUs that a command on this machine was given when an agent started it."""
    if pid is None:
        return []
    try:
        return str(psutil.Process(pid).environ().get("CUDA_VISIBLE_DEVICES", "")).split(",")
    except psutil.Error:
        return []  # It has just ended, or is another user's.


def _host(submission: SubmissionRecord) -> str | None:
    return None if submission.holder is None else submission.holder.host


def _label(submission: SubmissionRecord) -> str:
    return f"submission {submission.submission_id}, {submission.command} '{submission.name}',"
