"""One split of a source of labelled images."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import torch
from torch import Tensor

from trainables.data.counts import SourceName, Split

__all__ = ["N_CLASSES", "SIDE", "ImageArrays", "ImageSet"]

SIDE = 14
"""Height and width of every image, in pixels."""
N_CLASSES = 10


class ImageArrays(TypedDict):
    """An `ImageSet` as numpy arrays, to be shared between processes without a copy."""

    source: SourceName
    split: Split
    images_NHW: np.ndarray
    labels_N: np.ndarray
    fingerprint: str


@dataclass(frozen=True, eq=False)
class ImageSet:
    """The images of one split of a source, on the CPU. Never written to: memory may be shared."""

    source: SourceName
    """Where the images come from."""
    split: Split
    """Which of the source's two splits."""
    images_NHW: Tensor
    """(N, 14, 14) float32 intensities, 0 to 255."""
    labels_N: Tensor
    """(N,) int64 digits, 0 to 9."""
    fingerprint: str
    """16 hexadecimal digits that identify the source, the split and every byte of the data."""

    @classmethod
    def build(
        cls, source: SourceName, split: Split, images_NHW: Tensor, labels_N: Tensor
    ) -> ImageSet:
        """An image set with its fingerprint.

        Args:
            source: Where the images come from.
            split: Which of the source's two splits.
            images_NHW: (N, 14, 14) float32 intensities, 0 to 255.
            labels_N: (N,) int64 digits, 0 to 9.

        Returns:
            The image set, holding the tensors themselves.
        """
        digest = hashlib.sha256(f"{source}/{split}".encode())
        digest.update(images_NHW.contiguous().numpy().data)
        digest.update(labels_N.contiguous().numpy().data)
        return cls(source, split, images_NHW, labels_N, digest.hexdigest()[:16])

    def __reduce__(self) -> tuple[Any, ...]:
        """Between processes it travels as numpy arrays, which can share their memory."""
        return ImageSet.from_numpy, (self.to_numpy(),)

    def __len__(self) -> int:
        return len(self.labels_N)

    def to_numpy(self) -> ImageArrays:
        """The same memory as numpy arrays.

        Returns:
            The arrays and names that `from_numpy` takes.
        """
        return ImageArrays(
            source=self.source,
            split=self.split,
            images_NHW=self.images_NHW.numpy(),
            labels_N=self.labels_N.numpy(),
            fingerprint=self.fingerprint,
        )

    @classmethod
    def from_numpy(cls, arrays: ImageArrays) -> ImageSet:
        """An image set over the memory of numpy arrays, which may be read-only.

        Args:
            arrays: What `to_numpy` gave, possibly after a journey through shared memory.

        Returns:
            The image set; nothing is copied.
        """
        with warnings.catch_warnings():
            # torch warns of read-only memory because a tensor could write to it; ours never does.
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            images_NHW = torch.from_numpy(arrays["images_NHW"])
            labels_N = torch.from_numpy(arrays["labels_N"])
        return cls(arrays["source"], arrays["split"], images_NHW, labels_N, arrays["fingerprint"])
