"""What waits, runs and has ended: ``search queue``."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Any

from space.terminal.command import Option
from space.terminal.printing import say, say_json, say_table
from storage.commands.kit import STORAGE, StoreCommand, format_of, opened

if TYPE_CHECKING:
    from storage.tables.service import SubmissionRecord

__all__ = ["main", "submission_as_json"]


@StoreCommand.of(
    "search.service.queue",
    "Show the store's queue: what runs, what waits, in the order in which agents take it.",
    Option("--all", action="store_true", help="what has ended, too"),
    STORAGE,
    format_of("the table"),
    examples=("", "--all --format json"),
)
def main(options: Namespace) -> None:
    """Print the queue."""
    from storage.submissions import list_submissions

    order = {"running": 0, "queued": 1, "paused": 2}
    with opened(options.storage) as store:
        found = list_submissions(store, *(() if options.all else order))
        name = store.name
    found.sort(key=lambda each: order.get(each.state, 3))
    if options.format == "json":
        say_json([submission_as_json(each) for each in found])
    elif not found:
        say(f"nothing waits or runs in the queue of {name}")
    else:
        say_table(
            ("submission", "state", "name", "command", "by", "priority", "cpus", "gpus", "where",
             "launch", "why"),
            [_cells(each) for each in found],
            left=frozenset({1, 2, 3, 4, 8, 10}),
        )  # fmt: skip


def _cells(each: SubmissionRecord) -> tuple[str, ...]:
    return (
        str(each.submission_id),
        each.state,
        each.name,
        each.command,
        each.submitted_by,
        str(each.priority),
        f"{each.cpus:g}",
        f"{each.gpus:g}",
        each.holder.host if each.holder is not None and each.state == "running" else "-",
        "-" if each.launch_id is None else str(each.launch_id),
        each.reason or "-",
    )


def submission_as_json(each: SubmissionRecord) -> dict[str, Any]:
    """A submission as commands and the HTTP API say it: all but its files."""
    times = ("submitted_at", "started_at", "ended_at", "heartbeat_at")
    said = {name: getattr(each, name) for name in times}
    return {
        "submission": each.submission_id,
        "name": each.name,
        "command": each.command,
        "arguments": each.arguments,
        "submitted_by": each.submitted_by,
        "priority": each.priority,
        "cpus": each.cpus,
        "gpus": each.gpus,
        "state": each.state,
        "reason": each.reason,
        "host": None if each.holder is None else each.holder.host,
        "launch": each.launch_id,
        **{key: when and when.isoformat(timespec="seconds") for key, when in said.items()},
    }


if __name__ == "__main__":
    main.run()
