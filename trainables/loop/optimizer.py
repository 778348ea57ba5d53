"""The optimizer's steps and the learning rate of each epoch."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from space.config import TrainingConfig

__all__ = ["Optimizer", "learning_rate_of"]

_MOMENTS = {
    "adam": ("exp_avg", "exp_avg_sq"),
    "adamw": ("exp_avg", "exp_avg_sq"),
    "sgd": ("momentum",),
}


def learning_rate_of(training: TrainingConfig, epoch: int) -> float:
    """The learning rate of an epoch.

    Args:
        training: The training config.
        epoch: 1 for the first.

    Returns:
        While it warms up, the share of epochs begun of one more than there are; after that, with n
        epochs gone since then and N there, learning_rate times

            exponential     learning_rate_decay ** n
            step            learning_rate_decay ** (n // step_epochs)
            cosine          (1 + cos(pi n / N)) / 2

    Source:
        Loshchilov & Hutter, SGDR, arXiv:1608.03983, equation 5, without restarts (cosine).
    """
    base, decay, warmup = (
        training.learning_rate,
        training.learning_rate_decay,
        training.warmup_epochs,
    )
    if epoch <= warmup:
        return base * epoch / (warmup + 1)
    n_gone = epoch - 1 - warmup
    if training.schedule == "cosine":
        return base * (1 + math.cos(math.pi * n_gone / (training.epochs - warmup))) / 2
    if training.schedule == "step":
        return base * decay ** (n_gone // training.step_epochs)
    return base * decay**n_gone


class Optimizer:
    """Adam, AdamW or SGD as torch's step, without what these do again in every step.

    The steps are the same to the bit on a CPU: the same kernel on the same numbers. For a small
    network, torch's own bookkeeping takes longer than the kernel. All that a step reads and changes
    stays where it is in memory, and it waits for nothing.

    Source:
        Kingma & Ba, Adam, arXiv:1412.6980; its constants: the study served here, section IV-B.
        Loshchilov & Hutter, Decoupled weight decay regularization, arXiv:1711.05101.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], training: TrainingConfig) -> None:
        """
        Args:
            parameters: What is trained, on its device.
            training: The training config.
        """
        self._parameters = list(parameters)
        self._training = training
        self.moments: dict[str, list[Tensor]] = {
            name: [torch.zeros_like(each, requires_grad=False) for each in self._parameters]
            for name in _MOMENTS[training.optimizer]
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
        parameters, given, *memory = map(list, zip(*rows, strict=True))
        training = self._training
        if training.clip_norm is not None:
            norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(given)))
            factor = (training.clip_norm / (norm + 1e-6)).clamp(max=1.0)
            given = list(torch._foreach_mul(given, factor))
        self.count += 1
        if training.optimizer == "sgd":
            torch._fused_sgd_(
                parameters,
                given,
                memory[0] if training.momentum else [],
                weight_decay=training.weight_decay,
                momentum=training.momentum,
                lr=self._learning_rate,
                dampening=0.0,
                nesterov=False,
                maximize=False,
                is_first_step=False,  # Zeros are a memory of no gradients, too.
            )
            return
        step = torch._fused_adamw_ if training.optimizer == "adamw" else torch._fused_adam_
        averages, squares = memory
        step(
            parameters,
            given,
            averages,
            squares,
            [],
            [self.count] * len(rows),
            lr=self._learning_rate,
            beta1=0.9,
            beta2=0.999,
            weight_decay=training.weight_decay,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
        )

    def steps_as(self, other: Optimizer) -> bool:
        """Whether another's recorded steps would be its own, were it in the same memory.

        Args:
            other: Of a network of the same architecture.
        """
        mine, its = (
            (each.optimizer, each.weight_decay, each.momentum, each.clip_norm)
            for each in (self._training, other._training)
        )
        return mine == its

    def leave(self) -> Optimizer:
        """Goes on in memory of its own; gives one that has the memory that it leaves."""
        left = copy.copy(self)
        self.moments = {
            name: [moment.clone() for moment in moments] for name, moments in self.moments.items()
        }
        self.count, self._learning_rate = self.count.clone(), self._learning_rate.clone()
        return left

    def take_place(self, left: Optimizer) -> None:
        """Goes on in the memory that another left.

        Args:
            left: What its `leave` gave.
        """
        left.load_state_dict(self.state_dict())
        left._learning_rate.copy_(self._learning_rate)
        self.moments, self.count = left.moments, left.count
        self._learning_rate = left._learning_rate

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
