"""The states of several networks as one tensor each, of which the networks' own are views."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["Stack", "state_tensors"]


class Stack:
    """Parameters and buffers of R networks of one architecture.

    What changes the stacked tensors changes the networks, and the other way round, until a network
    is released.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        """
        Args:
            networks: R networks on one device, each laid out in memory like the others. Their
                parameters and buffers become views of the stacked ones.
        """
        of_networks = [state_tensors(network) for network in networks]
        self.tensors = {
            name: _stacked([each[name] for each in of_networks]) for name in of_networks[0]
        }
        """Name in a network's state -> (R, ...) tensor; the trainable ones require gradients."""
        self._parameters = [name for name, _ in networks[0].named_parameters()]
        self._n_networks = len(networks)

    @property
    def trainable(self) -> list[str]:
        """The names of the parameters that have gradients."""
        return [name for name in self._parameters if self.tensors[name].requires_grad]

    def of_networks(self, gradients: Sequence[Tensor | None]) -> list[tuple[Tensor | None, ...]]:
        """Shares gradients out.

        Args:
            gradients: Those of the trainable ones, in their order; None where there is none.

        Returns:
            For each of the R networks its parameters' gradients; None where there is none.
        """
        given = dict(zip(self.trainable, gradients, strict=True))
        of_parameters: list[Sequence[Tensor | None]] = []
        for name in self._parameters:
            gradient = given.get(name)
            none = [None] * self._n_networks
            of_parameters.append(none if gradient is None else gradient.unbind())
        return list(zip(*of_parameters, strict=True))

    def put(self, place: int, network: nn.Module) -> None:
        """Moves a network into the memory of one that was released.

        Args:
            place: The released one's, from 0.
            network: Laid out in memory like the others.
        """
        for name, tensor in state_tensors(network).items():
            _move(tensor, self.tensors[name].detach()[place])

    @staticmethod
    def release(network: nn.Module) -> None:
        """Gives a network memory of its own again.

        Args:
            network: The network; what it computes stays the same.
        """
        for tensor in state_tensors(network).values():
            tensor.data = tensor.detach().clone()


def state_tensors(network: nn.Module) -> dict[str, Tensor]:
    """The live parameters, each once, and the buffers that are part of a network's state.

    Args:
        network: The network.

    Returns:
        Name in its state -> tensor.
    """
    parameters: dict[str, Tensor] = dict(network.named_parameters())
    state: dict[str, Tensor] = network.state_dict(keep_vars=True)
    buffers = {n: tensor for n, tensor in state.items() if not isinstance(tensor, nn.Parameter)}
    return parameters | buffers


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
        _move(tensor, part)
    return stacked.requires_grad_(first.requires_grad)


def _move(tensor: Tensor, part: Tensor) -> None:
    """Makes a tensor a view of a part of another, which takes its numbers."""
    part.copy_(tensor.detach())
    tensor.data = part
