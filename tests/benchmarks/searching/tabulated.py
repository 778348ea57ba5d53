"""What public tables have trained, as trainables: their options alone, nothing can be trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from trainables import Loop, Metric, Options

__all__ = ["Cells", "Regression", "TwoLayers"]

_Operation = Literal["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]


class _Tabulated(Loop):
    metrics: ClassVar[tuple[Metric, ...]] = (Metric("error"),)

    def train_epoch(self) -> Mapping[str, float]:
        """Nothing: what it would measure is looked up."""
        raise NotImplementedError


class TwoLayersOptions(Options):
    """HPOBench's."""

    alpha: float = 1e-4
    width: int = 64
    depth: int = 2
    learning_rate_init: float = 1e-3
    batch_size: int = 64


class TwoLayers(_Tabulated):
    """HPOBench's MLP on an OpenML task."""

    options: TwoLayersOptions


class RegressionOptions(Options):
    """HPOLib's."""

    activation_fn_1: Literal["relu", "tanh"] = "relu"
    activation_fn_2: Literal["relu", "tanh"] = "relu"
    batch_size: int = 32
    dropout_1: float = 0.0
    dropout_2: float = 0.0
    init_lr: float = 1e-3
    lr_schedule: Literal["cosine", "const"] = "const"
    n_units_1: int = 64
    n_units_2: int = 64


class Regression(_Tabulated):
    """HPOLib's MLP on a table; its error is the mean squared one."""

    options: RegressionOptions


class CellsOptions(Options):
    """NAS-Bench-201's."""

    Op0: _Operation = "none"
    Op1: _Operation = "none"
    Op2: _Operation = "none"
    Op3: _Operation = "none"
    Op4: _Operation = "none"
    Op5: _Operation = "none"


class Cells(_Tabulated):
    """NAS-Bench-201's network of cells."""

    options: CellsOptions
