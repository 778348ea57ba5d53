"""How measured values are written: one unit, one rule of decimals."""

from __future__ import annotations

import math

import pytest

from space.metrics import Metric

SHARE = Metric("error", unit="fraction of points")
PER_CENT = Metric("accuracy", unit="%", maximize=True)
LOSS = Metric("loss", unit="nats")
PLAIN = Metric("objective")


@pytest.mark.parametrize(
    ("metric", "value", "shown"),
    [
        (SHARE, 0.12345, "12.35 %"),
        (SHARE, 0.0, "0.00 %"),
        (SHARE, None, "-"),
        (PER_CENT, 97.5, "97.50 %"),
        (LOSS, 0.69312, "0.6931 nats"),
        (LOSS, math.inf, "not finite"),
        (PLAIN, 17.0, "17"),
        (PLAIN, 12345.67, "12,346"),
        (PLAIN, -0.5, "-0.5000"),
        (PLAIN, 3.0e-20, "3.000e-20"),
        (PLAIN, 1.25e12, "1.250e+12"),
    ],
)
def test_a_value_alone_has_its_unit(metric: Metric, value: float | None, shown: str) -> None:
    assert metric.show(value) == shown


def test_values_that_stand_together_have_the_decimals_of_the_largest() -> None:
    notation = PLAIN.notation([0.001234, 12.3, None, math.nan])
    assert notation.value(0.001234) == "0.00"
    assert notation.mean(12.3, 0.5) == "12.30 ± 0.50"
    assert notation.interval(-1.0, 12.345) == "[-1.00, 12.35]"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0123, "+1.23"), (-0.0123, "-1.23"), (1e-9, "0.00"), (-1e-9, "0.00"), (None, "-")],
)
def test_a_difference_has_its_sign_but_where_it_is_zero(value: float | None, shown: str) -> None:
    assert SHARE.notation([]).signed(value) == shown


def test_what_others_published_keeps_every_decimal_they_gave() -> None:
    notation = SHARE.notation([])
    assert [notation.quoted(value) for value in (0.22, 0.04335, 0.0546)] == [
        "22.00",
        "4.335",
        "5.46",
    ]


def test_a_heading_has_the_unit_in_short_and_an_axis_in_full() -> None:
    assert (SHARE.heading, SHARE.title) == ("error (%)", "error (% of points)")
    assert (LOSS.heading, LOSS.title) == ("loss (nats)", "loss (nats)")
    assert (PLAIN.heading, PLAIN.title) == ("objective", "objective")
