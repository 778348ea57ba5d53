"""How many examples a fuzz test tries: a modest number, or more where the environment asks."""

from __future__ import annotations

import os

from hypothesis import settings

__all__ = ["FACTOR_VARIABLE", "examples"]

FACTOR_VARIABLE = "SEARCH_FUZZ_FACTOR"


def examples(count: int) -> settings:
    """Settings of a fuzz test.

    Args:
        count: Examples in an ordinary run; ``SEARCH_FUZZ_FACTOR=20`` tries twenty times as many.
    """
    return settings(max_examples=count * int(os.environ.get(FACTOR_VARIABLE, "1")))
