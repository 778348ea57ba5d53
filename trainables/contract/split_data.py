"""One split of a data set, as tensors."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

__all__ = ["Batch", "Split", "SplitData"]

Batch = Mapping[str, Tensor]
"""Samples: name -> (N, ...) tensor, with the same N for all."""
Split = Literal["train", "val", "test"]


@dataclass(frozen=True, eq=False)
class SplitData:
    """The samples of one split, on the CPU. Never written to: memory may be shared."""

    source: str
    """Where the data come from."""
    split: Split
    """Which of the source's splits."""
    tensors: Batch
    """The samples."""
    fingerprint: str
    """16 hexadecimal digits that identify the source, the split and every byte of the data."""
    val: SplitData | None = None
    """Beside a training split, the source's own validation split, where it has one."""

    @classmethod
    def build(
        cls, source: str, split: Split, tensors: Batch, val: SplitData | None = None
    ) -> SplitData:
        """A split with its fingerprint.

        Args:
            source: Where the data come from.
            split: Which of the source's splits.
            tensors: The samples, on the CPU.
            val: See the attribute.

        Returns:
            The split, holding the tensors themselves.
        """
        digest = hashlib.sha256(f"{source}/{split}".encode())
        for tensor in tensors.values():
            digest.update(tensor.contiguous().numpy().data)
        if val is not None:
            digest.update(val.fingerprint.encode())
        return cls(source, split, tensors, digest.hexdigest()[:16], val)

    def __reduce__(self) -> tuple[Any, ...]:
        """Between processes it travels as numpy arrays, which can share their memory."""
        arrays = {name: tensor.numpy() for name, tensor in self.tensors.items()}
        return SplitData.of_arrays, (self.source, self.split, arrays, self.fingerprint, self.val)

    def __len__(self) -> int:
        return len(next(iter(self.tensors.values())))

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    @classmethod
    def of_arrays(
        cls,
        source: str,
        split: Split,
        arrays: Mapping[str, np.ndarray],
        fingerprint: str,
        val: SplitData | None = None,
    ) -> SplitData:
        """A split over the memory of numpy arrays, which may be read-only; nothing is copied."""
        with warnings.catch_warnings():
            # torch warns of read-only memory because a tensor could write to it; ours never does.
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        return cls(source, split, tensors, fingerprint, val)
