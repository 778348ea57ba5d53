"""Counts the floating-point operations of a network."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from trainables.shipped.digit_pairs.data.images import SIDE
from trainables.shipped.digit_pairs.models.base import PairModel

__all__ = ["forward_flops"]


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
