"""How values are told in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from space import Space, parse_space
from space.errors import SpaceError
from space.words import describe

Build = Callable[..., Space]


def test_long_and_unprintable_values_are_shortened(tree: dict[str, Any]) -> None:
    tree["study"] = "\x00\n" + "x" * 500
    with pytest.raises(SpaceError) as caught:
        parse_space(tree, "f")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (2**64 - 1, "18446744073709551615"),
        (2**64, "a very large integer"),
        ("x" * 60, repr("x" * 60)),
        ("x" * 61, repr("x" * 57 + "...")),
        (1e14, "100000000000000"),
        (1e15, "1000000000000000.0"),
        ({1, 2}, "a set"),
    ],
)
def test_values_in_sentences(value: object, words: str) -> None:
    assert describe(value) == words
