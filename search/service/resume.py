"""Resume a submission: ``search resume 3``."""

from __future__ import annotations

from argparse import Namespace

from search.service.changing import SUBMISSION, change
from storage.commands.kit import STORAGE, StoreCommand, format_of

__all__ = ["main"]


@StoreCommand.of(
    "search.service.resume",
    "Put a paused, stopped or failed submission back into the queue: it goes on from where it was.",
    SUBMISSION,
    STORAGE,
    format_of("the answer"),
    examples=("3", "3 --storage results/search.db"),
)
def main(options: Namespace) -> None:
    """Resume it, and say so."""
    change(options, "resume")


if __name__ == "__main__":
    main.run()
