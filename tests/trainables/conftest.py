"""Small runs on the bundled digits, and a tiny MNIST on disk."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from tests.harness.configs import open_run
from trainables.contract.split_data import SplitData
from trainables.loop.optimizer import Optimizer
from trainables.loop.training import Training
from trainables.shipped.digit_pairs.config import DataConfig, DigitPairsConfig, ModelConfig
from trainables.shipped.digit_pairs.data import sources
from trainables.shipped.digit_pairs.models import MODELS
from trainables.shipped.digit_pairs.resolve import resolve_config

MakeConfig = Callable[..., DigitPairsConfig]
MakeTraining = Callable[..., Training]


@pytest.fixture
def _fresh_sources() -> Iterator[None]:
    """Sources as in a new process, before and after."""
    cached = (sources._resolve_auto, sources._load_mnist)
    for function in cached:
        function.cache_clear()
    yield
    for function in cached:
        function.cache_clear()


@pytest.fixture(scope="session")
def digits() -> SplitData:
    """The training split of the bundled digits."""
    return sources.load_source(DataConfig(source="digits"), "train")


@pytest.fixture(scope="session")
def digits_test() -> SplitData:
    """The test split of the bundled digits."""
    return sources.load_source(DataConfig(source="digits"), "test")


@pytest.fixture(scope="session")
def make_config() -> MakeConfig:
    """Builds a resolved config of a small run from dotted paths."""

    def make(model: str = "mlp", width: int = 4, **values: Any) -> DigitPairsConfig:
        base = DigitPairsConfig(
            data=DataConfig(source="digits", n_train_pairs=40),
            model=ModelConfig(name=model, width=width),
        )
        settings = {"training.device": "cpu", "training.epochs": 4, "training.batch_size": 16}
        settings |= {key.replace("__", "."): value for key, value in values.items()}
        return resolve_config(base.with_values(settings))

    return make


@pytest.fixture(scope="session")
def make_training(make_config: MakeConfig, digits: SplitData) -> MakeTraining:
    """Builds a small run, on the CPU unless the values say otherwise."""

    def make(model: str = "mlp", width: int = 4, **values: Any) -> Training:
        run = open_run(make_config(model, width, **values), digits)
        assert isinstance(run, Training)
        return run

    return make


def without_dropout(network: nn.Module) -> nn.Module:
    """Nothing is dropped any more."""
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return network


def in_float64(run: Training) -> Training:
    """Rounding errors of float32 would grow over the steps and hide small mistakes."""
    run.network.double()
    run.optimizer = Optimizer(list(run.network.parameters()), run.config.training)
    run.parts = {
        split: {name: t.double() if t.is_floating_point() else t for name, t in part.items()}
        for split, part in run.parts.items()
    }
    return run


@pytest.fixture(scope="session")
def make_run(make_training: MakeTraining) -> MakeTraining:
    """Builds the i-th of some runs that differ in every number; in float64 unless told."""

    def make(i: int, name: str = "convnet", *, single: bool = False, **values: Any) -> Training:
        settings: dict[str, Any] = {
            "data__n_train_pairs": 24,
            "data__data_seed": i,
            "training__training_seed": 10 + i,
            "training__learning_rate": 1e-3 * (1 + i),
            "training__learning_rate_decay": 1 - 0.2 * i,
            "training__weight_decay": 0.02 * i,
            "training__batch_size": 8,
            "training__epochs": 3,
        }
        if MODELS[name].has_aux:
            settings["training__aux_weight"] = 0.3 * i
        width = 16 if name == "convnet" else 4
        run = make_training(name, width, **settings | values)
        return run if single else in_float64(run)

    return make


def _write_idx(path: Path, array: np.ndarray) -> None:
    """Writes bytes in the IDX format of the original MNIST."""
    header = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(
        f">{array.ndim}I", *array.shape
    )
    path.write_bytes(header + array.astype(np.uint8).tobytes())


@pytest.fixture
def mnist_arrays() -> dict[str, np.ndarray]:
    """Twelve training and six test images of MNIST's size, by file name."""
    rng = np.random.default_rng(0)
    return {
        "train-images-idx3-ubyte": rng.integers(0, 256, (12, 28, 28)),
        "train-labels-idx1-ubyte": np.arange(12) % 10,
        "t10k-images-idx3-ubyte": rng.integers(0, 256, (6, 28, 28)),
        "t10k-labels-idx1-ubyte": np.arange(6)[::-1],
    }


@pytest.fixture
def mnist_root(tmp_path: Path, mnist_arrays: dict[str, np.ndarray], _fresh_sources: None) -> Path:
    """A data root with a tiny MNIST in torchvision's layout."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, array in mnist_arrays.items():
        _write_idx(raw / name, array)
    return tmp_path
