"""Verdicts in words: their rule, and how often they are right where the truth is known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dashboards.statistics.means import PairedComparison, compare_paired, summarise
from dashboards.statistics.sign_flips import Interval
from dashboards.statistics.verdicts import (
    answer,
    compare_all,
    compare_to_report,
    optimism,
    seeds_needed,
)
from tests.benchmarks.statistics.verdict_calibration import (
    allowed_share,
)

N_SIMULATIONS = 200


def comparison_with(**changes: Any) -> PairedComparison:
    """A clear improvement with some numbers replaced."""
    numbers: dict[str, Any] = {
        "n": 10,
        "confidence": 0.95,
        "n_comparisons": 1,
        "is_raced": False,
        "mean_difference": -0.02,
        "std_difference": 0.01,
        "interval": Interval(-0.03, -0.01),
        "probability_better": 1.0,
        "p_value": 0.01,
        "margin": None,
        "equivalence_p_value": None,
        "detectable_difference": 0.01,
    }
    return PairedComparison(**{**numbers, **changes})


class TestAnswer:
    def test_says_better_and_worse(self) -> None:
        assert answer(comparison_with(), 0.01) == "better"
        worse = comparison_with(mean_difference=0.02, interval=Interval(0.01, 0.03))
        assert answer(worse, 0.01) == "worse"

    def test_goes_by_the_adjusted_p_value(self) -> None:
        assert answer(comparison_with(), 0.051) == "undecided"
        within = comparison_with(p_value=0.5, margin=0.05, equivalence_p_value=0.01)
        assert answer(within, 0.5, 0.05) == "equivalent"
        assert answer(within, 0.5, 0.051) == "undecided"

    def test_level_follows_the_confidence(self) -> None:
        assert answer(comparison_with(confidence=0.99), 0.02) == "undecided"
        assert answer(comparison_with(confidence=0.9), 0.09) == "better"

    def test_less_than_the_margin_does_not_matter(self) -> None:
        both = comparison_with(margin=0.05, equivalence_p_value=0.001)
        assert answer(both, 0.01, 0.001) == "equivalent"
        assert answer(both, 0.01, 0.2) == "better"

    def test_equal_differences_need_no_interval(self) -> None:
        assert answer(comparison_with(interval=None), 0.01) == "better"

    @pytest.mark.parametrize("adjusted", [0.001, 1.5, math.nan])
    def test_refuses_a_p_value_that_is_not_adjusted(self, adjusted: float) -> None:
        with pytest.raises(ValueError, match="adjusted"):
            answer(comparison_with(), adjusted)
        with pytest.raises(ValueError, match="adjusted"):
            answer(comparison_with(margin=1.0, equivalence_p_value=0.01), 0.5, adjusted)

    @settings(max_examples=50, deadline=None)
    @given(st.lists(st.integers(0, 30), min_size=2, max_size=5))
    def test_fewer_than_six_seeds_never_decide(self, n_wrong: list[int]) -> None:
        values = np.array(n_wrong) / 1_000
        comparison = compare_paired(values, np.ones(len(values)))
        assert answer(comparison, comparison.p_value) == "undecided"

    @settings(max_examples=50, deadline=None)
    @given(st.lists(st.integers(-5, 20), min_size=6, max_size=8))
    def test_mirrors_when_the_arms_are_swapped(self, n_wrong: list[int]) -> None:
        values, reference = np.array(n_wrong) / 1_000, np.zeros(len(n_wrong))
        forth, back = compare_paired(values, reference), compare_paired(reference, values)
        mirrored = {"better": "worse", "worse": "better"}
        said = answer(back, back.p_value)
        assert answer(forth, forth.p_value) == mirrored.get(said, said)


class TestCompareAll:
    @staticmethod
    def benchmark(n: int = 10) -> dict[str, dict[int, float]]:
        rng = np.random.default_rng(1)
        shared = rng.normal(0.12, 0.02, n)
        offsets = {"baseline": 0.0, "good": -0.05, "same": 0.0, "bad": 0.05}
        return {
            name: dict(enumerate(shared + offset + rng.normal(0, 0.01, n)))
            for name, offset in offsets.items()
        }

    def test_tells_better_from_worse(self) -> None:
        comparisons = compare_all(self.benchmark(), "baseline")
        assert [(comparison.name, comparison.verdict) for comparison in comparisons] == [
            ("good", "better"),
            ("same", "undecided with 10 seeds"),
            ("bad", "worse"),
        ]
        assert {comparison.reference for comparison in comparisons} == {"baseline"}
        assert {comparison.paired.n_comparisons for comparison in comparisons} == {3}

    def test_corrects_for_the_family(self) -> None:
        for comparison in compare_all(self.benchmark(), "baseline"):
            assert comparison.adjusted_p_value >= comparison.paired.p_value
        good = compare_all(self.benchmark(), "baseline")[0]
        assert good.adjusted_p_value == pytest.approx(3 * good.paired.p_value)

    def test_correction_can_change_the_verdict(self) -> None:
        reference = dict.fromkeys(range(6), 0.2)
        good = {seed: 0.1 + seed / 100 for seed in range(6)}
        alone = compare_all({"reference": reference, "good": good}, "reference")
        assert alone[0].verdict == "better"
        two = compare_all({"reference": reference, "good": good, "too": good}, "reference")
        assert two[0].verdict == "undecided with 6 seeds, needs 7"
        assert two[0].paired.detectable_difference is None

    def test_a_margin_tells_equal_from_undecided(self) -> None:
        results = self.benchmark()
        answers = {
            margin: [each.answer for each in compare_all(results, "baseline", margin=margin)]
            for margin in (None, 1e-4, 0.02, 0.2)
        }
        assert answers[None] == answers[1e-4] == ["better", "undecided", "worse"]
        assert answers[0.02] == ["better", "equivalent", "worse"]
        assert answers[0.2] == ["equivalent"] * 3
        for each in compare_all(results, "baseline", margin=0.02):
            raw, adjusted = each.paired.equivalence_p_value, each.adjusted_equivalence_p_value
            assert raw is not None
            assert adjusted is not None
            assert raw <= adjusted <= 1

    def test_says_how_many_seeds_an_answer_takes(self) -> None:
        for margin, needed in ((None, 6), (0.1, 5)):
            for n in range(2, 8):
                results = {"a": dict.fromkeys(range(n), 0.2), "b": dict.fromkeys(range(n), 0.2)}
                (found,) = compare_all(results, "a", margin=margin)
                assert seeds_needed(2, margin=margin) == needed
                assert found.verdict.endswith(f"needs {needed}") == (n < needed)
                assert (found.answer == "equivalent") == (margin is not None and n >= needed)

    @pytest.mark.parametrize("margin", [0.0, -0.1, math.nan, math.inf])
    def test_refuses_what_is_no_margin(self, margin: float) -> None:
        with pytest.raises(ValueError, match="margin of equivalence"):
            compare_all(self.benchmark(), "baseline", margin=margin)

    def test_pairs_by_seed_whatever_the_order(self) -> None:
        results = self.benchmark()
        shuffled = {name: dict(reversed(list(errors.items()))) for name, errors in results.items()}
        assert compare_all(shuffled, "baseline") == compare_all(results, "baseline")

    def test_uses_the_common_seeds_only(self) -> None:
        results = self.benchmark()
        del results["good"][0]
        del results["baseline"][9]
        results["good"][77] = 0.9
        good, same, _ = compare_all(results, "baseline")
        assert good.seeds == tuple(range(1, 9))
        assert good.paired.n == 8
        assert same.seeds == tuple(range(9))

    def test_values_that_are_not_compared_may_be_missing(self) -> None:
        results = self.benchmark()
        results["good"][77] = math.nan
        assert compare_all(results, "baseline")[0].paired.n == 10

    def test_what_has_no_result_yet_counts_in_the_correction(self) -> None:
        results = self.benchmark()
        pending = {"none": {}, "one": {0: 0.3}, "apart": {77: 0.1, 78: 0.1}}
        early = compare_all({**pending, **results}, "baseline", margin=0.02)
        assert [each.name for each in early] == ["good", "same", "bad"]
        # As corrected as with results that are the reference's own.
        alike = dict.fromkeys(pending, results["baseline"])
        later = compare_all({**results, **alike}, "baseline", margin=0.02)[:3]
        assert [each.paired for each in early] == [each.paired for each in later]
        assert [each.adjusted_p_value for each in early] == [
            each.adjusted_p_value for each in later
        ]
        good, same, _ = compare_all(results, "baseline", margin=0.02)
        assert early[0].adjusted_p_value == pytest.approx(2 * good.adjusted_p_value)
        assert early[1].adjusted_equivalence_p_value is not None
        assert same.adjusted_equivalence_p_value is not None
        assert early[1].adjusted_equivalence_p_value == pytest.approx(
            2 * same.adjusted_equivalence_p_value
        )
        few = {name: {s: v for s, v in own.items() if s < 2} for name, own in results.items()}
        assert compare_all({**few, "none": {}}, "baseline")[0].verdict == (
            "undecided with 2 seeds, needs 8"
        )

    def test_two_seeds_decide_nothing(self) -> None:
        results = {"a": {0: 0.5, 1: 0.6}, "b": {0: 0.01, 1: 0.02}}
        assert compare_all(results, "a")[0].verdict == "undecided with 2 seeds, needs 6"

    @pytest.mark.parametrize(
        ("failed", "verdicts"),
        [
            ({"good": 2}, ["not ranked: failed on 2 seeds", "worse"]),
            ({"bad": 1}, ["better", "worse"]),
            ({"baseline": 1}, ["better", "not ranked: the reference failed on 1 seed"]),
            ({"same": 3}, ["better", "worse"]),
        ],
    )
    def test_whoever_failed_elsewhere_is_not_the_better_one(
        self, failed: dict[str, int], verdicts: list[str]
    ) -> None:
        good, same, bad = compare_all(self.benchmark(), "baseline", failed=failed)
        assert [good.verdict, bad.verdict] == verdicts
        assert same.verdict == "undecided with 10 seeds"

    @pytest.mark.parametrize("failed", ["same", "baseline"])
    def test_whoever_failed_elsewhere_is_not_as_good_as_the_other(self, failed: str) -> None:
        found = compare_all(self.benchmark(), "baseline", failed={failed: 1}, margin=0.02)
        which = "the reference " if failed == "baseline" else ""
        assert found[1].answer == "not ranked"
        assert found[1].verdict == f"not ranked: {which}failed on 1 seed"

    def test_a_reference_alone_has_no_comparisons(self) -> None:
        assert compare_all({"a": {0: 0.5}}, "a") == []

    @pytest.mark.parametrize(
        ("results", "sentence"),
        [
            ({"b": {0: 0.1, 1: 0.2}}, "reference 'a' is not among the results: b"),
            (
                {"a": {0: 0.1, 1: 0.2}, "b": {0: 0.1, 1: math.nan}},
                "'b' has no finite value for seed 1",
            ),
        ],
    )
    def test_refuses(self, results: Any, sentence: str) -> None:
        with pytest.raises(ValueError, match=sentence):
            compare_all(results, "a")


class TestCompareToReport:
    def test_agrees_with_welch_on_the_raw_values(self) -> None:
        rng = np.random.default_rng(1)
        ours, theirs = rng.normal(0.12, 0.01, 10), rng.normal(0.13, 0.03, 7)
        expected = stats.ttest_ind(ours, theirs, equal_var=False)
        compared = compare_to_report(
            summarise(ours), mean=theirs.mean(), std=theirs.std(ddof=1), n=7
        )
        assert compared.difference == pytest.approx(ours.mean() - theirs.mean())
        assert compared.p_value == pytest.approx(expected.pvalue)
        assert compared.degrees_of_freedom == pytest.approx(expected.df)
        assert compared.interval == pytest.approx(tuple(expected.confidence_interval(0.95)))

    def test_verdict_interval_and_p_value_agree(self) -> None:
        ours = summarise([0.11, 0.12, 0.13, 0.12, 0.11])
        verdicts = []
        for mean in np.linspace(0.08, 0.16, 81):
            compared = compare_to_report(ours, mean=mean, std=0.01, n=10)
            assert (compared.verdict == "consistent") == (compared.p_value >= 0.05)
            holds_zero = compared.interval.low <= 0 <= compared.interval.high
            assert (compared.verdict == "consistent") == holds_zero
            verdicts.append(compared.verdict)
        assert set(verdicts) == {"consistent", "not consistent"}

    def test_says_not_consistent_at_the_stated_rate(self) -> None:
        rng = np.random.default_rng(2)
        n_said = 0
        for _ in range(1_000):
            ours, theirs = rng.normal(0.12, 0.01, 10), rng.normal(0.12, 0.02, 10)
            compared = compare_to_report(
                summarise(ours), mean=theirs.mean(), std=theirs.std(ddof=1), n=10
            )
            n_said += compared.verdict == "not consistent"
        assert n_said / 1_000 <= allowed_share(1_000)
        assert n_said > 0

    def test_a_lucky_scatter_counts_no_less_than_the_test_pairs_noise(self) -> None:
        ours = summarise([0.162, 0.166, 0.164, 0.163, 0.165])
        plain = compare_to_report(ours, mean=0.18, std=0.002, n=5)
        floored = compare_to_report(ours, mean=0.18, std=0.002, n=5, n_fresh=1_000)
        assert (plain.verdict, floored.verdict) == ("not consistent", "consistent")
        stds = [math.sqrt(error * (1 - error) / 1_000) for error in (0.164, 0.18)]
        expected = stats.ttest_ind_from_stats(0.164, stds[0], 5, 0.18, stds[1], 5, equal_var=False)
        assert floored.p_value == pytest.approx(expected.pvalue)
        # A scatter that is larger than the noise of the pairs stays what it is.
        wide = summarise([0.1, 0.2, 0.3, 0.1, 0.2])
        assert compare_to_report(wide, mean=0.18, std=0.05, n=5) == compare_to_report(
            wide, mean=0.18, std=0.05, n=5, n_fresh=1_000
        )

    def test_no_interval_leaves_what_a_difference_of_shares_can_be(self) -> None:
        compared = compare_to_report(summarise([0.0, 1.0]), mean=0.5, std=0.5, n=2, is_share=True)
        assert compared.interval == (-1, 1)

    def test_one_side_without_scatter_is_judged_by_the_other(self) -> None:
        compared = compare_to_report(summarise([0.1, 0.1, 0.1]), mean=0.1, std=0.02, n=10)
        assert compared.degrees_of_freedom == pytest.approx(9)
        assert compared.verdict == "consistent"

    @pytest.mark.parametrize(
        ("values", "reported", "sentence"),
        [
            ([0.1], {"mean": 0.1, "std": 0.01, "n": 10}, "at least 2 runs on both sides"),
            ([0.1, 0.2], {"mean": 0.1, "std": 0.01, "n": 1}, "at least 2 runs on both sides"),
            ([0.1, 0.2], {"mean": 0.1, "std": -0.01, "n": 10}, "no mean and standard deviation"),
            ([0.1, 0.2], {"mean": math.nan, "std": 0.01, "n": 10}, "no mean"),
            ([0.5, 0.5], {"mean": 0.5, "std": 0.0, "n": 10}, "scatter"),
            ([0.1, 0.2], {"mean": 0.1, "std": 0.01, "n": 10, "confidence": 95}, "confidence"),
        ],
    )
    def test_refuses(self, values: Any, reported: Any, sentence: str) -> None:
        with pytest.raises(ValueError, match=sentence):
            compare_to_report(summarise(values), **reported)


class TestOptimism:
    def test_is_the_confirmed_mean_minus_the_search_value(self) -> None:
        result = optimism(0.08, [0.10, 0.11, 0.126])
        assert result.search_value == 0.08
        assert result.confirmed == summarise([0.10, 0.11, 0.126])
        assert result.worse_by == pytest.approx(0.032)

    def test_one_confirmation_has_no_scatter(self) -> None:
        assert optimism(0.08, [0.07]).confirmed.std is None
        assert optimism(0.08, [0.07]).worse_by < 0

    @pytest.mark.parametrize(("search_value", "confirmed"), [(math.nan, [0.1]), (0.1, [])])
    def test_refuses(self, search_value: float, confirmed: list[float]) -> None:
        with pytest.raises(ValueError, match=r"finite|at least one"):
            optimism(search_value, confirmed)


values_of_three = st.lists(
    st.lists(st.integers(0, 30), min_size=8, max_size=8), min_size=3, max_size=3
)


@given(values_of_three)
@settings(max_examples=40, deadline=None)
def test_negated_values_that_are_maximised_get_the_same_verdicts(values: list[list[int]]) -> None:
    down = {str(n): dict(enumerate(map(float, each))) for n, each in enumerate(values)}
    up = {name: {seed: -each for seed, each in own.items()} for name, own in down.items()}
    found = (compare_all(down, "0"), compare_all(up, "0", maximize=True))
    for one, other in zip(*found, strict=True):
        assert (one.verdict, one.adjusted_p_value) == (other.verdict, other.adjusted_p_value)
        ours, theirs = one.paired, other.paired
        assert ours.probability_better == theirs.probability_better
        assert ours.detectable_difference == theirs.detectable_difference
        assert ours.mean_difference == -theirs.mean_difference
        negated = None if theirs.interval is None else [-end for end in reversed(theirs.interval)]
        assert (None if ours.interval is None else list(ours.interval)) == negated
    searched, fresh = down["0"][0], list(down["1"].values())
    lower = optimism(searched, fresh).worse_by
    assert optimism(-searched, [-each for each in fresh], maximize=True).worse_by == lower


def test_where_higher_is_better_more_is_better() -> None:
    low = {seed: 0.1 + 0.001 * seed for seed in range(10)}
    high = {seed: value + 0.05 + 0.0003 * seed for seed, value in low.items()}
    for maximize, expected in ((False, "worse"), (True, "better")):
        (found,) = compare_all({"low": low, "high": high}, "low", maximize=maximize)
        assert found.verdict == expected
        assert found.paired.mean_difference > 0
