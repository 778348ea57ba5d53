"""Durations and amounts of memory: what is read, what is refused, what is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from space import format_duration, parse_duration
from space.amounts import LARGEST, LONGEST, format_size, parse_size, size_in_words
from space.errors import SpaceError
from space.study.terms import Limits


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("10m", 600),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("2H", 7200),
        ("1d1h1m1s", 90061),
        ("1.5h", 5400),
        ("45", 45),
        ("0.25", 0.25),
        ("1e3", 1000),
        (" 7s ", 7),
    ],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", " ", "m", "10x", "-5", "1m1h", "5m5m", "1:30", "٣s", "nan", "inf", "1h30", "s1"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(SpaceError) as caught:
        parse_duration(text)
    expected = f"found {text!r}; expected a duration such as 90s, 10m, 1h30m or 2h"
    assert str(caught.value) == expected


@pytest.mark.parametrize("text", ["0", "0s", "0h0m", "1000000001", "1e999", "9" * 5000])
def test_durations_out_of_range_are_refused(text: str) -> None:
    with pytest.raises(SpaceError, match=r"more than 0 and at most 1000000000 seconds$"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(90, "1m30s"), (5400, "1h30m"), (100, "1m40s"), (3600, "1h"), (90.5, "90.5s"), (0, "0s")],
)
def test_durations_are_written(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(
    st.floats(0, LONGEST, exclude_min=True) | st.integers(1, int(LONGEST)).map(float),
)
def test_a_written_duration_is_read_back_exactly(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.text(max_size=20) | st.text("0123456789.eEdhms+- ", max_size=20))
def test_any_text_is_a_duration_or_a_space_error(text: str) -> None:
    try:
        seconds = parse_duration(text)
    except SpaceError as error:
        sentence, seconds = str(error), 1.0
    else:
        sentence = "none"
    assert sentence.isprintable()
    assert 0 < seconds <= LONGEST


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
def test_a_written_amount_is_read_back(n_bytes: int) -> None:
    assert parse_size(format_size(n_bytes)) == n_bytes


def test_a_limit_is_written_as_a_person_would() -> None:
    limits = Limits(trial_memory="4096MiB")
    assert limits.model_dump(mode="json")["trial_memory"] == "4GiB"
    assert Limits.model_validate(limits.model_dump(mode="json")) == limits
    assert [size_in_words(n) for n in (2**32, 10**9, 1023)] == ["4 GiB", "953.7 MiB", "1023 B"]
