"""How often verdicts are right where the truth is known: by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from dashboards.statistics.means import PairedComparison
from tests.benchmarks.statistics.report_calibration import REPORTS, simulate_report, simulate_shift
from tests.benchmarks.statistics.scenarios import OUTSIDE, SCENARIOS
from tests.benchmarks.statistics.verdict_calibration import (
    EquivalenceResult,
    NullResult,
    allowed_share,
    main,
    simulate_equivalence,
    simulate_family,
    simulate_null,
    simulate_power,
)

N_SIMULATIONS = 200


@pytest.fixture(scope="module")
def nulls() -> list[NullResult]:
    """Ten seeds of every scenario without a difference."""
    return [simulate_null(scenario, 10, N_SIMULATIONS, seed=0) for scenario in SCENARIOS]


class TestCalibration:
    def test_no_scenario_exceeds_the_level(self, nulls: list[NullResult]) -> None:
        for result in nulls:
            assert result.false_verdicts <= allowed_share(N_SIMULATIONS), result

    def test_the_level_holds_over_a_thousand_comparisons(self, nulls: list[NullResult]) -> None:
        n_comparisons = N_SIMULATIONS * len(nulls)
        assert n_comparisons >= 1_000
        pooled = np.mean([result.false_verdicts for result in nulls])
        assert pooled <= allowed_share(n_comparisons)
        # A procedure that never speaks keeps every level; this one is to use most of it.
        assert pooled >= 0.02

    @pytest.mark.parametrize("scenario", SCENARIOS | OUTSIDE)
    @pytest.mark.parametrize("n", [3, 5])
    def test_five_seeds_never_decide(self, scenario: str, n: int) -> None:
        assert simulate_null(scenario, n, 20, seed=0).false_verdicts == 0

    def test_equivalence_keeps_the_level_at_the_margin(self) -> None:
        results = [simulate_equivalence(each, 10, N_SIMULATIONS, seed=0) for each in SCENARIOS]
        for result in results:
            assert result.false_equivalent <= allowed_share(N_SIMULATIONS), result
        pooled = np.mean([result.false_equivalent for result in results])
        assert 0.02 <= pooled <= allowed_share(N_SIMULATIONS * len(results))
        assert np.mean([result.true_equivalent for result in results]) > 0.5

    @pytest.mark.parametrize("scenario", SCENARIOS)
    def test_four_seeds_are_never_equivalent(self, scenario: str) -> None:
        assert simulate_equivalence(scenario, 4, 20, seed=0) == EquivalenceResult(
            scenario=scenario, n=4, false_equivalent=0, true_equivalent=0
        )

    @pytest.mark.parametrize("report", REPORTS)
    def test_no_verdict_beside_a_report_exceeds_the_level(
        self, report: tuple[float, float, int, int]
    ) -> None:
        result = simulate_report(*report, N_SIMULATIONS, seed=0)
        assert result.false_verdicts <= allowed_share(N_SIMULATIONS)
        if result.n < 5:
            assert result.false_verdicts == 0

    def test_two_seeds_beside_a_report_would_exceed_it(self) -> None:
        n_simulated = 1_000
        result = simulate_report(0.2, 0.0, 2, 10, n_simulated, seed=0)
        assert result.welch > allowed_share(n_simulated)

    @pytest.mark.parametrize("shared", [0.0, 1.0])
    def test_the_test_of_the_average_needs_no_independent_rows_here_or_in_the_report(
        self, shared: float
    ) -> None:
        n_simulated = 200
        sign_test, average = simulate_shift(10, shared, n_simulated, seed=0)
        assert average <= allowed_share(n_simulated)
        assert (sign_test > allowed_share(n_simulated)) == (shared == 1.0)

    def test_family_keeps_the_level(self) -> None:
        assert max(simulate_family(10, 100, seed=0)) <= allowed_share(100)

    @pytest.mark.parametrize("n_configs", [1, 6])
    def test_twice_the_detectable_difference_is_found(self, n_configs: int) -> None:
        result = simulate_power(10, 2, N_SIMULATIONS // n_configs, seed=0, n_configs=n_configs)
        assert result.found >= 0.95
        assert result.wrong_sign == 0

    def test_simulation_would_notice_a_wrong_level(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def always(comparison: PairedComparison, adjusted_p_value: float) -> str:
            return "better" if comparison.mean_difference < 0 else "worse"

        monkeypatch.setattr("tests.benchmarks.statistics.verdict_calibration.answer", always)
        assert simulate_null("normal", 10, 50, seed=0).false_verdicts > allowed_share(50)

    def test_command_prints_the_tables(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["--simulations", "6"]) == 0
        printed = capsys.readouterr().out
        assert all(scenario in printed for scenario in SCENARIOS | OUTSIDE)
        assert "wrong sign" in printed
