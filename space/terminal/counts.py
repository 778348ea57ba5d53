"""Numbers of things in words."""

from __future__ import annotations

import re

__all__ = ["count", "plural"]


def count(n: float, noun: str) -> str:
    """A number of things: "no seeds", "1 seed", "2 seeds", "1,000 launches".

    Args:
        n: How many; a part of one, such as 0.5, is several.
        noun: What one of them is called.
    """
    return f"{f'{n:,g}' if n != int(n) else f'{int(n):,}' if n else 'no'} {plural(noun, n)}"


def plural(noun: str, n: float = 2) -> str:
    """What so many things are called: "seed" for 1, "seeds", "studies", "launches" for others."""
    if n == 1:
        return noun
    if re.search(r"[^aeiou]y$", noun):
        return f"{noun[:-1]}ies"
    return f"{noun}es" if re.search(r"(s|x|sh|[nrt]ch)$", noun) else f"{noun}s"
