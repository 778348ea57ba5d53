"""What the commands that change something of the queue share: to ask, and say what came of it."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from space.errors import UsageError
from space.terminal.command import Option, whole_int
from space.terminal.printing import say, say_json
from storage.commands.kit import opened

__all__ = ["SUBMISSION", "change", "say_answer"]

SUBMISSION = Option(
    "submission", type=whole_int, metavar="SUBMISSION", help="its number in the queue"
)


def change(options: Namespace, verb: str, **detail: Any) -> None:
    """Change a submission, and say what came of it.

    Args:
        options: The command's: the store, the submission and the format.
        verb: One of `storage.submissions.SUBMISSION_VERBS`.
        detail: What else the verb needs.

    Raises:
        UsageError: If it was refused.
    """
    from search.service.submitting import this_user
    from storage.submissions import change_submission
    from storage.tables.service import NewAction

    with opened(options.storage, look=False) as store:
        action = NewAction(
            verb=verb,
            asked_by=this_user(),
            submission_id=options.submission,
            detail=detail,
        )
        done = change_submission(store, action)
    say_answer(options, f"submission {options.submission}", done)


def say_answer(options: Namespace, what: str, action: Any) -> None:
    """Say what became of an action.

    Raises:
        UsageError: If it was refused.
    """
    if action.state == "refused":
        look = "" if action.submission_id is None else "; see `search queue --all`"
        raise UsageError(f"{what}: {action.verb} was refused: {action.answer}{look}.")
    if options.format == "json":
        say_json({"action": action.action_id, "state": action.state, "answer": action.answer})
    elif action.state == "asked":
        say(f"{what}: its launch was asked to {action.verb}; `search actions` says when it has")
    else:
        say(f"{what}: {action.answer}")
