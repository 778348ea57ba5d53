"""Which seeds a run gets, so that search, confirmation and benchmark never share one.

A space file's own seeds (1000 in the shipped files) and those of its replicates lie above the
benchmark's 0, 1, 2 ...; the confirmation's lie a million above them.
"""

from __future__ import annotations

from space import RunConfig

__all__ = ["confirm_config", "replicate_config"]

CONFIRM_OFFSET = 1_000_000


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
