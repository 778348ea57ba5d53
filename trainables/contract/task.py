"""What somebody brings who wants a network trained: samples as tensors, a network and a loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from space.config import FrozenModel
from space.errors import DataError
from space.metrics import Measured, Metric
from trainables.contract.split_data import Batch, Split, SplitData
from trainables.tracebacks import where

__all__ = ["LOSS", "Task"]

LOSS = Metric("loss")
"""What every task is measured by, unless its own metrics have one of this name."""


class Task(ABC):
    """A network to be trained: a subclass says what there is to learn, the loop does the rest.

    A task is made from its options, once a run. Samples are mappings of names to tensors whose
    first dimension counts the samples: whatever the task's `data` gives, its `loss` gets back, some
    samples at a time. Order of the steps, optimizer, precision, device, the epoch that is kept,
    checkpoints and seeds are the loop's.

    Many runs may be trained as one model (`torch.vmap` over `loss`). They then share one task,
    that of any of them, whose options differ from those of the others only in what is marked
    `STACKED`: in `loss`, ``self.options`` has these as scalar tensors of the run at hand. What a
    network does may depend on the shapes, types and values of its tensors, on ``self.training`` and
    on nothing that changes with time. Where it cannot be trained so, because its Python code
    branches on values, say, its runs are trained one by one, and a warning says so.

    A network's random numbers are the loop's, too: dropout by torch's layers and functions is the
    same alone and as one of many. Whatever else is random in a network (`torch.rand` and the like)
    is repeatable, and has it trained alone. Every method else that needs random numbers is given a
    CPU generator of the run's own.

    Attributes:
        metrics: What is measured beside the loss, without a split in the names; the first decides
            which epoch's state is kept, where there is none the loss.
        options: The task's options. A subclass says of which type they are, one derived from
            `space.Options`: ``options: MyOptions``.
    """

    metrics: ClassVar[tuple[Metric, ...]] = ()

    def __init__(self, options: FrozenModel) -> None:
        """
        Args:
            options: The options; their numbers marked `STACKED` may differ within a batch of runs.

        Raises:
            ValueError: If no run can be made with them, because they do not go together, say: a
                trial of theirs fails for that reason, and the search goes on.
        """
        self.options = options

    @property
    def source(self) -> str:
        """Where the data come from: part of their fingerprint."""
        return type(self).__name__

    @property
    def validation_fraction(self) -> float:
        """The share of the training samples that are held out, where there is no split "val"."""
        return 0.1

    @abstractmethod
    def data(self, split: Split) -> Batch | None:
        """All samples of a split.

        Args:
            split: "train", "val" or "test"; the last is asked for by benchmarks alone.

        Returns:
            Name -> (N, ...) tensor on the CPU, which is fingerprinted, shared by all runs and never
            written to; None for "val" where the loop is to hold out some of "train".

        Raises:
            DataError: If the data cannot be had.
        """

    def draw(self, data: Batch, split: Split, generator: torch.Generator) -> Batch:
        """The samples of one run, which its data seed draws. Default: all.

        Args:
            data: What `data` gave.
            split: The split.
            generator: At the start of the stream of the run's data seed for the split.

        Returns:
            Name -> (N', ...) tensor on the CPU, with the same names for every split.

        Raises:
            DataError: If the data do not suffice.
        """
        return data

    def epoch(self, train: Batch, order: torch.Generator, augmentation: torch.Generator) -> Batch:
        """The samples of an epoch in the order of its steps. Default: all, once, permuted.

        Args:
            train: The run's training samples, on its device.
            order: Draws the order.
            augmentation: Draws all else.

        Returns:
            Name -> (N'', ...) tensor on the same device, with the names of ``train``; N'' is the
            same in every epoch.
        """
        n = len(next(iter(train.values())))
        index = torch.randperm(n, generator=order)
        return {name: tensor[index.to(tensor.device)] for name, tensor in train.items()}

    @abstractmethod
    def network(self) -> nn.Module:
        """A fresh network on the CPU; torch's global generator is at the run's own seed."""

    @abstractmethod
    def loss(self, network: nn.Module, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """What is minimised, and what is measured.

        Args:
            network: The network, in training or in evaluation mode.
            batch: B samples, on the network's device.

        Returns:
            The mean loss over the samples, a scalar; and for each of `metrics` the samples' scores,
            (B,) or (B, K), whose means over a whole split `summary` turns into the metric.
        """
        raise NotImplementedError

    def predict(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """What a trained network says of new inputs, for ``search predict``.

        Args:
            network: The network, in evaluation mode.
            inputs: (N, ...).

        Returns:
            (N, ...). Default: what the network gives for them.
        """
        output: Tensor = network(inputs)
        return output

    def summary(self, means: Mapping[str, Tensor]) -> Mapping[str, float]:
        """The metrics of a whole split. Default: the means themselves.

        A metric that is no mean of the samples' scores is mostly a function of several: R2 that of
        the means of y, y squared and the squared error, F1 that of the shares of true positives,
        false positives and false negatives.

        Args:
            means: "loss" and every name that `loss` gives -> mean over the split's samples, () or
                (K,) float64 on the CPU.

        Returns:
            "loss" and the name of each of `metrics` -> value.
        """
        return {name: float(mean) for name, mean in means.items()}

    @property
    def measured(self) -> Measured:
        """What is measured of runs, split by split, and what decides which epoch is kept."""
        metrics = self.metrics
        if LOSS.name not in [metric.name for metric in metrics]:
            metrics = (*metrics, LOSS)
        return Measured.of(metrics)

    def load(self, split: Split) -> SplitData:
        """A split with its fingerprint; the training split with the validation split beside it.

        Args:
            split: "train" or "test".

        Raises:
            DataError: If the data cannot be had, or are none.
        """
        val = self.data("val") if split == "train" else None
        beside = None if val is None else self._built("val", val)
        return self._built(split, self.data(split), beside)

    def _built(
        self, split: Split, tensors: Batch | None, beside: SplitData | None = None
    ) -> SplitData:
        lengths = {name: len(tensor) for name, tensor in (tensors or {}).items()}
        if not tensors or len(set(lengths.values())) != 1 or 0 in lengths.values():
            said = ", ".join(f"{n} of '{name}'" for name, n in lengths.items()) or "nothing"
            raise DataError(
                f"{where(self.data)} gives {said} for the split '{split}': give tensors "
                "whose first dimension counts the same samples, one at least"
            )
        return SplitData.build(self.source, split, tensors, beside)
