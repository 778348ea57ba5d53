"""A study and a benchmark of something else than digit pairs: the store knows no metric by name."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import optuna
import pytest

from space.epochs import Epoch
from space.metrics import Measured, Metric
from storage import ResultRecord, RunEpoch, Store, open_store
from storage.__main__ import main
from storage.admin.check import check_store
from storage.benchmarks import load_benchmarks, save_benchmark
from storage.kept_epoch import RunProgress
from storage.summaries.benchmark import glance_at_benchmarks
from storage.summaries.confirmed import confirmed_trials
from storage.summaries.study import glance_at_studies
from tests.records import FINGERPRINT, begin_launch, begin_run, new_study

from ..dashboards.made.reported_benchmark import made_benchmark

FLOWERS = Measured(
    metrics=(
        Metric(name="train_loss", words="train loss"),
        Metric(name="val_accuracy", words="validation accuracy", unit="%", maximize=True),
        Metric(name="test_accuracy", words="test accuracy", unit="%", maximize=True),
    ),
    kept_by=("val_accuracy",),
)


def add_flowers(store: Store, curves: Sequence[Sequence[float]]) -> int:
    """A study of a complete trial a curve of accuracies, each confirmed on one fresh seed."""
    study = optuna.create_study(
        study_name="flowers", storage=store.optuna_storage, direction="maximize"
    )
    terms = new_study(
        study._study_id, metrics=["val_accuracy"], measured=FLOWERS, data_source="flowers"
    )
    assert store.add_study(terms).measured == FLOWERS
    config = {"confirm": {"top": 3, "seeds": 1}}
    launch_id = begin_launch(store, study._study_id, config=config)
    for curve in curves:
        trial = study.ask()
        for purpose, less in (("search", 0.0), ("confirm", 1.0)):
            run = begin_run(
                store,
                launch_id,
                trial._trial_id,
                study_id=study._study_id,
                purpose=purpose,
                config={"training": {"epochs": len(curve)}},
            )
            progress = RunProgress(FLOWERS, ["val_accuracy"])
            for number, accuracy in enumerate(curve, start=1):
                metrics = {"train_loss": math.inf, "val_accuracy": accuracy - less}
                epoch = Epoch(epoch=number, metrics=metrics, seconds=1.0)
                progress.add(epoch)
                said = RunEpoch(
                    run_id=run.run_id, epoch=epoch, best_epoch=progress.best_epoch, worker="w"
                )
                store.record_epochs(launch_id, [said])
                if purpose == "search":
                    trial.report(progress.values(number)[0], number)
            store.end_run(run.run_id, "complete")
        study.tell(trial, max(curve))
    store.end_launch(launch_id, "done")
    return study._study_id


def test_larger_values_are_better_where_a_study_says_so(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    study_id = add_flowers(store, [(60.0, 80.0, 70.0), (90.0, 50.0, 50.0), (10.0, 20.0, 30.0)])
    assert [run.best_epoch for run in store.runs(study_id, "search")] == [2, 1, 3]
    assert check_store(store).findings == []
    confirmed = confirmed_trials(store, study_id)
    assert [(each.trial_number, each.mean) for each in confirmed] == [
        (1, 89.0),
        (0, 79.0),
        (2, 29.0),
    ]
    (glance,) = glance_at_studies(store)
    assert (glance.best, glance.metrics[0].words) == (90.0, "validation accuracy")
    url = store.url.render_as_string(hide_password=False)
    assert main(["list", "--storage", url]) == 0
    assert "90.00 % val_accuracy" in capsys.readouterr().out
    again = open_store(url, create=False)
    assert again.study_records()[study_id].measured == FLOWERS
    again.close()


def test_a_benchmark_is_judged_by_its_own_metric(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    record = made_benchmark(store, {"MLP": {}, "ConvNet": {}})
    save_benchmark(store, dataclasses.replace(record, measured=FLOWERS))
    (record,) = load_benchmarks(store)
    launch_id = begin_launch(store)
    for config, accuracies in zip(record.configs, ((70.0, 72.0), (90.0, 94.0)), strict=True):
        for config_hash, accuracy in zip(config.config_hashes, accuracies, strict=False):
            run = begin_run(store, launch_id, purpose="benchmark", config_hash=config_hash)
            metrics = {"val_accuracy": 100.0 - accuracy, "test_accuracy": accuracy}
            store.record_result(
                ResultRecord(run_id=run.run_id, metrics=metrics, data_fingerprint=FINGERPRINT)
            )
    (glance,) = glance_at_benchmarks(store)
    assert glance.best == ("ConvNet", 92.0)
    assert glance.reference_value == 71.0
    url = store.url.render_as_string(hide_password=False)
    assert main(["show", record.name, "--storage", url]) == 0
    said = capsys.readouterr().out
    assert "mean test accuracy" in said
    assert "92" in said
