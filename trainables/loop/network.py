"""The losses of many runs at once, and their gradients, from all that they depend on."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from space.config import TrainingConfig
from space.errors import ModelError, TrainingError
from trainables.contract.split_data import Batch
from trainables.contract.task import Task
from trainables.loop.dropout import SeededDropout
from trainables.loop.operators import RunOperators
from trainables.loop.stack import Stack, state_tensors
from trainables.seeds import Stream, derive_seed
from trainables.tracebacks import where

__all__ = ["AloneNetwork", "RunLoss", "RunsFunctions", "RunsNetwork", "build_network"]


def checked_network(task: Task) -> nn.Module:
    """What a task gives as its network.

    Raises:
        ModelError: If it is none, or has nothing to train.
    """
    network = task.network()
    if not isinstance(network, nn.Module):
        kind = type(network).__name__
        raise ModelError(f"{where(task.network)} gives a {kind}; expected a torch.nn.Module")
    if not any(each.requires_grad for each in network.parameters()):
        raise ModelError(f"{where(task.network)} gives a network without a parameter to train")
    return network


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
        network = checked_network(task)
    if device.type == "cpu":
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.to(device)


class _Loss(nn.Module):
    """A task's loss as a module, since a module's tensors can be replaced for a call."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, task: Task, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """See `Task.loss`."""
        return task.loss(self.network, batch)


class RunLoss:
    """The loss of one run, and the sums over its samples of the loss and of every score."""

    def __init__(self, task: Task, network: nn.Module, training: TrainingConfig) -> None:
        """
        Args:
            task: The task.
            network: A network of it, placed.
            training: The run's training.
        """
        self._task = copy.copy(task)
        self._loss = _Loss(network)
        self._precision = training.precision
        self._shapes: dict[str, torch.Size] = {}
        self.part: slice | None = None
        """Which of a batch's samples it is given; None: all of them."""

    @property
    def network(self) -> nn.Module:
        """The network."""
        return self._loss.network

    def set_options(self, options: Mapping[str, Tensor]) -> None:
        """Has the loss see other values.

        Args:
            options: Name of an option marked ``STACKED`` -> scalar.
        """
        if options:
            self._task.options = self._task.options.model_copy(update=dict(options))

    def __call__(
        self, key: Tensor, batch: Batch, state: Batch | None = None
    ) -> tuple[Tensor, Tensor]:
        """Computes it, in the mode that the network is in.

        Args:
            key: An int64 scalar that decides the dropout masks.
            batch: The samples.
            state: The network's state; None for the one that it is in.

        Returns:
            The mean loss, and the sums (S,), float64.
        """
        with SeededDropout(key, self.part), self._autocast(key.device):
            if state is None:
                found = self._loss(self._task, batch)
            else:
                named = {f"network.{name}": tensor for name, tensor in state.items()}
                found = functional_call(self._loss, named, (self._task, batch))
        n = len(next(iter(batch.values())))
        loss, scores = self._checked(found, n)
        sums = [score.double().sum(0).flatten() for score in scores.values()]
        return loss, torch.cat([loss.detach().double().reshape(1) * n, *sums])

    def means(self, sums_S: Tensor, n: int) -> dict[str, Tensor]:
        """The mean loss and scores by name.

        Args:
            sums_S: Sums over samples, on the CPU.
            n: How many samples.
        """
        parts = torch.split(sums_S / n, [shape.numel() for shape in self._shapes.values()])
        return {
            name: part.view(shape)
            for (name, shape), part in zip(self._shapes.items(), parts, strict=True)
        }

    def _checked(self, found: Any, n: int) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The loss and the scores of n samples, with a note of their shapes.

        Raises:
            TrainingError: If they are not what `Task.loss` should give.
        """
        gives = f"{where(self._task.loss)} gives"
        are_two = isinstance(found, tuple) and len(found) == 2
        if not (are_two and isinstance(found[1], Mapping)):
            kinds = ", ".join(type(each).__name__ for each in found) if type(found) is tuple else ""
            raise TrainingError(
                f"{gives} {f'({kinds})' if kinds else type(found).__name__}; expected the mean "
                "loss and a mapping of scores, as in return loss, {'error': wrong}"
            )
        loss, scores = found
        named = {f"the scores '{name}'": score for name, score in scores.items()}
        for what, each in {"the loss": loss, **named}.items():
            if not isinstance(each, Tensor):
                raise TrainingError(f"{gives} {what} as {type(each).__name__}; expected a Tensor")
            if each.shape[:1] != (() if what == "the loss" else (n,)):
                raise TrainingError(
                    f"{gives} {what} of {n} samples in the shape {tuple(each.shape)}: the mean "
                    "loss is a scalar, and every sample has its score"
                )
        shapes = {name: each.shape[1:] for name, each in scores.items()}
        self._shapes = {"loss": loss.shape, **shapes}
        return loss, scores

    def _autocast(self, device: torch.device) -> AbstractContextManager[Any]:
        if self._precision == "bfloat16":
            return torch.autocast(device.type, dtype=torch.bfloat16)
        return nullcontext()


class AloneNetwork:
    """The network of one run, in plain PyTorch, which takes any network."""

    def __init__(self, loss: RunLoss, names: Sequence[str], options: Mapping[str, Tensor]) -> None:
        """
        Args:
            loss: The run's loss, with its own network.
            names: Of the samples' tensors.
            options: The run's stacked options, (1,) each.
        """
        self._names = list(names)
        self._parameters = list(loss.network.parameters())
        self._trained = [place for place, p in enumerate(self._parameters) if p.requires_grad]
        loss.set_options({name: option.squeeze(0) for name, option in options.items()})
        self.loss = loss

    def train(self, key_R: Tensor, *rows: Tensor) -> tuple[Tensor, list[list[Tensor | None]]]:
        """See `RunsNetwork.train`."""
        return self._train(key_R, rows)

    def _train(
        self, key_R: Tensor, rows: Sequence[Tensor], share: float = 1.0
    ) -> tuple[Tensor, list[list[Tensor | None]]]:
        """As `train`; the gradients are those of so large a share of the loss."""
        self.loss.network.train()
        with torch.enable_grad():
            loss, sums_S = self.loss(key_R.squeeze(0), self._batch(rows))
            trained = [self._parameters[place] for place in self._trained]
            part = loss if share == 1 else loss * share
            found = torch.autograd.grad(part, trained, allow_unused=True)
        gradients: list[Tensor | None] = [None] * len(self._parameters)
        for place, parameter, gradient in zip(self._trained, trained, found, strict=True):
            gradients[place] = _laid_out_like(parameter, gradient)
        return sums_S.unsqueeze(1), [gradients]

    def evaluate(self, key_R: Tensor, *rows: Tensor, state: Batch | None = None) -> Tensor:
        """See `RunsNetwork.evaluate`.

        Args:
            key_R: The run's key, (1,).
            rows: The samples.
            state: The network's state; None for the one that it is in.
        """
        self.loss.network.eval()
        return self.loss(key_R.squeeze(0), self._batch(rows), state)[1].unsqueeze(1)

    def _batch(self, rows: Sequence[Tensor]) -> Batch:
        return {name: row.squeeze(1) for name, row in zip(self._names, rows, strict=True)}


class RunsFunctions:
    """The losses of R runs and their gradients, as functions of flat lists of tensors.

    These are, in one order: the stacked state (see `Stack`); the options marked ``STACKED``, (R,)
    each; and the samples, (N, R, ...) each.
    """

    def __init__(
        self,
        loss: RunLoss,
        names: Sequence[str],
        stacked: Sequence[str],
        wrap: Callable[[Callable[..., Any]], Callable[..., Any]],
    ) -> None:
        """
        Args:
            loss: Of any of the runs, with a network whose own weights are never used.
            names: Of the samples' tensors.
            stacked: The options marked ``STACKED``.
            wrap: Makes of each of the functions the one to be called.
        """
        self.loss = loss
        self._state_names = list(state_tensors(loss.network))
        self._stacked = list(stacked)
        self._names = list(names)
        self.losses_and_gradients = wrap(self._losses_and_gradients)
        """In training mode, from the runs' dropout keys (R,) and all the tensors: sums (S, R), and
        the gradients of the trainable parameters; None where there is none."""
        self.losses = wrap(self._losses)
        """In evaluation mode, from the keys and all the tensors: sums (S, R)."""

    def _losses_and_gradients(self, key_R: Tensor, *tensors: Tensor) -> tuple[Tensor | None, ...]:
        network = self.loss.network.train()
        names = [name for name, p in network.named_parameters() if p.requires_grad]
        leaves = dict(zip(self._state_names, tensors, strict=False))
        leaves |= {name: leaves[name].detach().requires_grad_() for name in names}
        with torch.enable_grad():
            loss_R, sums_SR = self._forward(key_R, *leaves.values(), *tensors[len(leaves) :])
            # The sum's gradient is that of every run's own loss, as no weight has a part in two.
            gradients = torch.autograd.grad(
                loss_R.sum(), [leaves[name] for name in names], allow_unused=True
            )
        found = zip(names, gradients, strict=True)
        return sums_SR, *(_laid_out_like(leaves[name], gradient) for name, gradient in found)

    def _losses(self, key_R: Tensor, *tensors: Tensor) -> tuple[Tensor]:
        self.loss.network.eval()
        return (self._forward(key_R, *tensors)[1],)

    def _forward(self, key_R: Tensor, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        """Every run's mean loss (R,) and its sums (S, R)."""
        rest = iter(tensors)
        state, options, batch = (
            {name: next(rest) for name in names}
            for names in (self._state_names, self._stacked, self._names)
        )

        def of_one_run(
            key: Tensor, state: Batch, options: Batch, batch: Batch
        ) -> tuple[Tensor, Tensor]:
            self.loss.set_options(options)
            return self.loss(key, batch, state)

        with RunOperators():
            found: tuple[Tensor, Tensor] = torch.vmap(
                of_one_run, in_dims=(0, 0, 0, 1), out_dims=(0, 1)
            )(key_R, state, options, batch)
        return found


