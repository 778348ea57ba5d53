"""A benchmark read off the store: numbers against hand-computed ones."""

from __future__ import annotations

import pytest

from dashboards.numbers.benchmark import find_benchmark, read_benchmark
from dashboards.story import benchmark_outcome
from space.errors import UsageError
from storage import Store
from storage.summaries.benchmark import glance_at_benchmarks
from tests.dashboards.made.reported_benchmark import (
    ERRORS,
    add_result,
    begin_launch,
    begin_run,
    benchmark_config,
    made_benchmark,
    reported,
    save,
)
from tests.dashboards.made.shelf import Shelf


def test_per_seed_values_means_and_intervals(shelf: Shelf) -> None:
    view = shelf.benchmark(ERRORS, reported=reported())
    mlp = view.table.rows[0]
    assert {seed: each.result["test_error"] for seed, each in mlp.result.seeds.items()} == ERRORS[
        "MLP"
    ]
    summary = mlp.means["test_error"]
    assert summary.mean == pytest.approx(0.32)
    assert summary.std == pytest.approx(0.02)
    assert summary.interval is None
    assert mlp.reported[2].reported.mean == 0.22
    assert [row.result.missing for row in view.table.rows] == [(), (), (0, 1), (0, 1, 2)]
    assert (view.n_done, view.n_asked) == (7, 12)


def test_differences_are_paired_by_seed(shelf: Shelf) -> None:
    view = shelf.benchmark(ERRORS)
    _, convnet, siamese, resnet = view.table.rows
    assert view.differences(convnet) == pytest.approx({0: -0.10, 1: -0.07, 2: -0.07})
    assert convnet.comparison is not None
    assert convnet.comparison.paired.mean_difference == pytest.approx(-0.08)
    assert convnet.verdict == "undecided with 3 seeds, needs 7"
    assert view.differences(siamese) == pytest.approx({2: -0.24})
    assert siamese.verdict == "not compared: 1 common seed"
    assert view.differences(resnet) == {}


def test_curves_are_means_and_bands_over_the_seeds(shelf: Shelf) -> None:
    view = shelf.benchmark(ERRORS)
    assert list(view.curves) == ["MLP", "ConvNet", "Siamese"]
    curves = view.curves["MLP"]
    assert curves.n_seeds == 3
    assert curves.epoch_E.tolist() == [1, 2, 3]
    train, val = curves.bands
    assert (train.metric.name, val.metric.name) == ("train_loss", "val_loss")
    assert train.mean_E == pytest.approx([0.71, 0.51, 0.31])
    assert val.low_E == pytest.approx([0.8, 0.6, 0.7])
    assert val.high_E == pytest.approx([0.82, 0.62, 0.72])


def test_costs_are_of_what_ran_and_name_the_machines(store: Store) -> None:
    record = made_benchmark(store, ERRORS)
    gpu = begin_launch(store, hardware={"processor": "Abacus 8", "gpus": ["H", "H"]})
    add_result(store, gpu, record.configs[2], 0, 0.2)
    view = read_benchmark(store, record)
    mlp, _, siamese, resnet = view.table.rows
    assert mlp.train_seconds is not None
    assert mlp.train_seconds.mean == pytest.approx(6.0)
    assert resnet.train_seconds is None
    assert view.machines(mlp) == ("Abacus 7",)
    assert set(view.machines(siamese)) == {"Abacus 7", "Abacus 8 + H"}


def test_a_benchmark_that_nobody_has_run(store: Store) -> None:
    view = read_benchmark(store, save(store, [benchmark_config("one"), benchmark_config("two")]))
    assert (view.n_done, view.n_asked) == (0, 6)
    assert view.curves == {}
    assert view.unfinished == view.launches == ()
    assert view.traced() == []


