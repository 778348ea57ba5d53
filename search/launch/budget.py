"""More budget for a launch that runs, as if its command had named the bigger one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from search.runs.actions import LaunchActions
from search.runs.stopping import Stopping
from search.trials.study import OpenedStudy
from space.amounts import format_duration
from space.study.identity import changes_between
from space.terminal.printing import say_event
from storage.actions import answer
from storage.submissions import add_arguments
from storage.tables import schema
from storage.tables.service import ActionRecord

__all__ = ["BUDGETS", "add_budget"]

BUDGETS = {"trials": "--trials", "time_limit": "--time-limit"}
"""What may be added to, in an action's detail as in the space file -> the command's option."""


def add_budget(
    opened: OpenedStudy, actions: LaunchActions, stopping: Stopping
) -> Callable[[ActionRecord], None]:
    """What carries out that a launch is given more budget.

    The space with the bigger budget is recorded as the launch's config, with what changed. A
    submission's command has it from then on, too: it may have to begin again.

    Args:
        opened: The study; its space has the new budget afterwards.
        actions: Of the launch.
        stopping: When the launch must stop; its deadline moves.
    """

    def carry_out(action: ActionRecord) -> None:
        before = opened.space.budget
        added = {key: action.detail.get(key) or 0 for key in BUDGETS}
        raised = {key: getattr(before, key) + n for key, n in added.items() if _may(before, key, n)}
        if not raised or len(raised) < sum(n > 0 for n in added.values()):
            actions.refuse(action, "the launch has no limit that this could be added to")
            return
        space = opened.space.model_copy(update={"budget": before.model_copy(update=raised)})
        changed = changes_between(
            opened.space.model_dump(mode="json"), space.model_dump(mode="json")
        )
        said = "; ".join(changed)

        def record(connection: sa.Connection) -> None:
            launches = schema.launches
            own = launches.c.launch_id == actions.launch_id
            known = connection.execute(sa.select(launches.c.changes).where(own)).scalar_one()
            values = {"config": space.model_dump(mode="json"), "changes": [*known, *changed]}
            connection.execute(launches.update().where(own).values(values))
            if actions.submission_id is not None:
                arguments = [w for key, n in raised.items() for w in _option(key, n)]
                add_arguments(connection, actions.submission_id, arguments)

        if answer(opened.store, action, "done", said, record):
            opened.space = space
            stopping.deadline += added["time_limit"]
            say_event(f"{action.asked_by} gives the launch more: {said}")

    return carry_out


def _may(budget: Any, key: str, n: float) -> bool:
    return n > 0 and getattr(budget, key) is not None


def _option(key: str, value: float) -> tuple[str, str]:
    return BUDGETS[key], format_duration(value) if key == "time_limit" else str(value)
