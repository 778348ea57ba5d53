"""Pairs of images, and whether the first digit is at most the second."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from space.config import DataConfig
from space.errors import DataError
from trainables.data.counts import Split, default_n_pairs, n_validation_pairs
from trainables.data.image_set import ImageSet
from trainables.seeds import Stream, generator

__all__ = [
    "Pairs",
    "TrainValidation",
    "draw_pairs",
    "draw_test_pairs",
    "draw_train_validation",
]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of images with their digits and targets, all on one device."""

    x_N2HW: Tensor
    """(N, 2, 14, 14) float32 intensities, 0 to 255."""
    classes_N2: Tensor
    """(N, 2) int64 digits, 0 to 9."""
    target_N: Tensor
    """(N,) int64: 1 where the first digit is at most the second, else 0."""

    def __len__(self) -> int:
        return len(self.target_N)

    @classmethod
    def of(cls, images_NHW: Tensor, labels_N: Tensor, index_P2: Tensor) -> Pairs:
        """The pairs that an index names.

        Args:
            images_NHW: (N, 14, 14) float32 single images.
            labels_N: (N,) int64 digits, 0 to 9.
            index_P2: (P, 2) int64 positions of the first and the second images, 0 to N - 1.

        Returns:
            P pairs, on the device of the three tensors.
        """
        classes_P2 = labels_N[index_P2]
        target_P = (classes_P2[:, 0] <= classes_P2[:, 1]).long()
        return cls(images_NHW[index_P2], classes_P2, target_P)

    def select(self, index: Tensor) -> Pairs:
        """Some of the pairs.

        Args:
            index: (M,) int64 positions, 0 to N - 1.

        Returns:
            M pairs in the order of the index.
        """
        return Pairs(self.x_N2HW[index], self.classes_N2[index], self.target_N[index])

    def rows(self, start: int, stop: int) -> Pairs:
        """A run of consecutive pairs, without a copy.

        Args:
            start: The first.
            stop: The one after the last; beyond the end means up to the end.

        Returns:
            At most stop - start pairs.
        """
        part = slice(start, stop)
        return Pairs(self.x_N2HW[part], self.classes_N2[part], self.target_N[part])

    def to(self, device: torch.device) -> Pairs:
        """The pairs on a device.

        Args:
            device: Where to.

        Returns:
            The pairs; on the device where they are already, nothing is copied.
        """
        return Pairs(self.x_N2HW.to(device), self.classes_N2.to(device), self.target_N.to(device))


@dataclass(frozen=True, eq=False)
class TrainValidation:
    """The pairs that a run trains on and those that its epochs are chosen by."""

    train: Pairs
    validation: Pairs

    def to(self, device: torch.device) -> TrainValidation:
        """Both parts on a device.

        Args:
            device: Where to.

        Returns:
            Both parts.
        """
        return TrainValidation(self.train.to(device), self.validation.to(device))


def draw_pairs(images: ImageSet, n_pairs: int, data_seed: int, stream: Stream) -> Pairs:
    """Pairs drawn without replacement: no image occurs twice.

    Args:
        images: Where to draw from.
        n_pairs: How many.
        data_seed: The config's seed, 0 <= seed < 2**63.
        stream: Which of that seed's streams draws.

    Returns:
        The pairs, on the CPU.

    Raises:
        DataError: If the images do not suffice.

    Source:
        The study served here, section II (1,000 pairs each from MNIST's two splits).
    """
    if 2 * n_pairs > len(images):
        raise DataError(
            f"data.n_{images.split}_pairs is {n_pairs}, but the {len(images)} {images.split} "
            f"images of {images.source} suffice for {len(images) // 2} pairs: ask for no more"
        )
    order = torch.randperm(len(images), generator=generator(data_seed, stream))
    return Pairs.of(images.images_NHW, images.labels_N, order[: 2 * n_pairs].view(n_pairs, 2))


def draw_train_validation(images: ImageSet, config: DataConfig) -> TrainValidation:
    """The pairs of a run, split at random into training and validation.

    Args:
        images: The training split of a source.
        config: The data config.

    Returns:
        Both parts, on the CPU. They share no image.

    Raises:
        DataError: If the images do not suffice.
        ValueError: If the images are not of the training split.
    """
    _check_split(images, "train")
    n_pairs = config.n_train_pairs or default_n_pairs(images.source, "train")
    pairs = draw_pairs(images, n_pairs, config.data_seed, Stream.TRAIN_PAIRS)
    order = torch.randperm(n_pairs, generator=generator(config.data_seed, Stream.VALIDATION_SPLIT))
    n_validation = n_validation_pairs(n_pairs, config.validation_fraction)
    return TrainValidation(
        train=pairs.select(order[n_validation:]), validation=pairs.select(order[:n_validation])
    )


def draw_test_pairs(images: ImageSet, config: DataConfig) -> Pairs:
    """The pairs that judge a finished model. A search never calls this.

    Args:
        images: The test split of a source.
        config: The data config.

    Returns:
        The pairs, on the CPU.

    Raises:
        DataError: If the images do not suffice.
        ValueError: If the images are not of the test split.
    """
    _check_split(images, "test")
    n_pairs = config.n_test_pairs or default_n_pairs(images.source, "test")
    return draw_pairs(images, n_pairs, config.data_seed, Stream.TEST_PAIRS)


def _check_split(images: ImageSet, split: Split) -> None:
    if images.split != split:
        raise ValueError(f"these pairs are drawn from {split} images, not from {images.split} ones")
