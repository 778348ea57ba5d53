"""Numbers as a table's cells and notes say them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from space.terminal.counts import count

__all__ = ["show_changes", "show_seeds"]


def show_changes(changes: Sequence[str]) -> str:
    """What a launch changed; keys and words inside of lists without their quotation marks."""
    return re.sub(r"'([^']*)'", r"\1", "; ".join(changes))


def show_seeds(seeds: Sequence[int]) -> str:
    """Seeds in ascending order, runs of them as ranges: ``0-3, 7``."""
    ranges: list[list[int]] = []
    for seed in sorted(seeds):
        if ranges and seed == ranges[-1][1] + 1:
            ranges[-1][1] = seed
        else:
            ranges.append([seed, seed])
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in ranges) or count(0, "seed")
