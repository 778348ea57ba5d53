"""Benchmark tables: numbers against hand-computed ones."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from scipy import stats

from dashboards.numbers.results import collect, usual_fingerprint
from dashboards.numbers.tables import BenchmarkTable, benchmark_table
from dashboards.tables.formats import render, results_sheet
from search.benchmark.configs import benchmark_configs, resolved
from space import Reported
from space.config import RecordedConfig
from space.errors import UsageError
from storage import Store
from tests.records import begin_run
from tests.search.results_store import add_run, begin_launch, named_config
from trainables.seeds import PROTOCOL
from trainables.shipped.digit_pairs.config import DIGIT_PAIRS

from .conftest import BETTER, REPORTED, TEN, filled


class TestNumbers:
    def test_summaries_are_those_of_the_seeds(self, store: Store) -> None:
        values = [0.10, 0.13, 0.16]
        (result,) = filled(store, [(named_config("a"), dict(enumerate(values)))], n_seeds=4)
        (row,) = benchmark_table([result], DIGIT_PAIRS).rows
        test = row.means["test_error"]
        assert (test.n, row.n, row.result.missing) == (3, 3, (3,))
        assert test.mean == pytest.approx(0.13)
        assert test.std == pytest.approx(0.03)  # ddof 1; ddof 0 gives 0.0245.
        assert test.interval is None  # Three values have none at 95 %.
        assert row.means["train_error"].mean == pytest.approx(0.03)
        assert row.means["val_error"].mean == pytest.approx(0.08)
        assert row.train_seconds is not None
        assert row.train_seconds.mean == pytest.approx(6.0)

    def test_row_describes_its_config(self, table: BenchmarkTable) -> None:
        mlp, siamese, *_ = table.rows
        assert mlp.result.n_parameters == 9_235
        assert siamese.result.config.value("training.aux_weight") == 0.6
        assert table.settings == ("training.aux_weight",)
        assert table.title == "Table I, restated"

    def test_comparison_is_paired_by_seed(self, store: Store) -> None:
        # Seed 9 is the reference's alone, seed 7 the other's: neither is in a pair.
        ours = {seed: value - 0.01 * (seed + 1) for seed, value in TEN.items() if seed != 9}
        theirs = {seed: value for seed, value in TEN.items() if seed != 7}
        results = filled(
            store, [(named_config("ref"), theirs), (named_config("b", "convnet"), ours)]
        )
        reference, row = benchmark_table(results, DIGIT_PAIRS).rows
        assert (reference.comparison, reference.verdict) == (None, "reference")
        assert row.comparison is not None
        assert row.comparison.seeds == (0, 1, 2, 3, 4, 5, 6, 8)
        paired = row.comparison.paired
        assert paired.mean_difference == pytest.approx(-0.01 * (1 + 2 + 3 + 4 + 5 + 6 + 7 + 9) / 8)
        assert paired.probability_better == 1.0
        assert paired.p_value == pytest.approx(2 / 2**8)
        assert row.verdict == "better"

    def test_p_values_are_corrected_for_every_config(self, table: BenchmarkTable) -> None:
        better = table.rows[1].comparison
        assert better is not None
        # The other two have too few seeds to be compared, and count.
        assert better.paired.n_comparisons == 3
        assert better.adjusted_p_value == pytest.approx(3 * better.paired.p_value)
        assert [row.verdict for row in table.rows] == [
            "reference",
            "better",
            "not compared: 1 common seed",
            "not compared: no common seeds",
        ]

    def test_reference_may_be_any_config(self, store: Store) -> None:
        results = filled(store, [(named_config("a"), BETTER), (named_config("b", "convnet"), TEN)])
        assert [row.verdict for row in benchmark_table(results, DIGIT_PAIRS).rows] == [
            "reference",
            "worse",
        ]
        other = benchmark_table(results, DIGIT_PAIRS, reference="b")
        assert [row.verdict for row in other.rows] == ["better", "reference"]

    def test_settings_of_one_name_are_told_apart(self, store: Store) -> None:
        runs = [(named_config("a"), TEN), (named_config("b", "convnet"), BETTER)]
        results = [
            replace(
                result,
                config=RecordedConfig.model_validate(
                    {
                        "trainable": "own.py:Task@0123456789abcdef",
                        "training": {"epochs": 3 + place},
                        "options": {"epochs": 7 + place, "n_layers": place},
                    }
                ),
            )
            for place, result in enumerate(filled(store, runs))
        ]
        columns = results_sheet(benchmark_table(results, DIGIT_PAIRS)).columns
        assert columns[2:5] == ("options.epochs", "n layers", "training.epochs")

    def test_few_seeds_are_never_called_different(self, store: Store) -> None:
        runs = [
            (named_config("a"), {0: 0.5, 1: 0.5, 2: 0.51}),
            (named_config("b", "convnet"), {0: 0.1, 1: 0.12, 2: 0.1}),
        ]
        row = benchmark_table(filled(store, runs, n_seeds=3), DIGIT_PAIRS).rows[1]
        assert row.verdict == "undecided with 3 seeds, needs 6"

    def test_one_config_is_compared_with_nothing(self, store: Store) -> None:
        (row,) = benchmark_table(filled(store, [(named_config("a"), TEN)]), DIGIT_PAIRS).rows
        assert (row.comparison, row.verdict, row.reported) == (None, "", ())

    def test_reported_values_are_compared_by_welch(self, table: BenchmarkTable) -> None:
        *_, test = table.rows[0].reported
        assert test.comparison is not None
        ours = [0.3 + 0.001 * seed for seed in range(10)]
        mean, std = sum(ours) / 10, math.sqrt(sum((x - 0.3045) ** 2 for x in ours) / 9)
        std = max(std, math.sqrt(mean * (1 - mean) / 1_000))  # What 1,000 pairs scatter by.
        expected = stats.ttest_ind_from_stats(mean, std, 10, 0.22, 0.02, 10, equal_var=False)
        assert test.comparison.difference == pytest.approx(0.0845)
        assert test.comparison.p_value == pytest.approx(expected.pvalue)
        assert test.verdict == "not consistent"

    def test_reported_verdicts_of_rows_that_say_little(self, table: BenchmarkTable) -> None:
        verdicts = [[error.verdict for error in row.reported] for row in table.rows]
        assert verdicts[2] == ["1 seed"] * 3
        assert verdicts[3] == ["not run"] * 3

    def test_values_close_to_the_report_are_consistent(self, store: Store) -> None:
        near = {seed: 0.22 + 0.01 * (-1) ** seed for seed in range(10)}
        (row,) = benchmark_table(
            filled(store, [(named_config("a", reported=REPORTED), near)]), DIGIT_PAIRS
        ).rows
        assert row.reported[2].verdict == "consistent"

    @pytest.mark.parametrize("n", [2, 4])
    def test_few_seeds_get_no_verdict_beside_a_report(self, store: Store, n: int) -> None:
        lucky = {seed: 0.164 + 0.002 * (-1) ** seed for seed in range(n)}
        named = named_config("a", reported=REPORTED)
        (row,) = benchmark_table(filled(store, [(named, lucky)]), DIGIT_PAIRS).rows
        for error in row.reported:
            assert (error.comparison, error.verdict) == (None, f"{n} seeds")
        assert row.reported[2].difference == pytest.approx(0.164 - 0.22)

    def test_few_reported_runs_get_a_verdict_of_test_errors_alone(self, store: Store) -> None:
        values = {seed: 0.22 + 0.01 * (-1) ** seed for seed in range(6)}
        named = named_config("a", reported={**REPORTED, "n": 3})
        (row,) = benchmark_table(filled(store, [(named, values)]), DIGIT_PAIRS).rows
        verdicts = [error.verdict for error in row.reported]
        assert verdicts == ["3 reported", "3 reported", "consistent"]

    @pytest.mark.parametrize("change", [{"n": 1}, {"test_error": {"mean": 0.2, "std": 0.0}}])
    def test_report_without_a_spread_is_not_compared(
        self, store: Store, change: dict[str, object]
    ) -> None:
        reported = Reported.model_validate({**REPORTED, **change}).model_dump()
        named = named_config("a", reported=reported)
        results = filled(store, [(named, dict.fromkeys(range(5), 0.25))])
        (row,) = benchmark_table(results, DIGIT_PAIRS).rows
        assert row.reported[2].verdict == "reported without a spread"
        assert row.reported[2].comparison is None

    def test_a_config_that_failed_on_some_seeds_does_not_win_on_the_rest(
        self, store: Store
    ) -> None:
        hard = {seed: value for seed, value in BETTER.items() if seed not in (3, 7)}
        runs = [(named_config("a"), TEN), (named_config("b", "convnet"), hard)]
        filled(store, runs)
        launch_id = begin_launch(store)
        for seed in (3, 7):
            config = resolved(runs[1][0], seed)
            run = begin_run(store, launch_id, purpose="benchmark", of=config)
            store.end_run(run.run_id, "failed", "lost its finite loss")
        results = collect(store, benchmark_configs([named for named, _ in runs], range(10)))
        table = benchmark_table(results, DIGIT_PAIRS)
        a, b = table.rows
        assert b.means["test_error"].mean < a.means["test_error"].mean
        assert b.comparison is not None
        assert b.comparison.paired.n == 8
        assert b.verdict == "not ranked: failed on 2 seeds"
        assert [row.name for row in table.ranked] == ["a"]
        assert table.best is None
        text = render(table, "text")
        (compared,) = (line for line in text.splitlines() if "not ranked" in line)
        assert compared.split()[:4] == ["b", "8", "of", "10"]
        assert "compared on the seeds that both have" in text
        # Nor does the config that is compared with it lose to a reference that failed.
        other, reference = benchmark_table(results, DIGIT_PAIRS, reference="b").rows
        assert (other.verdict, reference.verdict) == (
            "not ranked: the reference failed on 2 seeds",
            "reference",
        )

    def test_only_configs_with_the_same_seeds_are_ranked(self, store: Store) -> None:
        results = filled(
            store,
            [
                (named_config("a"), TEN),
                (named_config("b", "convnet"), BETTER),
                (named_config("c", "siamese"), {3: 0.001}),
            ],
        )
        table = benchmark_table(results, DIGIT_PAIRS)
        assert [row.name for row in table.ranked] == ["b", "a"]
        assert table.best is table.rows[1]
        alone = benchmark_table(results[2:], DIGIT_PAIRS)
        assert alone.best is alone.rows[0]
        none = filled(store, [(named_config("d", "resnet"), {})])
        assert benchmark_table(none, DIGIT_PAIRS).best is None

    def test_unknown_reference_suggests_the_nearest(self, store: Store) -> None:
        results = filled(store, [(named_config("Siamese"), {}), (named_config("MLP"), {})])
        with pytest.raises(UsageError, match=r"no config 'Siamse'.*did you mean 'Siamese'"):
            benchmark_table(results, DIGIT_PAIRS, reference="Siamse")

    def test_names_are_distinct(self, store: Store) -> None:
        results = filled(store, [(named_config("a"), {}), (named_config("a", "convnet"), {})])
        with pytest.raises(ValueError, match="distinct"):
            benchmark_table(results, DIGIT_PAIRS)
        with pytest.raises(ValueError, match="distinct"):
            benchmark_table([], DIGIT_PAIRS)


class TestData:
    def test_runs_on_other_data_are_not_counted(self, store: Store) -> None:
        named, launch_id = named_config("a"), begin_launch(store)
        for seed, fingerprint in enumerate(["new", "old", "old"]):
            add_run(store, launch_id, named, seed, (0.1, 0.1, 0.1), fingerprint=fingerprint)
        assert usual_fingerprint(store, benchmark_configs([named], range(3))) == "old"
        configs = benchmark_configs([named], range(3))
        assert list(collect(store, configs)[0].seeds) == [1, 2]
        assert list(collect(store, configs, fingerprint="new")[0].seeds) == [0]
        assert usual_fingerprint(store, benchmark_configs([named], range(1))) == "new"

    def test_runs_of_an_older_protocol_are_other_runs(self, store: Store) -> None:
        named, launch_id = named_config("a"), begin_launch(store)
        add_run(store, launch_id, named, 0, (0.1, 0.1, 0.1))
        (today,), (before,) = (
            benchmark_configs([named], range(2), protocol=protocol) for protocol in (PROTOCOL, None)
        )
        assert not set(today.config_hashes) & set(before.config_hashes)
        assert today.config.training.protocol == PROTOCOL
        assert "protocol" not in before.config.model_dump()["training"]
        assert [collect(store, [each])[0].missing for each in (today, before)] == [(1,), (0, 1)]

    def test_as_frequent_fingerprints_give_way_to_the_smallest(self, store: Store) -> None:
        named, launch_id = named_config("a"), begin_launch(store)
        for seed, fingerprint in enumerate(["b", "a"]):
            add_run(store, launch_id, named, seed, (0.1, 0.1, 0.1), fingerprint=fingerprint)
        assert usual_fingerprint(store, benchmark_configs([named], range(2))) == "a"

    def test_empty_store_has_no_fingerprint(self, store: Store) -> None:
        assert usual_fingerprint(store, benchmark_configs([named_config("a")], range(2))) is None
        assert collect(store, benchmark_configs([named_config("a")], range(2)))[0].missing == (0, 1)
