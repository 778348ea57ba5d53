"""The states of several networks as one tensor each, of which the networks' own are views."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["Stack"]


class Stack:
    """Parameters and buffers of R networks of one architecture.

    What changes the stacked tensors changes the networks, and the other way round, until a network
    is released.
    """

    def __init__(self, models: Sequence[nn.Module]) -> None:
        """
        Args:
            models: R networks on one device, each laid out in memory like the others. Their
                parameters and buffers become views of the stacked ones.
        """
        states = [model.state_dict(keep_vars=True) for model in models]
        self._of_models = states
        self.tensors = {name: _stacked([state[name] for state in states]) for name in states[0]}
        """Name in a network's state -> (R, ...) tensor; the trainable ones require gradients."""

    def spread_gradients(self) -> None:
        """Gives each network its part of the gradients, which are then the stack's no more."""
        for name, stacked in self.tensors.items():
            if stacked.grad is None:
                continue
            for state, gradient in zip(self._of_models, stacked.grad.unbind(), strict=True):
                state[name].grad = gradient
            stacked.grad = None

    @staticmethod
    def release(model: nn.Module) -> None:
        """Gives a network memory of its own again.

        Args:
            model: The network; what it computes stays the same.
        """
        for tensor in model.state_dict(keep_vars=True).values():
            tensor.data = tensor.detach().clone()
            tensor.grad = None


def _stacked(tensors: Sequence[Tensor]) -> Tensor:
    """Copies tensors side by side, each in its own memory layout, and makes them views of that.

    The optimizer's moments are laid out like the parameters and must stay so.
    """
    first = tensors[0]
    stacked = torch.empty_strided(
        (len(tensors), *first.shape),
        (first.numel(), *first.stride()),
        dtype=first.dtype,
        device=first.device,
    )
    for tensor, part in zip(tensors, stacked, strict=True):
        part.copy_(tensor.detach())
        tensor.data = part
    return stacked.requires_grad_(first.requires_grad)
