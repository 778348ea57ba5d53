"""Every random number of an epoch, drawn before its first step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trainables.data.counts import n_epoch_pairs
from trainables.models.layers import Dropout

__all__ = [
    "EpochDraws",
    "draw_epoch",
]


@dataclass(frozen=True, eq=False)
class EpochDraws:
    """The pairs of an epoch in the order of its steps, and their dropout masks."""

    index_P2: Tensor
    """(P, 2) int64 positions of the first and second images among the 2N single ones."""
    keep_PRF: tuple[Tensor, ...]
    """For each dropout layer (P, rows_per_pair, n_features) float32 factors: 0 or 1 / (1 - p)."""

    def to(self, device: torch.device) -> EpochDraws:
        """The draws on a device.

        Args:
            device: Where to.

        Returns:
            The draws.
        """
        return EpochDraws(self.index_P2.to(device), tuple(k.to(device) for k in self.keep_PRF))


def draw_epoch(
    generator: torch.Generator, n_train: int, augment: bool, dropouts: Sequence[Dropout]
) -> EpochDraws:
    """Draws an epoch. Images 2i and 2i + 1 of the single ones are training pair i.

    Args:
        generator: The run's CPU generator.
        n_train: Training pairs N.
        augment: False: every training pair once, in random order. True: every single image once as
            the first of a pair, with a second drawn uniformly with replacement.
        dropouts: The network's dropout layers, in their order.

    Returns:
        The draws, on the CPU.

    Source:
        The study served here, section II-A (augmentation).
    """
    order_P = torch.randperm(n_epoch_pairs(n_train, augment), generator=generator)
    if augment:
        partner_P = torch.randint(2 * n_train, (2 * n_train,), generator=generator)
        index_P2 = torch.stack([order_P, partner_P], dim=1)
    else:
        index_P2 = torch.stack([2 * order_P, 2 * order_P + 1], dim=1)
    keep_PRF = tuple(dropout.draw(len(index_P2), generator) for dropout in dropouts)
    return EpochDraws(index_P2, keep_PRF)
