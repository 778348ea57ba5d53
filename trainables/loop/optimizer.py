"""Adam with the schedule of a config."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from space.config import TrainingConfig

__all__ = [
    "AdamSteps",
    "build_optimizer",
    "learning_rate_of",
    "restore_optimizer",
    "set_learning_rate",
]


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


class AdamSteps:
    """The steps of whole epochs, without what `torch.optim.Adam.step` does again in each of them.

    They are the same to the bit on a CPU: the same kernel on the same numbers. For a small network,
    torch's own bookkeeping takes longer than the kernel. All that a step reads and changes stays
    where it is in memory, and it waits for nothing.
    """

    def __init__(self, optimizer: torch.optim.Adam) -> None:
        """
        Args:
            optimizer: What `build_optimizer` gave, which must not be used between `open` and
                `close`.
        """
        self._optimizer = optimizer
        (self._group,) = optimizer.param_groups
        parameters: list[nn.Parameter] = self._group["params"]
        for parameter in parameters:
            if parameter not in optimizer.state:
                optimizer.state[parameter] = {
                    "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
                    "exp_avg": torch.zeros_like(parameter),
                    "exp_avg_sq": torch.zeros_like(parameter),
                }
        states = [optimizer.state[parameter] for parameter in parameters]
        self._parameters = [parameter.detach() for parameter in parameters]
        self.averages: list[Tensor] = [state["exp_avg"] for state in states]
        """The first moments, one for each parameter."""
        self.squares: list[Tensor] = [state["exp_avg_sq"] for state in states]
        """The second moments, one for each parameter."""
        self._counts: list[Tensor] = [state["step"] for state in states]
        self.count = self._counts[0].clone()
        """Steps so far, a scalar."""
        device = self.count.device
        # What the kernel of the device reads.
        dtype = torch.float64 if device.type == "cpu" else torch.float32
        self._learning_rate = torch.zeros((), dtype=dtype, device=device)

    def is_current(self) -> bool:
        """Whether the optimizer's state is still the one that this was made for."""
        states = (self._optimizer.state[parameter] for parameter in self._group["params"])
        return all(
            state.get("exp_avg") is average
            for state, average in zip(states, self.averages, strict=True)
        )

    def open(self) -> None:
        """Begins with the optimizer's learning rate and count of steps as they are now."""
        self.count.copy_(self._counts[0])
        self._learning_rate.fill_(self._group["lr"])

    def step(self, gradients: Sequence[Tensor | None]) -> None:
        """One step.

        Args:
            gradients: One for each parameter, in their order; None leaves a parameter alone.
        """
        rows = [
            (parameter, gradient, *moments)
            for parameter, gradient, *moments in zip(
                self._parameters, gradients, self.averages, self.squares, strict=True
            )
            if gradient is not None
        ]
        parameters, given, averages, squares = map(list, zip(*rows, strict=True))
        self.count += 1
        torch._fused_adam_(
            parameters,
            given,
            averages,
            squares,
            [],
            [self.count] * len(rows),
            lr=self._learning_rate,
            beta1=self._group["betas"][0],
            beta2=self._group["betas"][1],
            weight_decay=self._group["weight_decay"],
            eps=self._group["eps"],
            amsgrad=False,
            maximize=False,
        )

    def close(self) -> None:
        """Leaves the optimizer as it would be after as many of its own steps."""
        torch._foreach_copy_(self._counts, [self.count] * len(self._counts))
