"""How values, numbers, counts, times, lists and states are written, wherever people read them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "NOTHING",
    "STATES",
    "capitalised",
    "count",
    "describe",
    "duration",
    "joined",
    "number",
    "plural",
    "show_params",
    "show_seeds",
    "with_article",
]

NOTHING = "-"
"""Stands where there is nothing to say."""
STATES = {
    "COMPLETE": "complete",
    "PRUNED": "pruned",
    "FAIL": "failed",
    "RUNNING": "running",
    "WAITING": "waiting",
}
"""The states of trials in words, in the order that legends and tables have them."""

_LONGEST = 60
"""Characters of a text that is quoted."""
_EXACT = 2**53
"""Whole numbers below it are exact as floats."""


def number(value: object, figures: int = 4) -> str:
    """A value as people read it: numbers rounded, true and false as in a space file, other
    things as they are.

    Args:
        value: A number, a text, or None for nothing.
        figures: How many of a number that is not whole.
    """
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or (value.is_integer() and abs(value) < _EXACT):
        return f"{value:,.0f}"
    return f"{value:.{figures}g}" if math.isfinite(value) else "not finite"


def describe(value: object) -> str:
    """A value as it may stand in a sentence: short, printable, on one line."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() if value.bit_length() > 64:
            return "a very large integer"
        case int():
            return str(value)
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
        case str():
            return repr(value if len(value) <= _LONGEST else value[: _LONGEST - 3] + "...")
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
    return f"a {type(value).__name__}"


def show_params(params: Mapping[str, object]) -> str:
    """Parameters on one line: ``learning_rate=0.001 width=32``."""
    return " ".join(f"{name}={number(value)}" for name, value in params.items())


def show_seeds(seeds: Sequence[int]) -> str:
    """Seeds in ascending order, runs of them as ranges: ``0-3, 7``."""
    ranges: list[list[int]] = []
    for seed in sorted(seeds):
        if ranges and seed == ranges[-1][1] + 1:
            ranges[-1][1] = seed
        else:
            ranges.append([seed, seed])
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in ranges) or count(0, "seed")


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


def duration(seconds: float) -> str:
    """A time span in its two largest units: ``"12.3 s"``, ``"5 min 20 s"``, ``"2 h 5 min"``.

    What a file is to take back is written by `space.amounts.format_duration` instead.
    """
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def with_article(words: str) -> str:
    """Words after "a" or "an", as their first letter sounds in most words."""
    return f"{'an' if words[:1].lower() in set('aeio') else 'a'} {words}"


def capitalised(text: str) -> str:
    """A text as a sentence begins; what is in capitals stays so."""
    return text[:1].upper() + text[1:]


def joined(words: Iterable[str], conjunction: str = "and") -> str:
    """Words as a sentence joins them: ``a, b and c``."""
    *others, last = words
    return f"{', '.join(others)} {conjunction} {last}" if others else last
