"""Counts the floating-point operations of a network."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from trainables.data.image_set import SIDE
from trainables.loop.losses import pair_loss
from trainables.models.base import PairModel

__all__ = ["forward_flops", "padding_share", "step_flops"]


def forward_flops(model: PairModel) -> int:
    """The operations of one forward pass for one pair.

    Args:
        model: The network, on the CPU.

    Returns:
        Multiplications and additions of its convolutions and matrix products, as torch counts them.
    """
    was_training = model.training
    model.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 2, SIDE, SIDE))
    model.train(was_training)
    return int(counter.get_total_flops())


def step_flops(model: PairModel, batch_size: int) -> int:
    """The operations of one training step, forward and backward.

    Args:
        model: The network, on the CPU, in training mode with its dropout masks set. Its running
            statistics take part in the step, and its gradients are dropped.
        batch_size: Pairs in the step.

    Returns:
        Multiplications and additions of its convolutions and matrix products, as torch counts them.
    """
    with FlopCounterMode(display=False) as counter:
        output = model(torch.zeros(batch_size, 2, SIDE, SIDE))
        classes_N2 = torch.zeros(batch_size, 2, dtype=torch.int64)
        pair_loss(output, classes_N2, classes_N2[:, 0], 0.5).backward()  # type: ignore[no-untyped-call]
    model.zero_grad(set_to_none=True)
    return int(counter.get_total_flops())


def padding_share(model: PairModel) -> float:
    """The share of a forward pass's multiplications whose factor is a convolution's padding.

    The counts above include them, while a library need not compute them. In a backward pass, as
    many have the padding's gradient as a result or the padding as a factor.

    Args:
        model: The network, on the CPU; its convolutions have stride 1 and no dilation.

    Returns:
        A number between 0 and 1.
    """
    of_padding = 0.0

    def count(conv: nn.Conv2d, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal of_padding
        if isinstance(conv.padding, str):
            raise TypeError("the padding must be given in pixels")
        seen = 1.0
        for dim, (kernel, padding) in enumerate(zip(conv.kernel_size, conv.padding, strict=True)):
            size, n_outputs = inputs[0].shape[2 + dim], output.shape[2 + dim]
            starts = range(-padding, n_outputs - padding)
            within = sum(min(start + kernel, size) - max(start, 0) for start in starts)
            seen *= within / (n_outputs * kernel)
        multiplications = output.numel() * conv.weight[0].numel()
        of_padding += 2 * multiplications * (1 - seen)

    hooks: list[Any] = [
        module.register_forward_hook(count)
        for module in model.modules()
        if isinstance(module, nn.Conv2d)
    ]
    try:
        total = forward_flops(model)
    finally:
        for hook in hooks:
            hook.remove()
    return of_padding / total
