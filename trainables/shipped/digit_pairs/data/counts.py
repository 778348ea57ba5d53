"""How many pairs there are: what a config leaves open, without any image or PyTorch."""

from __future__ import annotations

from typing import Literal

__all__ = ["SourceName", "Split", "default_n_pairs", "n_epoch_pairs"]

SourceName = Literal["mnist", "digits"]
Split = Literal["train", "test"]

_DEFAULT_N_PAIRS: dict[SourceName, dict[Split, int]] = {
    "mnist": {"train": 1000, "test": 1000},
    "digits": {"train": 600, "test": 298},
}


def default_n_pairs(source: SourceName, split: Split) -> int:
    """How many pairs are drawn where the config names no number.

    Args:
        source: Where the images come from.
        split: Which of the source's two splits.

    Returns:
        The study's 1,000 from MNIST; what the images suffice for from the digits.
    """
    return _DEFAULT_N_PAIRS[source][split]


def n_epoch_pairs(n_train: int, augment: bool) -> int:
    """The pairs of an epoch.

    Args:
        n_train: Training pairs.
        augment: Whether pairs are made anew from the single images.

    Returns:
        n_train, or twice as many with augmentation.
    """
    return 2 * n_train if augment else n_train