class RunsNetwork:
    """The networks of R runs as one, whose state is theirs."""

    def __init__(
        self,
        functions: RunsFunctions,
        networks: Sequence[nn.Module],
        options: Mapping[str, Tensor],
    ) -> None:
        """
        Args:
            functions: Of their kind.
            networks: Their networks, whose tensors become views of stacked ones.
            options: Their stacked options, (R,) each.
        """
        self.loss = functions.loss
        self.stack = Stack(networks)
        self._functions = functions
        self._options = options
        self._fixed = (*self.stack.tensors.values(), *options.values())

    def put(self, place: int, network: nn.Module, options: Mapping[str, Tensor]) -> None:
        """Lets a run take the place of one whose network was released.

        Args:
            place: The place, from 0.
            network: The run's network.
            options: Its stacked options, (1,) each.
        """
        self.stack.put(place, network)
        for name, option in options.items():
            self._options[name][place] = option[0]

    def train(
        self, key_R: Tensor, *rows: Tensor
    ) -> tuple[Tensor, Sequence[Sequence[Tensor | None]]]:
        """A step's sums and gradients, in training mode.

        Args:
            key_R: (R,) int64, which decide the dropout masks.
            rows: The samples, (N, R, ...) each.

        Returns:
            Sums (S, R) over the samples of the loss and of every score; and for each run the
            gradients of its parameters, None where there is none. They are laid out like their
            parameters, as the optimizer's fused step expects.
        """
        sums_SR, *gradients = self._functions.losses_and_gradients(key_R, *self._fixed, *rows)
        return sums_SR, self.stack.of_networks(gradients)

    def evaluate(self, key_R: Tensor, *rows: Tensor) -> Tensor:
        """The sums (S, R) over some samples, (N, R, ...) each, in evaluation mode.

        Args:
            key_R: (R,) int64, which decide the masks of a dropout that is active then, too.
            rows: The samples.
        """
        found: Tensor = self._functions.losses(key_R, *self._fixed, *rows)[0]
        return found


def _laid_out_like(parameter: Tensor, gradient: Tensor | None) -> Tensor | None:
    if gradient is None or gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)
