"""What batched linear layers leave to gain: their products and Adam, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainables.loop.optimizer import Optimizer
from trainables.shipped.digit_pairs.config import DigitPairsConfig
from trainables.shipped.digit_pairs.models import build_model

__all__ = ["is_linear", "train_bare"]

N_TRAINED = 900
N_VALIDATED = 100
"""Pairs of an epoch."""


def is_linear(config: DigitPairsConfig) -> bool:
    """Whether all parameters of a run's network are those of linear layers.

    Args:
        config: The run.

    Returns:
        True if so.
    """
    model = build_model(config.model)
    layers = [
        each for each in model.modules() if next(each.parameters(recurse=False), None) is not None
    ]
    return all(isinstance(each, nn.Linear) for each in layers)


@dataclass(frozen=True)
class _Layer:
    """A batched linear layer in memory of its own: R runs, N examples, I inputs, O outputs."""

    weight_ROI: Tensor
    bias_R1O: Tensor
    x_RNI: Tensor
    y_RNO: Tensor
    weight_gradient_ROI: Tensor
    bias_gradient_RO: Tensor

    @staticmethod
    def of(linear: nn.Linear, n_runs: int, batch_size: int) -> _Layer:
        inputs, outputs = linear.in_features, linear.out_features
        return _Layer(
            weight_ROI=torch.randn(n_runs, outputs, inputs) / inputs**0.5,
            bias_R1O=torch.randn(n_runs, 1, outputs),
            x_RNI=torch.randn(n_runs, batch_size, inputs),
            y_RNO=torch.randn(n_runs, batch_size, outputs),
            weight_gradient_ROI=torch.empty(n_runs, outputs, inputs),
            bias_gradient_RO=torch.empty(n_runs, outputs),
        )

    def forward(self) -> None:
        torch.baddbmm(self.bias_R1O, self.x_RNI, self.weight_ROI.mT, out=self.y_RNO)

    def backward(self, *, is_first: bool) -> None:
        torch.bmm(self.y_RNO.mT, self.x_RNI, out=self.weight_gradient_ROI)
        torch.sum(self.y_RNO, dim=1, out=self.bias_gradient_RO)
        if not is_first:
            torch.bmm(self.y_RNO, self.weight_ROI, out=self.x_RNI)


def train_bare(configs: Sequence[DigitPairsConfig]) -> None:
    """Whole trainings of networks of linear layers, without all that is between the products.

    No pairs are drawn or put together, no activation, loss, error or normalisation is computed, and
    no memory is taken: what is left are the products of a batched training, at its sizes and over
    its parameters' memory, and Adam's steps.

    Args:
        configs: Runs of one network (see `is_linear`), which are trained on the CPU as one batch.
    """
    training = configs[0].training
    model = build_model(configs[0].model)
    linears = [each for each in model.modules() if isinstance(each, nn.Linear)]
    layers = [_Layer.of(linear, len(configs), training.batch_size) for linear in linears]
    stacked = nn.ParameterList(
        nn.Parameter(tensor) for layer in layers for tensor in (layer.weight_ROI, layer.bias_R1O)
    )
    optimizer = Optimizer(list(stacked), training)
    gradients = [
        tensor
        for layer in layers
        for tensor in (layer.weight_gradient_ROI, layer.bias_gradient_RO.unsqueeze(1))
    ]

    def epoch(number: int) -> None:
        optimizer.begin(number)
        for _ in range(N_TRAINED // training.batch_size):
            for layer in layers:
                layer.forward()
            for i in reversed(range(len(layers))):
                layers[i].backward(is_first=i == 0)
            optimizer.step(gradients)
        for _ in range(N_VALIDATED // training.batch_size):
            for layer in layers:
                layer.forward()

    with torch.inference_mode():
        for number in range(1, training.epochs + 1):
            epoch(number)
