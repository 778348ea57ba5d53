"""The page of a run: of a trial's replicate, of a fresh seed, or of a benchmark."""

from __future__ import annotations

from dashboards.ending import run_ending
from dashboards.figures.trained import trained_panels
from dashboards.numbers.trained import plain_settings, trained_config, trained_run
from dashboards.pages.documents import Document
from dashboards.pages.trained.page import (
    Tile,
    TrainedPage,
    differences_sheet,
    kept_weights,
    trained_document,
)
from space.config import DEFAULT_TRAINABLE, SEED_KEYS
from space.metrics import UNKNOWN, Measured
from storage import BenchmarkConfig, BenchmarkRecord, RunRecord, Store
from storage.benchmarks import load_benchmarks
from storage.leases import is_alive
from storage.summaries.study import study_names

__all__ = ["run_document"]


def run_document(store: Store, run: RunRecord) -> Document:
    """Describe a run.

    Args:
        store: The store.
        run: The run, as it was read just now.

    Raises:
        StorageError: If the store cannot be read.
    """
    launch = next(each for each in store.launches() if each.launch_id == run.launch_id)
    lives = run.state == "running" and is_alive(launch)
    found = _benchmarks(store, run, launch.data_fingerprint)
    measured = _measured(store, run, found)
    own = trained_run(store, run, measured)
    results = {result.run_id: result for _, result in store.results([run.config_hash])}
    result, tiles = results.get(run.run_id), []
    if result is not None:
        tiles = [
            Tile(metric.words, metric.show(result[metric.name]))
            for metric in measured.tabled
            if metric.name in result.metrics
        ]
    elif kept := [each for each in own.epochs[0] if each.epoch == run.best_epoch]:
        tiles = [
            Tile(metric.words, metric.show(kept[0][metric.name]))
            for metric in measured.of_epochs
            if metric.name in kept[0].metrics
        ]
    study, differences = study_names(store).get(run.study_id or 0), None
    for record, config in found[:1]:
        reference = next(each for each in record.configs if each.name == record.reference)
        if reference.name != config.name:
            page = f"/benchmark/{record.benchmark_id}"
            configs = [
                trained_config(store, each, (), measured, page) for each in (config, reference)
            ]
            differences = differences_sheet(configs)
    seed = run.config
    for key in SEED_KEYS[1].split("."):
        seed = seed.get(key, {})
    tiles.append(Tile("training seed", str(seed)))
    return trained_document(
        TrainedPage(
            up=_up(store, run, found),
            badges=["running"] if lives else [],
            state=run.state,
            ending=run_ending(run, lives=lives),
            tiles=tiles,
            settings=plain_settings(run.config),
            differences=differences,
            against="the reference",
            weights=kept_weights(store, study, run, launch.command) if study else [],
            runs=[run],
            tracebacks=[run.traceback] if run.traceback else [],
            launches=[launch],
        ),
        title=f"Run {run.run_id}",
        kind="run",
        is_running=lives,
        panels=trained_panels(own),
    )


def _benchmarks(
    store: Store, run: RunRecord, fingerprint: str
) -> list[tuple[BenchmarkRecord, BenchmarkConfig]]:
    """The benchmarks that a run counts in, and its config there."""
    if run.purpose != "benchmark":
        return []
    return [
        (record, config)
        for record in load_benchmarks(store)
        if record.data_fingerprint == fingerprint
        for config in record.configs
        if run.config_hash in config.config_hashes
    ]


def _measured(
    store: Store, run: RunRecord, found: list[tuple[BenchmarkRecord, BenchmarkConfig]]
) -> Measured:
    """What is measured of a run; where nothing counts it any more, as of its trainable's others."""
    if run.study_id is not None:
        study = store.study_records().get(run.study_id)
        return study.measured if study else UNKNOWN
    own = run.config.get("trainable", DEFAULT_TRAINABLE)
    counting = [record for record, _ in found] or [
        record
        for record in load_benchmarks(store)
        if any(config.config.trainable == own for config in record.configs)
    ]
    return counting[0].measured if counting else UNKNOWN


def _up(
    store: Store, run: RunRecord, found: list[tuple[BenchmarkRecord, BenchmarkConfig]]
) -> list[tuple[str, str]]:
    up = [
        (f"/benchmark/{record.benchmark_id}", f"{config.name} in {record.name}")
        for record, config in found
    ]
    name = study_names(store).get(run.study_id or 0)
    if name is not None and run.trial_id is not None:
        with store.guarded():
            trial = store.optuna_storage.get_trial(run.trial_id).number
        up.append((f"/study/{run.study_id}/trial/{trial}", f"trial {trial} of {name}"))
    return up
