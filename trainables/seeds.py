"""Independent random streams from the few seeds of a config.

Every draw of a run comes from an explicit CPU generator, so that it is the same on every device, in
every process and whatever else draws random numbers there.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

__all__ = ["Stream", "derive_seed", "generator"]


class Stream(IntEnum):
    """What a stream of random numbers is for. The numbers are part of every result: never reuse."""

    TRAIN_PAIRS = 1
    TEST_PAIRS = 2
    VALIDATION_SPLIT = 3
    WEIGHTS = 4
    EPOCHS = 5
    CLOSED_FORM = 6


def derive_seed(seed: int, stream: Stream) -> int:
    """A seed for one stream, unrelated to those of the other streams and of other seeds.

    Args:
        seed: A seed of the config, 0 <= seed < 2**63.
        stream: What the numbers are for.

    Returns:
        A seed, 0 <= seed < 2**63.

    Source:
        NumPy's `SeedSequence` (M. E. O'Neill's seed_seq design), which mixes all bits of its input.
    """
    state = np.random.SeedSequence([seed, int(stream)]).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


def generator(seed: int, stream: Stream) -> torch.Generator:
    """A CPU generator at the start of one stream.

    Args:
        seed: A seed of the config, 0 <= seed < 2**63.
        stream: What the numbers are for.

    Returns:
        The generator.
    """
    import torch

    return torch.Generator().manual_seed(derive_seed(seed, stream))
