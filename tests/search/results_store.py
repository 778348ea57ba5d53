"""Stores filled with benchmark results that nobody trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from search.benchmark.configs import resolved
from space import NamedConfig
from space.files.load import parse_tree
from storage import Store
from tests.records import begin_run, epoch, new_launch, record_epoch, result

__all__ = ["add_run", "add_runs", "begin_launch", "named_config"]


def named_config(name: str, model: str = "mlp", **changes: Any) -> NamedConfig:
    """A config of MNIST for three epochs, with some top-level keys replaced."""
    tree = {
        "name": name,
        "data": {"source": "mnist"},
        "model": {"name": model, "width": 8},
        "training": {"epochs": 3, "learning_rate": 1e-4, "weight_decay": 0.1},
        **changes,
    }
    return parse_tree(NamedConfig, tree, name, ())


def begin_launch(store: Store, **changes: Any) -> int:
    """Begin a benchmark's launch."""
    known: dict[str, Any] = {
        "command": "/home/somebody/bin/python -m search.benchmark",
        "git_commit": "0123456789abcdef",
        "versions": {"torch": "2.9", "numpy": "2.0"},
        "hardware": {"processor": "Abacus|7", "cpus": 2, "memory_bytes": 2**33, "gpus": []},
        "data_source": "mnist",
    }
    return store.begin_launch(new_launch(**{**known, **changes}))


def add_run(
    store: Store,
    launch_id: int,
    named: NamedConfig,
    seed: int,
    errors: tuple[float, float, float],
    *,
    losses: Sequence[tuple[float, float]] = ((0.7, 0.8), (0.5, 0.6), (0.3, 0.7)),
    fingerprint: str = "f" * 16,
    other: Mapping[str, float] | None = None,
) -> int:
    """Record a finished run.

    Args:
        store: The store.
        launch_id: Its launch.
        named: Its config.
        seed: Its seed.
        errors: Train, validation and test error of the state it kept.
        losses: Training and validation loss of each epoch.
        fingerprint: Of its data.
        other: Metrics of the state that the other selection would keep.

    Returns:
        The run's number.
    """
    config = resolved(named, seed)
    run = begin_run(store, launch_id, purpose="benchmark", of=config)
    train_error, val_error, test_error = errors
    for number, (train_loss, val_loss) in enumerate(losses, start=1):
        losses_and_errors = {"train_loss": train_loss, "val_loss": val_loss}
        losses_and_errors |= {"train_error": train_error, "val_error": val_error}
        record_epoch(store, run, epoch(number, **losses_and_errors))
    of_run = result(
        run.run_id,
        test_error,
        data_fingerprint=fingerprint,
        train_error=train_error,
        val_error=val_error,
    )
    store.record_result(replace(of_run, other=other or {}))
    store.end_run(run.run_id, "complete")
    return run.run_id


def add_runs(
    store: Store, launch_id: int, named: NamedConfig, test_errors: Mapping[int, float]
) -> None:
    """Record a run a seed; train and validation error lie 0.1 and 0.05 below the test error."""
    for seed, error in test_errors.items():
        add_run(store, launch_id, named, seed, (error - 0.1, error - 0.05, error))
