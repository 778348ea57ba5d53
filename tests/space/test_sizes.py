"""Amounts of memory: what is read, what is refused, and that writing and reading agree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from space.errors import SpaceError
from space.sizes import LARGEST, format_size, parse_size, size_in_words
from space.study.terms import Limits


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [
        ("4GiB", 2**32),
        ("4 gib", 2**32),
        (" 500MiB ", 500 * 2**20),
        ("4GB", 4 * 10**9),
        ("1.5kB", 1500),
        ("1500B", 1500),
        ("1500", 1500),
        ("0.5KiB", 512),
    ],
)
def test_amounts_are_read(text: str, n_bytes: int) -> None:
    assert parse_size(text) == n_bytes


@pytest.mark.parametrize("text", ["", "GiB", "4G", "-4GiB", "4GiB4MiB", "٣GiB", "nan", "1e3"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(SpaceError) as caught:
        parse_size(text)
    expected = f"found {text!r}; expected an amount such as 500MiB, 4GiB or 4GB"
    assert str(caught.value) == expected


@pytest.mark.parametrize("text", ["0", "0GiB", "0.5B", "1025TiB", "9" * 5000])
def test_amounts_out_of_range_are_refused(text: str) -> None:
    with pytest.raises(SpaceError, match=r"expected 1B at the least and at most 1024TiB$"):
        parse_size(text)


@given(st.integers(1, LARGEST))
def test_what_is_written_is_read_back(n_bytes: int) -> None:
    assert parse_size(format_size(n_bytes)) == n_bytes


def test_a_limit_is_written_as_a_person_would() -> None:
    limits = Limits(trial_memory="4096MiB")
    assert limits.model_dump(mode="json")["trial_memory"] == "4GiB"
    assert Limits.model_validate(limits.model_dump(mode="json")) == limits
    assert [size_in_words(n) for n in (2**32, 10**9, 1023)] == ["4 GiB", "953.7 MiB", "1023 B"]
