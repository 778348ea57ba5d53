"""Stores with benchmark results that nobody trained: no torch, no search."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from space import NamedConfig, Reported
from space.files.load import parse_tree
from storage import (
    BenchmarkConfig,
    BenchmarkRecord,
    EpochRecord,
    NewLaunch,
    ResultRecord,
    RunRecord,
    Store,
)
from storage.benchmarks import load_benchmarks, save_benchmark

__all__ = [
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

FINGERPRINT = "f" * 16
HOSTILE = "<img src=x onerror=alert(1)>&amp;<b>x</b>'; DROP TABLE trials;--{{7*7}}"
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
        has_aux=False,
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
        configs=tuple(configs),
    )
    number = save_benchmark(store, dataclasses.replace(known, **changes))
    return next(each for each in load_benchmarks(store) if each.benchmark_id == number)


def begin_launch(store: Store, **changes: Any) -> int:
    """Begin a benchmark's launch."""
    known: dict[str, Any] = {
        "study_id": None,
        "command": "python -m search.benchmark --config space/paper/table1.yaml",
        "config": {},
        "changes": [],
        "git_commit": "0123456789abcdef",
        "git_dirty": True,
        "versions": {"torch": "2.9", "numpy": "2.0"},
        "hardware": {"processor": "Abacus 7", "cpus": 2, "memory_bytes": 2**33, "gpus": []},
        "data_source": "mnist",
        "data_fingerprint": FINGERPRINT,
        "host": "somewhere",
        "pid": 1,
    }
    return store.begin_launch(NewLaunch(**{**known, **changes}))


def begin_run(
    store: Store, launch_id: int, config: BenchmarkConfig, seed: int, *, n_epochs: int = 3
) -> RunRecord:
    """Begin a run and record its first epochs, each of 2 seconds."""
    of_seed = config.config.with_values({"data.data_seed": seed, "training.training_seed": seed})
    run = store.begin_run(
        launch_id=launch_id,
        study_id=None,
        trial_id=None,
        purpose="benchmark",
        replicate=0,
        config_hash=of_seed.config_hash(),
        config=of_seed.model_dump(mode="json"),
        n_parameters=config.n_parameters,
    )
    for number, (train_loss, val_loss) in enumerate(LOSSES[:n_epochs], start=1):
        epoch = EpochRecord(
            epoch=number,
            train_loss=train_loss + seed / 100,
            val_loss=val_loss + seed / 100,
            train_error=0.1,
            val_error=0.2,
            seconds=2.0,
        )
        store.record_epoch(run.run_id, launch_id, epoch, best_epoch=1, worker="somewhere 1")
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
    """Record a finished run; train and validation error lie 0.1 and 0.05 below the test error."""
    run_id = begin_run(store, launch_id, config, seed).run_id
    result = ResultRecord(
        run_id=run_id,
        train_error=test_error - 0.1,
        val_error=test_error - 0.05,
        test_error=test_error,
        train_loss=0.1,
        val_loss=0.2,
        test_loss=0.3,
        data_fingerprint=fingerprint,
    )
    store.record_result(result)
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
