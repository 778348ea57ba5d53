"""How a network computes on a device: memory layout, precision, evaluation."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from space.config import RunConfig
from trainables.data.pairs import Pairs
from trainables.device import prepare_device
from trainables.failures import out_of_memory_translated
from trainables.loop.losses import n_wrong, pair_loss
from trainables.models.base import PairModel

__all__ = ["Compute"]

EVALUATION_BATCH = 250
"""Pairs evaluated at once. A constant, so that a result does not depend on the batch size."""


class Compute:
    """The forward pass of a config on a device, in training and in evaluation."""

    def __init__(self, config: RunConfig, device: torch.device) -> None:
        """
        Args:
            config: A resolved config.
            device: Where to compute.
        """
        self.device = device
        self._training = config.training
        self._model_name = config.model.name

    def place(self, model: PairModel) -> PairModel:
        """Brings a network to the device, in the layout that is fastest there.

        Args:
            model: The network; it is changed.

        Returns:
            The same network.

        Raises:
            OutOfMemoryFailure: If the device's memory is exhausted.
        """
        with out_of_memory_translated(self._model_name):
            if self._is_channels_last(model):
                model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            return model.to(self.device)

    def forward(self, model: PairModel, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """The loss of some pairs, with its gradient where gradients are on.

        Args:
            model: The network, placed.
            pairs: The pairs, on the device.

        Returns:
            The mean loss, and how many pairs are compared wrongly: scalars on the device.
        """
        x_N2HW = pairs.x_N2HW
        if self._is_channels_last(model):
            x_N2HW = x_N2HW.contiguous(memory_format=torch.channels_last)
        with self.precision():
            output = model(x_N2HW)
            aux_weight = self._training.aux_weight or 0.0
            loss = pair_loss(output, pairs.classes_N2, pairs.target_N, aux_weight)
        return loss, n_wrong(output, pairs.target_N)

    @torch.no_grad()
    def evaluate(self, model: PairModel, pairs: Pairs) -> tuple[float, float]:
        """The loss and the error of a network in evaluation mode, in which it is left.

        Args:
            model: The network, placed.
            pairs: The pairs, on any device.

        Returns:
            Mean loss and share of pairs compared wrongly.

        Raises:
            OutOfMemoryFailure: If the device's memory is exhausted.
        """
        prepare_device(self._training, self.device)
        sums = torch.zeros(2, dtype=torch.float64, device=self.device)
        model.eval()
        with out_of_memory_translated(self._model_name):
            pairs = pairs.to(self.device)
            for start in range(0, len(pairs), EVALUATION_BATCH):
                batch = pairs.rows(start, start + EVALUATION_BATCH)
                loss, wrong = self.forward(model, batch)
                sums += torch.stack([loss.double() * len(batch), wrong.double()])
            loss_sum, wrong_sum = sums.tolist()
        return loss_sum / len(pairs), wrong_sum / len(pairs)

    def precision(self) -> AbstractContextManager[Any]:
        """A context in which the device computes in the precision that the config names.

        Returns:
            The context; it may be entered again for every step.
        """
        if self._training.precision == "bfloat16":
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return nullcontext()

    def _is_channels_last(self, model: PairModel) -> bool:
        return self.device.type == "cpu" and model.channels_last
