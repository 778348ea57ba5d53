"""A store with some runs of two tables, and its document."""

from __future__ import annotations

import numpy as np
import optuna
import pytest

from search.reproduction.document import Document, PaperTable, reproduction
from space import ConfigFile, NamedConfig
from storage import Store
from tests.records import begin_run, epoch, new_study, record_epoch
from tests.search.results_store import add_run, add_runs, begin_launch, named_config

REPORTED = {
    "source": "Table I",
    "n": 10,
    "train_error": {"mean": 0.05, "std": 0.01},
    "val_error": {"mean": 0.2, "std": 0.02},
    "test_error": {"mean": 0.22, "std": 0.02},
}
MLP = named_config("MLP | small", reported=REPORTED)
DEEP = named_config("DeepConvNet", "deepconvnet", reported=REPORTED)
SIAMESE = named_config("Siamese + aux", "siamese-aux", reported=REPORTED)
RESNET = named_config("ResNet", "resnet", reported=REPORTED)
NEAR = {seed: 0.22 + 0.01 * (-1) ** seed for seed in range(10)}


def paper(number: str, *configs: NamedConfig, n_seeds: int = 10) -> PaperTable:
    file = ConfigFile.of_configs("table", configs).model_copy(
        update={"title": "Without augmentation"}
    )
    path = f"space/paper/table{len(number)}.yaml"
    return PaperTable(label=f"Table {number}", path=path, file=file, n_seeds=n_seeds)


TABLE_I = paper("I", MLP, DEEP, SIAMESE, RESNET)
TABLE_II = paper("II", named_config("MLP", training={"epochs": 4}), n_seeds=3)


@pytest.fixture
def document(store: Store) -> Document:
    cpu = begin_launch(store)
    add_runs(store, cpu, MLP, NEAR)
    add_runs(store, cpu, DEEP, {seed: 0.4 + 0.001 * seed for seed in range(4)})
    gpu = begin_launch(
        store,
        git_commit="fedcba9876543210",
        git_dirty=True,
        versions={"torch": "2.10"},
        hardware={"processor": "P", "cpus": 8, "gpus": ["Volt 9", "Volt 9"]},
    )
    add_runs(store, gpu, DEEP, {seed: 0.4 + 0.001 * seed for seed in range(4, 10)})
    add_runs(store, gpu, SIAMESE, {0: 0.2})
    add_run(store, begin_launch(store), SIAMESE, 1, (0.9, 0.9, 0.9), fingerprint="other")
    return reproduction(store, [TABLE_I, TABLE_II])


def begin_grid(
    store: Store,
    name: str,
    errors: dict[float, list[float]],
    parameter: str = "aux_weight",
    width: int = 8,
) -> None:
    """Record a study with a complete trial a point, a replicate an error."""
    study = optuna.create_study(study_name=name, storage=store.optuna_storage)
    store.add_study(new_study(study._study_id, data_source="mnist", data_fingerprint="g" * 16))
    launch_id = begin_launch(store, study_id=study._study_id, data_fingerprint="g" * 16)
    for value, of_point in errors.items():
        trial = study.ask({parameter: optuna.distributions.FloatDistribution(value, value)})
        for replicate, error in enumerate(of_point):
            config = SIAMESE.with_seed(1000 + replicate).with_values({"model.width": width})
            run = begin_run(
                store,
                launch_id,
                trial._trial_id,
                study_id=study._study_id,
                replicate=replicate,
                of=config,
            )
            record_epoch(store, run, epoch(1, val_error=error))
            store.end_run(run.run_id, "complete")
        study.tell(trial, float(np.mean(of_point)))
