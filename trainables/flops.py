"""Counts the floating-point operations of a network."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from trainables.image_set import SIDE
from trainables.losses import pair_loss
from trainables.models.base import PairModel

__all__ = ["forward_flops", "step_flops"]


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
