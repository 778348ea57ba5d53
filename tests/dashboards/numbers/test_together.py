"""Training times of runs that were trained together with others."""

from __future__ import annotations

import dataclasses

from dashboards import story
from dashboards.figures.benchmark.panels import benchmark_panels
from dashboards.figures.study.panels import study_panels
from dashboards.numbers.benchmark import read_benchmark
from dashboards.numbers.study.view import read_study
from dashboards.numbers.together import together_note, trained_together
from dashboards.pages.benchmark_page import benchmark_document
from dashboards.pages.study_page import study_document
from storage import BenchmarkConfig, Store
from storage.tables.records import RunEpoch
from tests.dashboards.made.bulk_study import add_study
from tests.dashboards.made.reported_benchmark import (
    add_result,
    begin_launch,
    begin_run,
    benchmark_config,
    save,
)
from tests.records import epoch, result


def add_batch(
    store: Store, launch_id: int, config: BenchmarkConfig, seconds: dict[int, float]
) -> list[int]:
    """Runs of which each epoch is recorded in one step, as a worker reports it."""
    runs = [begin_run(store, launch_id, config, seed, n_epochs=0).run_id for seed in seconds]
    for number in (1, 2, 3):
        reports = [
            RunEpoch(
                run_id=run, epoch=epoch(number, seconds=each), best_epoch=1, worker="somewhere 1"
            )
            for run, each in zip(runs, seconds.values(), strict=True)
        ]
        store.record_epochs(launch_id, reports)
    for run in runs:
        store.record_result(result(run, 0.3))
        store.end_run(run, "complete")
    return runs


def test_equal_shares_of_one_step_are_a_batch(store: Store) -> None:
    config, launch_id = benchmark_config("one"), begin_launch(store)
    batch = add_batch(store, launch_id, config, {0: 0.71, 1: 0.71})
    # One after the other within a step, each with a time of its own; and alone.
    add_batch(store, launch_id, config, {2: 0.7, 3: 0.72})
    add_result(store, launch_id, config, 4, 0.2)
    assert trained_together(store, [launch_id]) == set(batch)
    assert trained_together(store, [launch_id + 1]) == trained_together(store, []) == set()


def test_epochs_of_no_length_are_no_batch(store: Store) -> None:
    config, launch_id = benchmark_config("one"), begin_launch(store)
    add_batch(store, launch_id, config, {0: 2e-6, 1: 2e-6})
    assert trained_together(store, [launch_id]) == set()


def test_a_benchmark_says_so_wherever_it_shows_times(store: Store) -> None:
    configs = [benchmark_config("one"), benchmark_config("two", "convnet")]
    launch_id = begin_launch(store)
    add_batch(store, launch_id, configs[0], {0: 0.5, 1: 0.5})
    add_result(store, launch_id, configs[1], 0, 0.2)
    record = save(store, configs)
    view = read_benchmark(store, record)
    note = "2 of 3 runs were trained together with others"
    assert view.n_together == 2
    (panel,) = (each for each in benchmark_panels(view) if each.key == "benchmark-seconds")
    assert note in panel.caption
    assert note in benchmark_document(store, record).summary
    assert note in story.benchmark_terms(view)


def test_a_study_says_so_wherever_it_shows_times(store: Store) -> None:
    add_study(store, n_trials=20)
    view = read_study(store, "made")
    assert view.n_together == 0
    assert "together" not in study_document(store, "made").details
    view = dataclasses.replace(view, n_together=view.n_runs)
    (panel,) = (each for each in study_panels(view) if each.key == "cost")
    assert "All runs were trained together with others" in panel.caption
    assert together_note(view.n_runs, view.n_runs) in story.how_it_went(view, is_running=False)
    assert together_note(0, 20) == ""


def test_a_studys_page_says_so(store: Store) -> None:
    study_id = add_study(store, n_trials=20)
    first, second = store.runs(study_id, "search")[:2]
    reports = [
        RunEpoch(run_id=run.run_id, epoch=epoch(90, seconds=0.7), best_epoch=1, worker="host 0")
        for run in (first, second)
    ]
    store.record_epochs(first.launch_id, reports)
    assert "2 of 20 runs were trained together" in study_document(store, "made").details
