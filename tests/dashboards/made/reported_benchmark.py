"""Stores with benchmark results that nobody trained: no torch, no search."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from space import NamedConfig, Reported
from space.files.load import parse_tree
from storage import BenchmarkConfig, BenchmarkRecord, RunRecord, Store
from storage.benchmarks import load_benchmarks, save_benchmark
from tests import records
from tests.records import FINGERPRINT
from trainables.shipped.digit_pairs.config import DIGIT_PAIRS

__all__ = [
    "ERRORS",
    "FINGERPRINT",
    "HOSTILE",
    "add_result",
    "begin_launch",
    "begin_run",
    "benchmark_config",
    "made_benchmark",
    "reported",
    "save",
]

HOSTILE = "<img src=x onerror=alert(1)>&amp;<b>x</b>'; DROP TABLE trials;--{{7*7}}"
ERRORS = {
    "MLP": {0: 0.30, 1: 0.32, 2: 0.34},
    "ConvNet": {0: 0.20, 1: 0.25, 2: 0.27},
    "Siamese": {2: 0.1},
    "ResNet": {},
}
"""Test errors of a benchmark that is half done: config -> seed -> error."""
LOSSES = ((0.7, 0.8), (0.5, 0.6), (0.3, 0.7))


def reported(test_error: float = 0.22, std: float = 0.02, n: int = 10) -> Reported:
    """What a publication reports."""
    tree = {
        "source": "Table I",
        "n": n,
        "train_error": {"mean": 0.05, "std": std},
        "val_error": {"mean": 0.2, "std": std},
        "test_error": {"mean": test_error, "std": std},
    }
    return parse_tree(Reported, tree, "reported", ())


def benchmark_config(
    name: str, model: str = "mlp", *, n_seeds: int = 3, n_parameters: int = 1_000, **changes: Any
) -> BenchmarkConfig:
    """A config of MNIST for three epochs, complete on every seed."""
    tree = {
        "name": name,
        "data": {"source": "mnist", "n_train_pairs": 1000, "n_test_pairs": 1000},
        "model": {"name": model},
        "training": {"epochs": 3, "learning_rate": 1e-4, "weight_decay": 0.1, "aux_weight": 0.0},
    }
    named = parse_tree(NamedConfig, tree, name, ())
    known = BenchmarkConfig(
        name=name,
        config=named.with_seed(0),
        config_hashes=tuple(named.with_seed(seed).config_hash() for seed in range(n_seeds)),
        n_parameters=n_parameters,
        reported=None,
    )
    return dataclasses.replace(known, **changes)


def save(store: Store, configs: Sequence[BenchmarkConfig], **changes: Any) -> BenchmarkRecord:
    """Record a benchmark and read it back."""
    known = BenchmarkRecord(
        name="table1",
        data_source="mnist",
        data_fingerprint=FINGERPRINT,
        title="Table I: three epochs",
        reference=configs[0].name,
        n_seeds=len(configs[0].config_hashes),
        measured=DIGIT_PAIRS,
        configs=tuple(configs),
    )
    number = save_benchmark(store, dataclasses.replace(known, **changes))
    return next(each for each in load_benchmarks(store) if each.benchmark_id == number)


def begin_launch(store: Store, **changes: Any) -> int:
    """Begin a benchmark's launch."""
    known: dict[str, Any] = {
        "command": "python -m search.benchmark --config space/paper/table1.yaml",
        "git_dirty": True,
        "versions": {"torch": "2.9", "numpy": "2.0"},
        "hardware": {"processor": "Abacus 7", "cpus": 2, "memory_bytes": 2**33, "gpus": []},
        "data_source": "mnist",
    }
    return records.begin_launch(store, **{**known, **changes})


def begin_run(
    store: Store, launch_id: int, config: BenchmarkConfig, seed: int, *, n_epochs: int = 3
) -> RunRecord:
    """Begin a run and record its first epochs, each of 2 seconds."""
    of_seed = config.config.with_values({"data.data_seed": seed, "training.training_seed": seed})
    run = records.begin_run(
        store,
        launch_id,
        purpose="benchmark",
        config_hash=of_seed.config_hash(),
        config=of_seed.model_dump(mode="json"),
        n_parameters=config.n_parameters,
    )
    for number, (train_loss, val_loss) in enumerate(LOSSES[:n_epochs], start=1):
        losses = {"train_loss": train_loss + seed / 100, "val_loss": val_loss + seed / 100}
        epoch = records.epoch(number, **losses, train_error=0.1, val_error=0.2)
        records.record_epoch(store, run, epoch)
    return run


def add_result(
    store: Store,
    launch_id: int,
    config: BenchmarkConfig,
    seed: int,
    test_error: float,
    *,
    fingerprint: str = FINGERPRINT,
) -> int:
    """Record a finished run; its errors are those of `records.result`."""
    run_id = begin_run(store, launch_id, config, seed).run_id
    store.record_result(records.result(run_id, test_error, data_fingerprint=fingerprint))
    store.end_run(run_id, "complete")
    return run_id


def made_benchmark(
    store: Store,
    test_errors: Mapping[str, Mapping[int, float]],
    *,
    n_seeds: int = 3,
    models: Sequence[str] = ("mlp", "convnet", "siamese-aux", "resnet"),
    **changes: Any,
) -> BenchmarkRecord:
    """A benchmark with some results, all of one launch.

    Args:
        store: The store.
        test_errors: Config -> seed -> test error. The first config is the reference; each has ten
            times the parameters of the one before.
        n_seeds: The seeds asked for.
        models: Their networks.
        changes: Of `benchmark_config`, for every config.
    """
    configs = [
        benchmark_config(
            name,
            models[place % len(models)],
            n_seeds=n_seeds,
            n_parameters=1_000 * 10**place,
            **changes,
        )
        for place, name in enumerate(test_errors)
    ]
    launch_id = begin_launch(store)
    for config in configs:
        for seed, error in test_errors[config.name].items():
            add_result(store, launch_id, config, seed, error)
    store.end_launch(launch_id, "done")
    return save(store, configs)
