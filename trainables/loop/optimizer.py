"""The optimizer's steps and the learning rate of each epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from space.config import TrainingConfig

__all__ = ["Optimizer", "learning_rate_of"]


def learning_rate_of(training: TrainingConfig, epoch: int) -> float:
    """The learning rate of an epoch.

    Args:
        training: The training config.
        epoch: 1 for the first.

    Returns:
        learning_rate * learning_rate_decay ** (epoch - 1).
    """
    return training.learning_rate * training.learning_rate_decay ** (epoch - 1)


class Optimizer:
    """Adam as `torch.optim.Adam` steps, without what that does again in every step.

    The steps are the same to the bit on a CPU: the same kernel on the same numbers. For a small
    network, torch's own bookkeeping takes longer than the kernel. All that a step reads and changes
    stays where it is in memory, and it waits for nothing.

    Source:
        Kingma & Ba, Adam, arXiv:1412.6980; its constants: the study served here, section IV-B.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], training: TrainingConfig) -> None:
        """
        Args:
            parameters: What is trained, on its device.
            training: The training config; weight decay is Adam's L2 coefficient.
        """
        self._parameters = list(parameters)
        self._training = training
        self.moments: dict[str, list[Tensor]] = {
            name: [torch.zeros_like(each, requires_grad=False) for each in self._parameters]
            for name in ("exp_avg", "exp_avg_sq")
        }
        """Its memory of gradients: kind -> one for each parameter, laid out like it, as the fused
        step expects."""
        device = self._parameters[0].device
        self.count = torch.zeros((), dtype=torch.float32, device=device)
        """Steps so far, a scalar."""
        # What the kernel of the device reads.
        dtype = torch.float64 if device.type == "cpu" else torch.float32
        self._learning_rate = torch.zeros((), dtype=dtype, device=device)

    def begin(self, epoch: int) -> None:
        """Sets the learning rate of the steps to come.

        Args:
            epoch: Their epoch, 1 for the first.
        """
        self._learning_rate.fill_(learning_rate_of(self._training, epoch))

    def step(self, gradients: Sequence[Tensor | None]) -> None:
        """One step.

        Args:
            gradients: One for each parameter, in their order; None leaves a parameter alone.
        """
        rows = [
            (parameter.detach(), gradient, *moments)
            for parameter, gradient, *moments in zip(
                self._parameters, gradients, *self.moments.values(), strict=True
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
            beta1=0.9,
            beta2=0.999,
            weight_decay=self._training.weight_decay,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
        )

    def state_dict(self) -> dict[str, Any]:
        """All that the steps to come depend on; tensors are live."""
        return {"count": self.count, **self.moments}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from a state, in the memory and the layout that there is.

        Args:
            state: What `state_dict` gave; left untouched.
        """
        self.count.copy_(state["count"])
        for name, moments in self.moments.items():
            for moment, saved in zip(moments, state[name], strict=True):
                moment.copy_(saved)
