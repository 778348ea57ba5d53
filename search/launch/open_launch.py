"""A launch in the store, from its beginning to its end, whatever ends it."""

from __future__ import annotations

import logging
from typing import Any

from dashboards.words import show_code
from search.callbacks.find import makers
from search.callbacks.source import Source
from search.callbacks.telling import Telling
from search.launch.plan import Plan
from search.runs.actions import LaunchActions
from search.runs.lease import reclaim_stale, sweep_checkpoints
from search.runs.lineage import needed_uids
from search.runs.provenance import Provenance
from search.trials.ledger import Ledger
from search.trials.study import OpenedStudy
from space.errors import DeletedError, LeaseLostError, StorageError
from space.study.identity import changes_between
from space.terminal.printing import remember
from storage import LaunchRecord, NewLaunch
from storage.connect.outage import is_unreachable

__all__ = ["OpenLaunch", "changes_since"]

logger = logging.getLogger(__name__)

LONGEST_WHY = 500
"""Characters of why a launch failed; a library's errors may be pages."""
_NOT_TOLD = "the store could not be told; the next launch puts it right"


class OpenLaunch:
    """A launch in the store, which says afterwards that it has ended, whatever ended it.

    Attributes:
        launch_id: Its number.
        actions: What it is asked for while it runs.
        changes: What is not as the study's last launch had it.
        ledger: Of the trials that it trains; None while it has none.
    """

    def __init__(self, plan: Plan, opened: OpenedStudy, launch_id: int | None = None) -> None:
        """Record that a launch of a study begins.

        Args:
            plan: Its settings.
            opened: The study.
            launch_id: A launch to go on with instead, which another process has begun.
        """
        self._checkpoints = plan.place.checkpoints
        self._opened, self._study, self._store = opened, opened.study, opened.store
        self._callbacks = makers(plan.space.callbacks)
        self.ledger: Ledger | None = None
        self._telling: Telling | None = None
        self.changes: list[str] = []
        if launch_id is None:
            self.actions = LaunchActions(self._store, self._new_launch(plan, opened))
        else:
            self.actions = LaunchActions(self._store, launch_id)
        self.launch_id = self.actions.launch_id

    def _new_launch(self, plan: Plan, opened: OpenedStudy) -> NewLaunch:
        earlier = self._store.launches(opened.id)
        now = plan.space.model_dump(mode="json")
        if earlier:
            self.changes = changes_since(earlier[-1], now, plan.provenance)
        return plan.provenance.new_launch(
            opened.id,
            command=plan.command,
            config=now,
            changes=self.changes,
            data=plan.place.data,
        )

    def put_right(self) -> int:
        """Mend what launches that died have left; say how many trials were put back.

        From here on the callbacks are told.
        """
        n_reclaimed = reclaim_stale(self._study, self._store, launch_id=self.launch_id)
        self._sweep()
        source = Source(
            group=self._study.study_name, launch_id=self.launch_id, study_id=self._study._study_id
        )
        self._telling = Telling(self._callbacks, source, self._store.url)
        return n_reclaimed

    def end(self, status: str) -> None:
        """Record how the launch ended."""
        self._sweep()
        self.actions.stopped()
        self._end(status)
        self.stop_telling()

    def _sweep(self) -> None:
        needed = needed_uids(self._store, self._opened.space.sampler, self._opened.trials())
        sweep_checkpoints(self._checkpoints, self._store, self._opened.id, needed=needed)

    def __enter__(self) -> OpenLaunch:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        """Close what is open before an error goes on its way.

        Raises:
            DeletedError: If another program deleted the study: that is what the error came of.
        """
        try:
            if error is not None:
                self._put_away(error)
        finally:
            self.stop_telling()

    def _put_away(self, error: BaseException) -> None:
        if isinstance(error, StorageError) and is_unreachable(error):
            logger.warning(_NOT_TOLD)  # It was waited for long enough.
            return
        status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        if status == "failed":
            remember(f"the launch failed: {' '.join(str(error).split())[:LONGEST_WHY]}")
        try:
            with self._store.holding(self.launch_id, tuple):
                self._store.require_runs(self.launch_id, ())
                self._close(status)
        except DeletedError:
            raise
        except LeaseLostError:
            return  # Its trials are another launch's.
        except StorageError:
            logger.warning(_NOT_TOLD)

    def _close(self, status: str) -> None:
        try:
            if self.ledger is not None:
                self.ledger.interrupt(f"the launch was {status}")
            # A trial that was asked for and never begun is nobody's.
            reclaim_stale(self._study, self._store, launch_id=self.launch_id)
        finally:
            self._end(status)

    def _end(self, status: str) -> None:
        course = None if self.ledger is None else self.ledger.course.record()
        self._store.end_launch(self.launch_id, status, course)

    def stop_telling(self) -> None:
        """Tell the callbacks the rest, as far as there is time; may be called more than once."""
        if self._telling is not None:
            self._telling.close()


def changes_since(before: LaunchRecord, config: dict[str, Any], code: Provenance) -> list[str]:
    """What differs from an earlier launch: the code that ran, and the settings.

    Args:
        before: That launch.
        config: The space now, as JSON.
        code: The code now.
    """
    old = show_code(before.git_commit, before.git_dirty)
    new = show_code(code.git_commit, code.git_dirty)
    of_code = [f"code: {old}, now {new}"] if old != new else []
    if not of_code and code.git_dirty:
        of_code = [f"code: {old}, which may be other changes now"]
    return of_code + changes_between(before.config, config)
