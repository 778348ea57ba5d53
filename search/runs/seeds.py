"""Which seeds a run of a search or of its confirmation gets, each from the block of its kind."""

from __future__ import annotations

from space import RunConfig
from space.config import CONFIRM_OFFSET, SEED_KEYS

__all__ = ["confirm_config", "replicate_config", "segment_config"]


def replicate_config(config: RunConfig, replicate: int) -> RunConfig:
    """The config of one of a trial's replicates.

    Args:
        config: The trial's config, with the file's own seeds.
        replicate: From 0, which is the config itself.

    Returns:
        The config with another draw of the data, split, initialisation and order.
    """
    return config.with_seeds_shifted(replicate)


def confirm_config(config: RunConfig, replicate: int) -> RunConfig:
    """The config of one of a trial's confirmation runs, on seeds that no search has seen.

    Args:
        config: The trial's config, with the file's own seeds.
        replicate: From 0.
    """
    return config.with_seeds_shifted(CONFIRM_OFFSET + replicate)


def segment_config(config: RunConfig, segment: int) -> RunConfig:
    """The config of a trial that goes on where another ended: the same data in another order.

    Args:
        config: The trial's config, with the file's own seeds.
        segment: How many trials are before it in its lineage.
    """
    if not segment:
        return config
    return config.with_values({SEED_KEYS[1]: config.training.training_seed + segment})
