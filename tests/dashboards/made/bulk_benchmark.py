"""Stores filled in bulk with benchmarks of networks that nobody trained."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import numpy as np

from space import MeanStd, Reported
from storage import BenchmarkConfig, BenchmarkRecord, Store
from storage.benchmarks import save_benchmark
from storage.tables import schema
from storage.tables.metric_rows import as_rows
from tests.dashboards.made.bulk_rows import (
    CONFIG,
    EPOCHS,
    HOSTILE,
    START,
    Rows,
)
from tests.records import FINGERPRINT, begin_launch, result
from trainables.shipped.digit_pairs.config import DIGIT_PAIRS, DigitPairsConfig

__all__ = ["add_benchmark"]

MODELS = ("mlp", "convnet", "deepconvnet", "deepconvnet-aux", "resnet", "siamese", "siamese-aux")


def add_benchmark(
    store: Store,
    name: str = "made-table",
    *,
    models: Sequence[str] = MODELS,
    n_seeds: int = 10,
    n_done: int | None = None,
    reported: bool = True,
    hostile: bool = False,
    seed: int = 0,
) -> BenchmarkRecord:
    """Fill a store with a benchmark of some networks.

    Args:
        store: The store.
        name: The benchmark's name.
        models: Its networks, one config each; the first is the reference.
        n_seeds: The seeds that are asked for.
        n_done: How many of them are finished; default: all.
        reported: Whether the configs carry a report's values.
        hostile: Its name, title and configs' names are `HOSTILE`.
        seed: Of every draw.

    Returns:
        The benchmark as the store has it.
    """
    rng = np.random.default_rng(seed)
    launch_id = begin_launch(
        store, None, command="python -m search.benchmark --config made.yaml", data_source="mnist"
    )
    rows = Rows(store)
    configs = []
    for index, model in enumerate(models):
        config = DigitPairsConfig.model_validate({**CONFIG, "model": {"name": model, "width": 16}})
        of_seed = [
            config.with_values({"data.data_seed": each, "training.training_seed": each})
            for each in range(n_seeds)
        ]
        mean = 0.24 - 0.02 * index
        configs.append(
            BenchmarkConfig(
                name=f"{index} {HOSTILE}" if hostile else model,
                config=of_seed[0],
                config_hashes=tuple(each.config_hash() for each in of_seed),
                n_parameters=10_000 * 2**index,
                reported=_reported(mean) if reported else None,
            )
        )
        for each in of_seed[: n_seeds if n_done is None else n_done]:
            floor = mean + float(rng.normal(0, 0.01))
            _add_result(rows, launch_id, each, floor, seconds=0.5 * (index + 1))
    rows.write()
    store.end_launch(launch_id, "done")
    record = BenchmarkRecord(
        name=HOSTILE if hostile else name,
        data_source="mnist",
        data_fingerprint=FINGERPRINT,
        title=HOSTILE if hostile else "Errors of the networks",
        reference=configs[0].name,
        n_seeds=n_seeds,
        measured=DIGIT_PAIRS,
        configs=tuple(configs),
    )
    return BenchmarkRecord(**{**vars(record), "benchmark_id": save_benchmark(store, record)})


def _reported(mean: float) -> Reported:
    def around(error: float) -> MeanStd:
        return MeanStd(mean=round(error, 4), std=0.012)

    return Reported(
        source="Table I",
        n=10,
        train_error=around(mean / 3),
        val_error=around(mean - 0.01),
        test_error=around(mean + 0.005),
    )


def _add_result(
    rows: Rows, launch_id: int, config: DigitPairsConfig, error: float, *, seconds: float
) -> None:
    run_id = rows.next_run
    rows.next_run += 1
    seconds = round(seconds + 1e-6 * run_id, 6)
    for epoch in range(1, EPOCHS + 1):
        rows.add(
            schema.epochs,
            run_id=run_id,
            epoch=epoch,
            launch_id=launch_id,
            seconds=seconds,
            reported_at=START + datetime.timedelta(seconds=seconds * epoch),
        )
        rows.add_metrics(
            run_id,
            epoch,
            train_loss=0.7 * epoch**-0.9,
            val_loss=0.4 + 0.3 * epoch**-0.7 + error * epoch / 100,
            train_error=min(1.0, 0.5 * epoch**-0.8),
            val_error=min(1.0, error + 0.3 * epoch**-1.0),
        )
    rows.add(
        schema.runs,
        run_id=run_id,
        uid=f"{run_id:032x}",
        launch_id=launch_id,
        study_id=None,
        trial_id=None,
        purpose="benchmark",
        replicate=0,
        config_hash=config.config_hash(),
        config=config.model_dump(mode="json"),
        state="complete",
        reason=None,
        worker="host 0",
        started_at=START,
        ended_at=START + datetime.timedelta(seconds=seconds * EPOCHS),
        n_epochs=EPOCHS,
        best_epoch=EPOCHS,
        train_seconds=seconds * EPOCHS,
        n_parameters=12_345,
    )
    errors = {"train_error": max(0.0, error / 3), "val_error": max(0.0, error - 0.01)}
    found = result(run_id, max(0.0, error), **errors)
    rows.add(schema.results, run_id=run_id, data_fingerprint=found.data_fingerprint)
    for row in as_rows(found.metrics, run_id=run_id):
        rows.add(schema.result_metrics, **row)
