"""What is registered of a benchmark stays as it was, and no look at a test split is forgotten."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from storage import BenchmarkConfig, BenchmarkRecord, Registration, Store, open_store
from storage.admin.copying import copy_store
from storage.admin.removal import benchmark_removal
from storage.benchmarks import load_benchmarks, save_benchmark
from storage.summaries.registered import (
    Registered,
    as_json,
    read_registered,
    registered_lines,
)
from tests.dashboards.made.reported_benchmark import (
    FINGERPRINT,
    add_result,
    begin_launch,
    benchmark_config,
)
from trainables.shipped.digit_pairs.config import DIGIT_PAIRS


def plan(configs: Sequence[BenchmarkConfig], **changes: object) -> Registration:
    known = Registration(
        configs={config.name: config.config_hashes for config in configs},
        seeds=configs[0].seeds,
        reference=configs[0].name,
        metric="test_error",
        margin=0.01,
        max_seeds=None,
        git_commit="0123456789abcdef",
        git_dirty=False,
        versions={"torch": "2.9"},
    )
    return dataclasses.replace(known, **changes)


def register(
    store: Store, configs: Sequence[BenchmarkConfig], *, name: str = "table1", **changes: object
) -> BenchmarkRecord:
    """Register a benchmark, and read it back."""
    record = BenchmarkRecord(
        name=name,
        data_source="mnist",
        data_fingerprint=FINGERPRINT,
        title="",
        reference=configs[0].name,
        n_seeds=len(configs[0].seeds),
        measured=DIGIT_PAIRS,
        configs=tuple(configs),
    )
    number = save_benchmark(store, record, plan(configs, **changes))
    return next(each for each in load_benchmarks(store) if each.benchmark_id == number)


def looked(found: Registered) -> list[tuple[int, int]]:
    return [(step.n_looks, step.n_known) for step in found.steps]


def test_the_plan_comes_back_and_the_same_plan_adds_nothing(store: Store) -> None:
    configs = [benchmark_config("MLP"), benchmark_config("ConvNet", "convnet")]
    record = register(store, configs)
    (step,) = record.registrations
    assert step.registered_at is not None
    assert dataclasses.replace(step, registered_at=None) == plan(configs)
    assert record.margin == 0.01
    # A part of it, on fewer seeds, is no news either.
    assert register(store, configs[:1]).registrations == (step,)
    assert save_benchmark(store, dataclasses.replace(record, title="T")) == record.benchmark_id
    assert load_benchmarks(store)[0].registrations == (step,)


def test_what_is_added_later_is_shown_as_added_later(store: Store) -> None:
    mlp = benchmark_config("MLP", n_seeds=2)
    register(store, [mlp])
    launch_id = begin_launch(store)
    for seed in (0, 1):
        add_result(store, launch_id, mlp, seed, 0.3)
    more = [benchmark_config("MLP", n_seeds=3), benchmark_config("ConvNet", "convnet", n_seeds=3)]
    record = register(store, more, reference="ConvNet", margin=0.5, max_seeds=30)
    assert record.margin == 0.01  # The margin of the first plan counts.
    found = read_registered(store, record)
    assert looked(found) == [(0, 0), (2, 0)]
    assert found.steps[1].news == (
        "1 config (ConvNet)",
        "seeds 2",
        "the reference ConvNet instead of MLP",
        "at most 30 seeds",
    )
    first, later, looks = registered_lines(found)
    assert first.startswith("Registered on 20")
    assert "before any test sample was read for it: 1 config (MLP) on the seeds 0-1" in first
    assert "a margin of 1.00 percentage points" in first
    assert "code 0123456789ab, torch 2.9" in first
    assert later.startswith("Added later, on 20")
    assert later.endswith("2 runs had been evaluated on this test split. Exploratory.")
    assert looks.endswith("2 runs of this store have been evaluated on it so far.")
    told = as_json(found)
    assert [step["looks_before"] for step in told["steps"]] == [0, 2]
    assert told["steps"][0]["configs"] == {"MLP": mlp.config_hashes}


def test_a_config_that_a_file_left_out_for_a_while_is_no_news(store: Store) -> None:
    names = {"MLP": "mlp", "ConvNet": "convnet", "ResNet": "resnet", "Siamese": "siamese"}
    mlp, convnet, resnet, siamese = (benchmark_config(name, names[name]) for name in names)
    register(store, [mlp, convnet])
    launch_id = begin_launch(store)
    add_result(store, launch_id, convnet, 0, 0.3)
    register(store, [mlp, resnet])
    found = read_registered(store, register(store, [mlp, convnet, siamese]))
    assert [step.news for step in found.steps] == [
        (),
        ("1 config (ResNet)",),
        ("1 config (Siamese)",),
    ]
    assert looked(found) == [(0, 0), (1, 0), (1, 0)]


def test_one_that_was_not_registered_says_so_and_what_was_known_when_it_was(store: Store) -> None:
    mlp, other = benchmark_config("MLP", n_seeds=2), benchmark_config("ConvNet", "convnet")
    launch_id = begin_launch(store)
    for config in (mlp, other):
        add_result(store, launch_id, config, 0, 0.3)
    add_result(store, launch_id, other, 1, 0.3, fingerprint="e" * 16)  # Another test split.
    bare = BenchmarkRecord(
        name="table1",
        data_source="mnist",
        data_fingerprint=FINGERPRINT,
        title="",
        reference="MLP",
        n_seeds=2,
        measured=DIGIT_PAIRS,
        configs=(mlp,),
    )
    save_benchmark(store, bare)
    (record,) = load_benchmarks(store)
    assert (record.registrations, record.margin) == ((), None)
    assert registered_lines(read_registered(store, record))[0].startswith("Not registered")
    found = read_registered(store, register(store, [mlp]))
    assert looked(found) == [(2, 1)]
    assert "after a test sample was read for it" in registered_lines(found)[0]
    assert "1 of them runs of what was registered here" in registered_lines(found)[0]


def test_looks_stay_when_their_runs_are_removed(store: Store) -> None:
    mlp = benchmark_config("MLP")
    record = register(store, [mlp])
    launch_id = begin_launch(store)
    for seed in (0, 1):
        add_result(store, launch_id, mlp, seed, 0.3)
    store.end_launch(launch_id, "done")
    benchmark_removal(store, record).carry_out()
    assert store.runs() == []
    again = read_registered(store, register(store, [mlp]))
    assert (looked(again), again.n_looks, again.n_removed) == ([(2, 2)], 2, 2)
    assert registered_lines(again)[-1].endswith("so far, 2 of them removed since.")


def test_a_copy_has_the_plan_and_every_look_once(store: Store, tmp_path: Path) -> None:
    mlp = benchmark_config("MLP")
    record = register(store, [mlp])
    launch_id = begin_launch(store)
    add_result(store, launch_id, mlp, 0, 0.3)
    store.end_launch(launch_id, "done")
    with closing(open_store(str(tmp_path / "copy.db"))) as target:
        for replace in (False, True):
            copy_store(store, target, benchmarks=True, replace=replace)
            (copied,) = load_benchmarks(target)
            assert copied.registrations == record.registrations
            assert read_registered(target, copied) == read_registered(store, record)
