"""Pause a submission: ``search pause 3``."""

from __future__ import annotations

from argparse import Namespace

from search.service.changing import SUBMISSION, change
from storage.commands.kit import STORAGE, StoreCommand, format_of

__all__ = ["main"]


@StoreCommand.of(
    "search.service.pause",
    "Pause a submission: what runs stops gracefully, with its checkpoints, and waits.",
    SUBMISSION,
    STORAGE,
    format_of("the answer"),
    examples=("3", "3 --storage results/search.db"),
)
def main(options: Namespace) -> None:
    """Pause it, and say so."""
    change(options, "pause")


if __name__ == "__main__":
    main.run()