def test_runs_without_a_result_are_the_latest_of_their_seed(store: Store) -> None:
    config = benchmark_config("one", n_seeds=4)
    record = save(store, [config])
    first, second = begin_launch(store), begin_launch(store)
    elsewhere = begin_launch(store, data_fingerprint="e" * 16)
    add_result(store, first, config, 0, 0.3)
    begin_run(store, elsewhere, config, 3)
    failed = begin_run(store, first, config, 1, n_epochs=1)
    store.end_run(failed.run_id, "failed", "the loss was not finite")
    begin_run(store, first, config, 2, n_epochs=0)
    store.end_run(begin_run(store, first, config, 2, n_epochs=0).run_id, "failed", "lost")
    running = begin_run(store, second, config, 2, n_epochs=2)
    view = read_benchmark(store, record)
    assert [(each.name, each.seed, each.run.state) for each in view.unfinished] == [
        ("one", 1, "failed"),
        ("one", 2, "running"),
    ]
    assert view.unfinished[0].run.reason == "the loss was not finite"
    assert view.unfinished[1].run.run_id == running.run_id
    assert (view.unfinished[1].run.n_epochs, view.unfinished[1].n_epochs_asked) == (2, 3)
    assert [launch.launch_id for launch in view.launches] == [first]
    assert [run.launch_id for *_, run in view.traced()] == [first]


def test_results_on_other_data_do_not_count(store: Store) -> None:
    config = benchmark_config("one")
    record = save(store, [config])
    add_result(store, begin_launch(store), config, 0, 0.3, fingerprint="e" * 16)
    assert read_benchmark(store, record).n_done == 0


class TestFinding:
    def test_by_name(self, store: Store) -> None:
        record = save(store, [benchmark_config("one")], name="a@b")
        assert find_benchmark(store, "a@b") == record

    @pytest.mark.parametrize("data", ["mnist", "f" * 16])
    def test_by_name_and_data(self, store: Store, data: str) -> None:
        record = save(store, [benchmark_config("one")])
        save(store, [benchmark_config("one")], data_source="digits", data_fingerprint="e" * 16)
        assert find_benchmark(store, f"table1@{data}") == record

    @pytest.mark.parametrize("wanted", ["table1", "table1@fashion"])
    def test_two_of_a_name_are_told_apart_by_their_data(self, store: Store, wanted: str) -> None:
        save(store, [benchmark_config("one")])
        save(store, [benchmark_config("one")], data_source="digits", data_fingerprint="e" * 16)
        with pytest.raises(UsageError) as refused:
            find_benchmark(store, wanted)
        for choice in ("f" * 16, "e" * 16):
            assert f"'table1@{choice}'" in str(refused.value)

    def test_a_typo_is_answered_with_the_nearest_name(self, store: Store) -> None:
        save(store, [benchmark_config("one")])
        with pytest.raises(UsageError, match="did you mean 'table1'"):
            find_benchmark(store, "tabel1")

    def test_an_empty_store_says_so(self, store: Store) -> None:
        with pytest.raises(UsageError, match="it holds none"):
            find_benchmark(store, "table1")


def test_the_best_at_a_glance_has_every_seed_that_any_config_has(store: Store) -> None:
    made_benchmark(store, {"a": {0: 0.3, 1: 0.4, 2: 0.5}, "b": {0: 0.1, 1: 0.1}, "c": {}})
    (glance,) = glance_at_benchmarks(store)
    assert glance.best is None  # b may have failed on the hard seed.
    other = benchmark_config("c", "siamese-aux")
    launch_id = begin_launch(store)
    for seed in range(3):
        add_result(store, launch_id, other, seed, 0.35)
    (glance,) = glance_at_benchmarks(store)
    assert glance.best == ("c", pytest.approx(0.35))


def test_the_best_of_a_benchmark_of_one_config_is_that_config(store: Store) -> None:
    made_benchmark(store, {"a": {1: 0.4}})
    (glance,) = glance_at_benchmarks(store)
    assert glance.best == ("a", pytest.approx(0.4))


def test_a_failure_is_told_and_its_config_not_called_the_best(store: Store) -> None:
    record = made_benchmark(
        store, {"a": dict.fromkeys(range(3), 0.4), "b": {0: 0.1, 2: 0.1}}, n_seeds=3
    )
    launch_id = begin_launch(store)
    run = begin_run(store, launch_id, benchmark_config("b", "convnet"), 1)
    store.end_run(run.run_id, "failed", "lost its finite loss")
    view = read_benchmark(store, record)
    assert benchmark_outcome(view) == (
        "No two configs have the same seeds yet, so none is called the best. b failed on 1 seed. "
        "Against a, b is undecided."
    )


def test_one_config_is_not_the_best_of_several(shelf: Shelf) -> None:
    alone = benchmark_outcome(shelf.benchmark({"MLP": {0: 0.3, 1: 0.32}}))
    assert alone == "MLP has in the mean a test error of 31.00 ± 1.41 % over 2 seeds."
