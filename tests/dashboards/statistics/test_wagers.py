"""The test that may be looked at after every value: exact where signs are fair coins."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dashboards.statistics.means import compare_paired
from dashboards.statistics.verdicts import compare_all, seeds_needed
from dashboards.statistics.wagers import Wagers, largest_purse
from tests.benchmarks.statistics.race_calibration import (
    looks_with_sign_flips,
    main,
    of_difference,
    of_scenario,
    race,
    simulate_races,
)
from tests.benchmarks.statistics.scenarios import SCENARIOS
from tests.benchmarks.statistics.verdict_calibration import MARGIN, allowed_share

SIZES = st.lists(st.integers(0, 40), min_size=1, max_size=10)
VALUES = st.lists(st.integers(-20, 40), min_size=6, max_size=20)


def every_sign(sizes: list[int]) -> list[NDArray[np.float64]]:
    patterns = product((-1, 1), repeat=len(sizes))
    return [np.array(sizes, dtype=np.float64) * pattern for pattern in patterns]


@settings(max_examples=30, deadline=None)
@given(SIZES, st.sampled_from([0.2, 0.05, 0.01]))
def test_luck_alone_makes_rich_no_more_often_than_it_says(sizes: list[int], alpha: float) -> None:
    # Given the sizes, every pattern of signs is as likely: this is all there is to the guarantee.
    rich = [largest_purse(each) >= math.log(1 / alpha) for each in every_sign(sizes)]
    assert np.mean(rich) <= alpha
    p_values = [Wagers(each).p_value(0.0) for each in every_sign(sizes)]
    assert np.mean([p <= alpha for p in p_values]) <= alpha


@settings(max_examples=30, deadline=None)
@given(SIZES, st.integers(1, 20), st.sampled_from([0.2, 0.05]))
def test_nor_where_the_centre_lies_to_the_other_side(
    sizes: list[int], further: int, alpha: float
) -> None:
    rich = [largest_purse(each - further) >= math.log(1 / alpha) for each in every_sign(sizes)]
    assert np.mean(rich) <= alpha


@settings(max_examples=30, deadline=None)
@given(VALUES, st.sampled_from([0.8, 0.95]))
def test_the_interval_holds_what_is_not_rejected(values: list[int], confidence: float) -> None:
    test = Wagers(np.array(values) / 100)
    interval = test.interval(confidence)
    if interval is None:
        return
    assert interval.low <= test.values_N.mean() + 1e-9
    assert test.values_N.mean() - 1e-9 <= interval.high
    for centre in np.linspace(-1, 1, 41):
        if min(abs(centre - interval.low), abs(centre - interval.high)) < 1e-6:
            continue
        inside = interval.low <= centre <= interval.high
        assert inside == (test.p_value(centre) > 1 - confidence)


@settings(max_examples=30, deadline=None)
@given(VALUES)
def test_swapping_the_arms_mirrors_a_race(values: list[int]) -> None:
    numbers, reference = np.array(values) / 100, np.zeros(len(values))
    forth = compare_paired(numbers, reference, margin=0.1, is_raced=True)
    back = compare_paired(reference, numbers, margin=0.1, is_raced=True)
    assert forth.p_value == pytest.approx(back.p_value)
    assert forth.equivalence_p_value == pytest.approx(back.equivalence_p_value)
    assert forth.detectable_difference is None


def test_six_values_of_one_sign_suffice_as_for_the_sign_flip_test() -> None:
    assert Wagers(np.full(5, 0.1)).p_value(0.0) > 0.05
    assert Wagers(np.full(6, 0.1)).p_value(0.0) <= 0.05
    assert seeds_needed(2) == 6
    assert Wagers(np.zeros(30)).p_value(0.0) == 1


def test_a_race_answers_as_the_simulated_one() -> None:
    (differences,) = of_difference(1.2, 3, 1, 20, seed=3)
    for margin in (None, 2.5):
        (*ended,) = race(differences, margin=margin)
        results = {
            f"config-{k}": dict(enumerate(differences[k, :n])) for k, (_, n) in enumerate(ended)
        }
        results["reference"] = dict.fromkeys(range(20), 0.0)
        found = compare_all(results, "reference", margin=margin, is_raced=True)
        assert [each.answer for each in found] == [answer for answer, _ in ended]
        assert {answer for answer, _ in ended} - {"undecided"}


class TestCalibration:
    N = 200

    @pytest.mark.parametrize("scenario", SCENARIOS)
    def test_looking_after_every_seed_keeps_the_level(self, scenario: str) -> None:
        equal = of_scenario(scenario, self.N, 20, seed=0)
        assert simulate_races(equal).any_verdict <= allowed_share(self.N)
        at_margin = of_scenario(scenario, self.N, 20, seed=0, difference=MARGIN)
        assert simulate_races(at_margin, margin=MARGIN).equivalent <= allowed_share(self.N)

    def test_the_sign_flip_test_would_not(self) -> None:
        assert looks_with_sign_flips(of_scenario("normal", self.N, 20, seed=0)[:, 0]) > 0.1

    def test_a_large_difference_takes_fewer_than_ten_seeds(self) -> None:
        raced = simulate_races(of_difference(2.0, 1, self.N, 30, seed=0))
        assert raced.seeds < 8
        assert (raced.found, raced.wrong) == (1.0, 0.0)

    def test_command_prints_the_tables(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["--simulations", "4", "--max-seeds", "8"]) == 0
        printed = capsys.readouterr().out
        assert all(scenario in printed for scenario in SCENARIOS)
        assert "saved" in printed
