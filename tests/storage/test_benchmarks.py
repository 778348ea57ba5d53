"""What a benchmark compares goes into the store and comes back."""

from __future__ import annotations

import dataclasses

from space import Reported
from space.config import RecordedConfig
from space.files.load import parse_tree
from storage import BenchmarkConfig, BenchmarkRecord, Store
from storage.benchmarks import load_benchmarks, save_benchmark
from trainables.shipped.digit_pairs.config import DIGIT_PAIRS, DigitPairsConfig

CONFIG = DigitPairsConfig.model_validate(
    {"model": {"name": "mlp"}, "training": {"learning_rate": 0.1}}
)
REPORTED = parse_tree(
    Reported,
    {
        "source": "Table I",
        "n": 10,
        **{f"{split}_error": {"mean": 0.1, "std": 0.01} for split in ("train", "val", "test")},
    },
    "reported",
    (),
)


def record(**changes: object) -> BenchmarkRecord:
    """A benchmark of two configs, some of its fields replaced."""
    one = BenchmarkConfig(
        name="one <b>",
        config=CONFIG,
        config_hashes=("a", "b"),
        n_parameters=7,
        reported=REPORTED,
    )
    benchmark = BenchmarkRecord(
        name="table",
        data_source="mnist",
        data_fingerprint="f" * 16,
        title="A title",
        reference="two",
        n_seeds=2,
        measured=DIGIT_PAIRS,
        configs=(one, dataclasses.replace(one, name="two", reported=None)),
    )
    return dataclasses.replace(benchmark, **changes)


def test_what_is_saved_comes_back(store: Store) -> None:
    benchmark = record()
    number = save_benchmark(store, benchmark)
    (found,) = load_benchmarks(store)
    assert found.updated_at is not None
    # Readers need not have what a config trains, so they have its settings as they were recorded.
    read = tuple(
        dataclasses.replace(
            each, config=RecordedConfig.model_validate(each.config.model_dump(mode="json"))
        )
        for each in benchmark.configs
    )
    expected = dataclasses.replace(
        benchmark, benchmark_id=number, updated_at=found.updated_at, configs=read
    )
    assert found == expected
    assert [each.config.config_hash() for each in found.configs] == [
        each.config.config_hash() for each in benchmark.configs
    ]


def test_the_latest_of_a_name_and_data_set_replaces(store: Store) -> None:
    first = save_benchmark(store, record())
    assert save_benchmark(store, record(n_seeds=5)) == first
    other = save_benchmark(store, record(data_fingerprint="e" * 16))
    found = load_benchmarks(store)
    assert [(each.benchmark_id, each.n_seeds) for each in found] == [(first, 5), (other, 2)]
