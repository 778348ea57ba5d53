"""Samples: some of them, on a device, those of several runs side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from trainables.contract.split_data import Batch

__all__ = ["n_samples", "on_device", "rows_of", "side_by_side"]


def n_samples(batch: Batch) -> int:
    """How many there are."""
    return len(next(iter(batch.values())))


def on_device(batch: Batch, device: torch.device) -> dict[str, Tensor]:
    """The samples on a device; where they are there already, nothing is copied."""
    return {name: tensor.to(device) for name, tensor in batch.items()}


def side_by_side(parts: Sequence[Batch]) -> dict[str, Tensor]:
    """The samples of R runs with a dimension for the runs after the first: (N, R, ...)."""
    if len(parts) == 1:
        return {name: tensor.unsqueeze(1) for name, tensor in parts[0].items()}
    return {name: torch.stack([part[name] for part in parts], dim=1) for name in parts[0]}


def rows_of(batch: Batch, size: int) -> Iterator[list[Tensor]]:
    """The samples, so many at a time and at last what is left, tensor by tensor."""
    for start in range(0, n_samples(batch), size):
        yield [tensor[start : start + size] for tensor in batch.values()]
