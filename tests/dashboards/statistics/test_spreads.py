"""What each source of randomness brings, where the truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dashboards.statistics.spreads import Spread, spread_of_blocks, spread_of_twos

STDS = (3.0, 1.0)
"""Of two sources whose effects add up."""


def split(draw: np.random.Generator, n: int) -> tuple[Spread, Spread, Spread]:
    """The spreads that n seeds give, which trade each source in pairs."""
    one, other = (draw.normal(0, std, n) for std in STDS)
    trade = np.arange(n) ^ 1
    base, ones, others = one + other, one[trade] + other, one + other[trade]
    blocks = [[*base[list(pair)], *ones[list(pair)], *others[list(pair)]] for pair in _pairs_of(n)]
    return (
        spread_of_twos(list(zip(base, ones, strict=True)), n // 2),
        spread_of_twos(list(zip(base, others, strict=True)), n // 2),
        spread_of_blocks(blocks, n),
    )


def _pairs_of(n: int) -> list[tuple[int, int]]:
    return [(place, place + 1) for place in range(0, n, 2)]


def test_on_average_each_source_has_its_own_variance_and_all_have_the_sum() -> None:
    draw = np.random.default_rng(0)
    found = [split(draw, 10) for _ in range(2_000)]
    variances = np.mean([[each.variance for each in row] for row in found], axis=0)
    assert variances == pytest.approx([9.0, 1.0, 10.0], rel=0.05)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    draw = np.random.default_rng(1)
    truth = (*STDS, math.hypot(*STDS))
    held = np.zeros(3)
    for _ in range(2_000):
        for place, spread in enumerate(split(draw, 10)):
            assert spread.interval is not None
            held[place] += spread.interval.low <= truth[place] <= spread.interval.high
    assert np.all(held / 2_000 > 0.94)


def test_a_source_without_an_effect_has_no_interval() -> None:
    found = spread_of_twos([(0.5, 0.5), (0.25, 0.25)], 1)
    assert (found.std, found.interval, found.n) == (0.0, None, 2)
