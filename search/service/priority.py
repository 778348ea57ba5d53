"""Give a submission another priority: ``search priority 3 10``."""

from __future__ import annotations

from argparse import Namespace

from search.service.changing import SUBMISSION, change
from space.terminal.command import Option, whole_int
from storage.commands.kit import STORAGE, StoreCommand, format_of

__all__ = ["main"]


@StoreCommand.of(
    "search.service.priority",
    "Give a submission that waits another priority: higher ones go first, of equal ones the older.",
    SUBMISSION,
    Option("priority", type=whole_int, metavar="PRIORITY", help="a whole number, 0 by default"),
    STORAGE,
    format_of("the answer"),
    examples=("3 10", "4 -1 --storage results/search.db"),
)
def main(options: Namespace) -> None:
    """Change it, and say so."""
    change(options, "priority", priority=options.priority)


if __name__ == "__main__":
    main.run()
