"""All rows of a table together, against counts and statistics made by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from dashboards.numbers.shift import shift
from space import MeanStd

Rows = list[tuple[str, dict[int, float], MeanStd, int]]


def rows_of(differences: list[float], n: int = 1) -> Rows:
    """Rows that differ from a reported 0.2 ± 0.02 over 10 runs, on the seeds 0 to n - 1."""
    return [
        (f"row {place}", dict.fromkeys(range(n), 0.2 + difference), MeanStd(mean=0.2, std=0.02), 10)
        for place, difference in enumerate(differences)
    ]


@pytest.mark.parametrize(
    "differences", [[-0.01] * 9, [-0.01] * 6 + [0.01], [0.01, -0.02], [0.03] * 4, [-0.01, 0.0, 0.1]]
)
def test_the_sign_test_counts_every_way_the_signs_could_have_come(
    differences: list[float],
) -> None:
    found = shift(rows_of(differences))
    assert found is not None
    signs = [difference > 0 for difference in differences if difference]
    n, n_lower = len(signs), signs.count(False)
    ways = list(itertools.product((False, True), repeat=n))
    fewer = min(n_lower, n - n_lower)
    extreme = sum(min(way.count(False), way.count(True)) <= fewer for way in ways)
    assert (found.n_rows, found.n_lower) == (len(differences), n_lower)
    assert found.n_equal == len(differences) - n
    assert found.p_value == pytest.approx(extreme / 2**n)


def test_nine_of_nine_lower_rows_are_a_shift() -> None:
    found = shift(rows_of([-0.01] * 9))
    assert found is not None
    assert found.p_value == pytest.approx(2 / 512)
    assert found.average is None  # One seed each has no scatter.


@pytest.mark.parametrize("differences", [[], [0.1], [0.1, 0.0], [0.0, 0.0]])
def test_fewer_than_two_differences_say_nothing_together(differences: list[float]) -> None:
    assert shift(rows_of(differences)) is None


def test_the_average_is_over_rows_seed_by_seed() -> None:
    rng = np.random.default_rng(0)
    ours = rng.normal(0.19, 0.02, (3, 12))
    reported = [MeanStd(mean=0.2 + place / 50, std=0.01 + place / 100) for place in range(3)]
    rows: Rows = [
        (str(place), dict(enumerate(ours[place])), reported[place], 10 + place)
        for place in range(3)
    ]
    rows[1] = ("1", dict(enumerate(ours[1][:8])), reported[1], 11)
    rows.append(("short", {0: 0.9, 1: 0.9}, reported[0], 10))
    found = shift(rows)
    assert found is not None
    assert found.average is not None
    assert (found.average.names, found.average.n) == (("0", "1", "2"), 8)
    means = ours[:, :8].mean(axis=0)
    std = 0.02  # As if the reported rows shared all their luck: the mean of 0.01, 0.02 and 0.03.
    expected = stats.ttest_ind_from_stats(
        means.mean(), means.std(ddof=1), 8, 0.22, std, 10, equal_var=False
    )
    assert found.average.comparison.difference == pytest.approx(means.mean() - 0.22)
    assert found.average.comparison.p_value == pytest.approx(expected.pvalue)


def test_few_reported_runs_have_no_average() -> None:
    rows = [(name, errors, reported, 3) for name, errors, reported, _ in rows_of([0.1, 0.2], 6)]
    found = shift(rows)
    assert found is not None
    assert found.average is None
