"""Filters: what holds of which row, and what is no filter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.numbers.rows.filters import read_filter
from space.errors import UsageError
from space.expressions import LONGEST

ROW = {
    "val_error": 0.05,
    "aux_weight": 0.75,
    "state": "complete",
    "model.name": "mlp",
    "two words": 3,
    "baseline": True,
    "reason": None,
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("", True),
        ("val_error < 0.1 and aux_weight > 0.5", True),
        ("val_error < 0.1 and not aux_weight > 0.5", False),
        ("val_error > 1e-1 or (state == 'complete')", True),
        ("0.01 < val_error <= 0.05", True),
        ("0.05 < val_error < 1", False),
        ("aux_weight > -1", True),
        ("state in ('pruned', 'complete')", True),
        ("state not in ['pruned', 'complete']", False),
        ("'plete' in state", True),
        ("model.name == 'mlp'", True),
        ("`two words` >= 3", True),
        ("baseline", True),
        ("baseline == true", True),
        # True is no number, and a text is neither above nor below one.
        ("baseline == 1", False),
        ("state > 1", False),
        # Neither is what is not there.
        ("reason < 1 or reason > 1", False),
        ("reason == none", True),
        ("reason is not None", False),
        ("state != 'pruned'", True),
        ("val_error * 2 + aux_weight / 3 - 0.35 == 0.05 * 2 + 0.75 / 3 - 0.35", True),
        ("val_error / (aux_weight - 0.75) > 0 or val_error / (aux_weight - 0.75) <= 0", False),
        # Only numbers are added.
        ("state + state == 'completecomplete' or baseline + 1 == 2 or reason * 2 == 0", False),
        ("1" + "0" * 400 + " * 1.5 > 0", False),
        ("+".join(["aux_weight"] * 80) + " == 60", True),
    ],
)
def test_what_holds(text: str, holds: bool) -> None:
    assert read_filter(text, ROW)(ROW) is holds


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "state.upper() == 'X'",
        "val_error ** 9 ** 9 < 1",
        "val_error % 2 < 1",
        "val_error << 2 < 1",
        "[each for each in (1, 2)]",
        "(lambda: 1)()",
        "val_error if state else 1",
        "f'{state}'",
        "state[0] == 'c'",
        "val_error = 1",
        "val_error <",
        "b'x' == state",
        "(" * 300,
        "not " * 200 + "baseline;",
        "\0",
    ],
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(UsageError, match="the filter"):
        read_filter(text, ROW)


def test_a_wrong_name_is_told_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'val_error'"):
        read_filter("val_eror < 1", ROW)
    with pytest.raises(UsageError, match="quotation marks"):
        read_filter("state == complete_", ROW)
    with pytest.raises(UsageError, match="longer than"):
        read_filter("baseline or " * LONGEST + "baseline", ROW)


@given(st.text(alphabet="abv_er<>=!()[]'`,.019 +-*notrdi", max_size=40))
def test_any_text_is_a_filter_or_refused(text: str) -> None:
    try:
        holds = read_filter(text, ROW)
    except UsageError:
        return
    assert holds(ROW) in (True, False)
