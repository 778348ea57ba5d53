"""How tensors lie in memory, which is what work recorded once and repeated depends on."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor

__all__ = ["copies_of", "layout_of"]


def layout_of(tensors: Sequence[Tensor]) -> Hashable:
    """What two lists of tensors have in common that the same recorded work fits.

    Args:
        tensors: The tensors.

    Returns:
        Their shapes, strides and types.
    """
    return tuple((t.shape, t.stride(), t.dtype) for t in tensors)


def copies_of(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Copies in memory of their own, laid out alike even where `Tensor.clone` would not.

    Args:
        tensors: The tensors.

    Returns:
        Their copies.
    """
    copies = [
        torch.empty_strided(t.shape, t.stride(), dtype=t.dtype, device=t.device) for t in tensors
    ]
    for copy, tensor in zip(copies, tensors, strict=True):
        copy.copy_(tensor)
    return copies
