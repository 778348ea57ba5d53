"""Independent random streams from the few seeds of a config.

Every draw of a run comes from an explicit CPU generator of its own stream and epoch, so that it is
the same on every device, in every process and whatever else draws random numbers, there or in
another stream.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

    from space.config import TrainingConfig

__all__ = ["PROTOCOL", "Stream", "derive_seed", "generator", "role_seed"]

PROTOCOL = 2
"""The version of what a run of a network draws from which seed: runs of one seed are alike under
one version only. In version 1 one stream drew order, augmentation and dropout."""


class Stream(IntEnum):
    """What a stream of random numbers is for. The numbers are part of every result: never reuse."""

    TRAIN_DRAW = 1
    TEST_DRAW = 2
    VALIDATION_SPLIT = 3
    WEIGHTS = 4
    # 5 drew a run's order, augmentation and dropout in version 1 of the protocol.
    CLOSED_FORM = 6
    ORDER = 7
    AUGMENTATION = 8
    DROPOUT = 9
    VALIDATION_DRAW = 10


_SEED_OF = {
    Stream.WEIGHTS: "init_seed",
    Stream.ORDER: "order_seed",
    Stream.AUGMENTATION: "augmentation_seed",
    Stream.DROPOUT: "dropout_seed",
}
"""The setting that has the seed of a role of its own, if any is set."""


def role_seed(training: TrainingConfig, stream: Stream) -> int:
    """The seed of one of a training's streams: its own, or the one of the whole training.

    Args:
        training: The training config.
        stream: One that ``training_seed`` stands for.
    """
    own: int | None = getattr(training, _SEED_OF[stream])
    return training.training_seed if own is None else own


def derive_seed(seed: int, stream: Stream, *place: int) -> int:
    """A seed for one stream, unrelated to those of the other streams, places and seeds.

    Args:
        seed: A seed of the config, 0 <= seed < 2**63.
        stream: What the numbers are for.
        place: Where in the stream, such as an epoch.

    Returns:
        A seed, 0 <= seed < 2**63.

    Source:
        NumPy's `SeedSequence` (M. E. O'Neill's seed_seq design), which mixes all bits of its input.
    """
    state = np.random.SeedSequence([seed, int(stream), *place]).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


def generator(seed: int, stream: Stream, *place: int) -> torch.Generator:
    """A CPU generator at the start of one stream, or of a place in it.

    Args:
        seed: A seed of the config, 0 <= seed < 2**63.
        stream: What the numbers are for.
        place: See `derive_seed`.

    Returns:
        The generator.
    """
    import torch

    return torch.Generator().manual_seed(derive_seed(seed, stream, *place))
