"""Whether a point of a space becomes a run: its config, and the constraints that it keeps."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from space import RunConfig, Space
from space.errors import ModelError, SpaceError, TrainingError
from trainables.finding.find import trainable_of

__all__ = ["IMPOSSIBLE", "breaks", "require_feasible", "resolved"]

IMPOSSIBLE = (SpaceError, ModelError, TrainingError)
"""Why a proposal cannot become a run."""


def resolved(space: Space, params: Mapping[str, Any]) -> RunConfig:
    """The complete config of a trial with these parameters."""
    config = space.resolve(params)
    resolved_config: RunConfig = trainable_of(config).resolve(config)
    return resolved_config


def require_feasible(space: Space, config: RunConfig) -> int:
    """Refuse what breaks a constraint of the space.

    Args:
        space: The search space.
        config: The complete config of a trial.

    Returns:
        Trainable parameters of its network.

    Raises:
        UserError: One of `IMPOSSIBLE`: the network cannot be built, or a constraint is broken.
    """
    n_parameters: int = trainable_of(config).n_parameters(config)
    reason = space.broken(config, n_parameters)
    if reason is not None:
        raise SpaceError(reason)
    return n_parameters


def breaks(space: Space, params: Mapping[str, Any]) -> bool:
    """Whether a point breaks a constraint; one of which no config can be made is not asked."""
    if space.constraints:
        with contextlib.suppress(*IMPOSSIBLE):
            config = resolved(space, params)
            return space.broken(config, trainable_of(config).n_parameters(config)) is not None
    return False
