"""Which seeds a run of a search or of its confirmation gets, each from the block of its kind."""

from __future__ import annotations

from space import RunConfig
from space.config import CONFIRM_OFFSET

__all__ = ["confirm_config", "replicate_config"]


def replicate_config(config: RunConfig, replicate: int) -> RunConfig:
    """The config of one of a trial's replicates.

    Args:
        config: The trial's config, with the file's own seeds.
        replicate: From 0, which is the config itself.

    Returns:
        The config with other pairs, split, initialisation and order.
    """
    return _shifted(config, replicate)


def confirm_config(config: RunConfig, replicate: int) -> RunConfig:
    """The config of one of a trial's confirmation runs, on seeds that no search has seen.

    Args:
        config: The trial's config, with the file's own seeds.
        replicate: From 0.
    """
    return _shifted(config, CONFIRM_OFFSET + replicate)


def _shifted(config: RunConfig, offset: int) -> RunConfig:
    if not offset:
        return config
    return config.with_values(
        {
            "data.data_seed": config.data.data_seed + offset,
            "training.training_seed": config.training.training_seed + offset,
        }
    )
