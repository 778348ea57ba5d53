"""The losses of many runs at once, and their gradients, from all that they depend on."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from space.config import TrainingConfig
from trainables.loop.dropout import SeededDropout
from trainables.loop.operators import RunOperators
from trainables.loop.stack import state_tensors
from trainables.seeds import Stream, derive_seed
from trainables.split_data import Batch
from trainables.stacked import stacked_options
from trainables.task import Task

__all__ = ["RunsNetwork", "build_network"]


def build_network(task: Task, seed: int, device: torch.device) -> nn.Module:
    """A task's network with fresh weights, in the memory layout that is fastest on its device.

    Args:
        task: The task.
        seed: What draws the weights, 0 <= seed < 2**63.
        device: Where to.

    Returns:
        The network, in training mode. The global generator is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which would seed every GPU as well, beyond what the fork restores.
        torch.default_generator.manual_seed(derive_seed(seed, Stream.WEIGHTS))
        network = task.network()
    if device.type == "cpu":
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.to(device)


class _Loss(nn.Module):
    """A task's loss as a module, since a module's tensors can be replaced for a call."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.shapes: dict[str, torch.Size] = {}
        """Of the loss and of one sample's scores, by name, as they were found to be."""

    def forward(self, task: Task, batch: Batch) -> tuple[Tensor, Tensor]:
        """The mean loss, and the sums over the samples of the loss and of every score."""
        loss, scores = task.loss(self.network, batch)
        n = len(next(iter(batch.values())))
        wrong = [name for name, score in scores.items() if score.shape[:1] != (n,)]
        if loss.dim() or wrong:
            what = f"the scores '{wrong[0]}'" if wrong else "the loss"
            shape = tuple(scores[wrong[0]].shape if wrong else loss.shape)
            raise ValueError(
                f"{type(task).__name__}.loss gives {what} of {n} samples in the shape {shape}: "
                "the mean loss is a scalar, and every sample has its score"
            )
        self.shapes = {
            "loss": loss.shape,
            **{name: score.shape[1:] for name, score in scores.items()},
        }
        sums = [score.double().sum(0).flatten() for score in scores.values()]
        return loss, torch.cat([loss.detach().double().reshape(1) * n, *sums])


class RunsNetwork:
    """The network of R runs, as functions of their states and samples.

    Tensors are handed in as flat lists, in one order: the stacked state (see `Stack`); the options
    marked ``STACKED``, (R,) each; and the samples of `names`, (N, R, ...) each.
    """

    def __init__(
        self, task: Task, network: nn.Module, names: Sequence[str], training: TrainingConfig
    ) -> None:
        """
        Args:
            task: The runs' task, but for its stacked options.
            network: A network of the runs' architecture, placed; its own weights are never used.
            names: Of the samples' tensors.
            training: The runs' training, for what they have in common.
        """
        self._task = copy.copy(task)
        self._options = task.options
        self._stacked = stacked_options(task.options)
        self._network = network
        self._loss = _Loss(network)
        self._state_names = list(state_tensors(network))
        self._names = list(names)
        self._precision = training.precision

    def means(self, sums_S: Tensor, n: int) -> dict[str, Tensor]:
        """A run's mean loss and scores by name.

        Args:
            sums_S: Sums over samples, as `losses` gave at least once, on the CPU.
            n: How many samples.
        """
        shapes = self._loss.shapes
        parts = torch.split(sums_S / n, [shape.numel() for shape in shapes.values()])
        return {
            name: part.view(shape)
            for (name, shape), part in zip(shapes.items(), parts, strict=True)
        }

    def losses_and_gradients(self, key_R: Tensor, *tensors: Tensor) -> tuple[Tensor | None, ...]:
        """In training mode, the sums of `losses` and the gradients of the trainable parameters.

        Args:
            key_R: (R,) int64, which decide the dropout masks of the step.
            tensors: See the class.

        Returns:
            Sums (S, R), and gradients; None where there is none. They are laid out like their
            parameters, as the optimizer's fused step expects.
        """
        self._network.train()
        names = [name for name, p in self._network.named_parameters() if p.requires_grad]
        leaves = dict(zip(self._state_names, tensors, strict=False))
        leaves |= {name: leaves[name].detach().requires_grad_() for name in names}
        with torch.enable_grad():
            loss_R, sums_SR = self._forward(key_R, *leaves.values(), *tensors[len(leaves) :])
            # The sum's gradient is that of every run's own loss, as no weight has a part in two.
            gradients = torch.autograd.grad(
                loss_R.sum(), [leaves[name] for name in names], allow_unused=True
            )
        laid_out = [
            gradient
            if gradient is None or gradient.stride() == leaves[name].stride()
            else torch.empty_like(leaves[name]).copy_(gradient)
            for name, gradient in zip(names, gradients, strict=True)
        ]
        return sums_SR, *laid_out

    def losses(self, *tensors: Tensor) -> tuple[Tensor]:
        """In evaluation mode, the sums (S, R) over the samples of the loss and of every score.

        Args:
            tensors: See the class.
        """
        self._network.eval()
        no_key_R = torch.zeros(tensors[-1].shape[1], dtype=torch.int64, device=tensors[-1].device)
        return (self._forward(no_key_R, *tensors)[1],)

    def _forward(self, key_R: Tensor, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        """Every run's mean loss (R,) and its sums (S, R)."""
        rest = iter(tensors)
        state = self._named(self._state_names, rest)
        options = self._named(self._stacked, rest)
        batch = self._named(self._names, rest)
        if len(key_R) == 1:  # Plain PyTorch, which takes any network, and less time.
            alone = [
                {n: t.squeeze(d) for n, t in part.items()}
                for part, d in ((state, 0), (options, 0), (batch, 1))
            ]
            loss, sums_S = self._of_one_run(key_R.squeeze(0), *alone)
            return loss.unsqueeze(0), sums_S.unsqueeze(1)
        with RunOperators():
            found: tuple[Tensor, Tensor] = torch.vmap(
                self._of_one_run, in_dims=(0, 0, 0, 1), out_dims=(0, 1)
            )(key_R, state, options, batch)
        return found

    def _of_one_run(
        self, key: Tensor, state: Batch, options: Batch, batch: Batch
    ) -> tuple[Tensor, Tensor]:
        self._task.options = self._options.model_copy(update=dict(options))
        try:
            with SeededDropout(key), self._autocast(key.device):
                named = {f"network.{name}": tensor for name, tensor in state.items()}
                loss, sums_S = functional_call(self._loss, named, (self._task, batch))
        finally:
            self._task.options = self._options
        return loss, sums_S

    def _autocast(self, device: torch.device) -> AbstractContextManager[Any]:
        if self._precision == "bfloat16":
            return torch.autocast(device.type, dtype=torch.bfloat16)
        return nullcontext()

    @staticmethod
    def _named(names: Sequence[str], tensors: Iterator[Tensor]) -> dict[str, Tensor]:
        return {name: next(tensors) for name in names}
