"""Adam with the schedule of a config."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from space.config import TrainingConfig

__all__ = ["build_optimizer", "learning_rate_of", "restore_optimizer", "set_learning_rate"]


def build_optimizer(model: nn.Module, training: TrainingConfig) -> torch.optim.Adam:
    """Adam for a network; weight decay is its L2 coefficient.

    Args:
        model: The network, on its device.
        training: The training config.

    Returns:
        The optimizer.

    Source:
        Kingma & Ba, Adam, arXiv:1412.6980; its constants: the study served here, section IV-B.
    """
    return torch.optim.Adam(
        model.parameters(),
        lr=training.learning_rate,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=training.weight_decay,
        fused=True,
    )


def learning_rate_of(training: TrainingConfig, epoch: int) -> float:
    """The learning rate of an epoch.

    Args:
        training: The training config.
        epoch: 1 for the first.

    Returns:
        learning_rate * learning_rate_decay ** (epoch - 1).
    """
    return training.learning_rate * training.learning_rate_decay ** (epoch - 1)


def set_learning_rate(optimizer: torch.optim.Adam, learning_rate: float) -> None:
    """Sets the learning rate of the steps to come.

    Args:
        optimizer: The optimizer.
        learning_rate: The rate, > 0.
    """
    for group in optimizer.param_groups:
        group["lr"] = learning_rate


def restore_optimizer(optimizer: torch.optim.Adam, state: dict[str, Any]) -> None:
    """Loads a state and lays its moments out like the parameters.

    The fused step walks parameters and moments through memory side by side, while a state that was
    saved on another device may be laid out differently.

    Args:
        optimizer: The optimizer, of the same network.
        state: What its ``state_dict`` gave; left untouched.
    """
    optimizer.load_state_dict(copy.deepcopy(state))
    for parameter, moments in optimizer.state.items():
        for name in ("exp_avg", "exp_avg_sq"):
            moments[name] = torch.empty_like(parameter).copy_(moments[name])
