"""What people asked of a study or of the queue: who, when, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards.tables.drawing import Sheet
from space.words import NOTHING, count, duration, show_params
from storage.tables.service import ActionRecord

__all__ = ["asked_sheet", "asked_words"]


def asked_sheet(actions: Sequence[ActionRecord]) -> Sheet:
    """A row an action, as they are given."""
    return Sheet(
        columns=("when (UTC)", "who", "what", "state", "what became of it"),
        left=frozenset(range(5)),
        rows=[
            (
                f"{each.asked_at:%Y-%m-%d %H:%M:%S}",
                each.asked_by,
                asked_words(each),
                each.state,
                " ".join((each.answer or NOTHING).split()),
            )
            for each in actions
        ],
    )


def asked_words(action: ActionRecord) -> str:
    """What an action asks for, on one line."""
    detail = action.detail
    trial = f"trial {action.trial_number}"
    of_submission = f" submission {action.submission_id}" if action.submission_id else ""
    match action.verb:
        case "stop-trial":
            said = f"stop {trial}"
        case "stop" | "pause" if action.launch_id is not None:
            said = f"{action.verb} launch {action.launch_id}"
        case "add-budget":
            more = [count(detail["trials"], "trial")] if detail.get("trials") else []
            more += [duration(detail["time_limit"])] if detail.get("time_limit") else []
            said = f"give launch {action.launch_id} {' and '.join(more)} more"
        case "queue-trial":
            said = f"queue a trial: {show_params(detail.get('values', {}))}"
        case "note" | "tag" | "untag":
            of = f" on {trial}" if action.trial_number is not None else ""
            said = f"{action.verb}{of}: {detail.get('text', '')}"
        case "priority":
            said = f"priority {detail.get('priority')} for{of_submission}"
        case verb:
            said = f"{verb}{of_submission}"
    return " ".join(said.split())
