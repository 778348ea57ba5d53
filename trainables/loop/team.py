"""A run that several processes train together, each on its part of every batch.

Every process has the whole run: its data, network, optimizer and random numbers. Of a batch each
takes the rows that are its own, and the gradients are summed before the optimizer's step, so that
all of them take the same step and agree at every moment. But for rounding it is the step of one
process:

- a process's gradients are those of its share of the whole batch's mean loss;
- batch normalisation takes its statistics over the whole batch;
- a dropout mask is the part of the whole batch's that belongs to the rows.

A batch with fewer samples than there are processes is trained on by each of them as a whole.

Source:
    Li et al., PyTorch Distributed: experiences on accelerating data parallel training, VLDB 2020,
    arXiv:2006.15704.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from trainables.contract.split_data import Batch
from trainables.loop.network import AloneNetwork, RunLoss

__all__ = ["Meeting", "Team", "TeamNetwork"]

_LOOPBACK = "127.0.0.1"


class Meeting:
    """Where the processes of a team find each other: a port of this machine, on loopback alone."""

    def __init__(self) -> None:
        """Listen, for as long as this process lives."""
        # Without a socket of its own the store would listen on every interface.
        self._socket = socket.create_server((_LOOPBACK, 0))
        self.port: int = self._socket.getsockname()[1]
        self.store = dist.TCPStore(  # type: ignore[attr-defined]
            _LOOPBACK,
            self.port,
            is_master=True,
            wait_for_workers=False,
            master_listen_fd=self._socket.detach(),
        )


class Team:
    """The processes that train a run together, as one of them sees them."""

    def __init__(self, rank: int, size: int) -> None:
        """
        Args:
            rank: Which of them this one is, from 0.
            size: How many there are.
        """
        self.rank, self.size = rank, size

    @classmethod
    def join(cls, rank: int, size: int, place: Meeting | int, *, on_gpu: bool) -> Team:
        """Meet the others; returns when all are there.

        Args:
            rank: Which of them this one is, from 0.
            size: How many there are, all on this machine.
            place: Where they meet: for one of them, which listens, the meeting; else its port.
            on_gpu: Whether each has a GPU.
        """
        loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)
        os.environ.setdefault("NCCL_SOCKET_IFNAME", loopback)
        if isinstance(place, int):
            store = dist.TCPStore(_LOOPBACK, place, is_master=False)  # type: ignore[attr-defined]
        else:
            store = place.store
        backend = "cpu:gloo,cuda:nccl" if on_gpu else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=size)
        return cls(rank, size)

    def part(self, n: int) -> slice | None:
        """Its rows of a batch of n samples; None where there are fewer samples than processes."""
        if n < self.size:
            return None
        return slice(n * self.rank // self.size, n * (self.rank + 1) // self.size)

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Have every process hold the sums over all of them, in place.

        Args:
            tensors: Of the same shapes and in the same order in every process.
        """
        whole = torch.cat([each.reshape(-1) for each in tensors])
        dist.all_reduce(whole)
        parts = torch.split(whole, [each.numel() for each in tensors])
        for each, part in zip(tensors, parts, strict=True):
            each.copy_(part.view(each.shape))


class TeamNetwork(AloneNetwork):
    """The network of a run that a team trains, as one of its processes has it."""

    def __init__(
        self, loss: RunLoss, names: Sequence[str], options: Mapping[str, Tensor], team: Team
    ) -> None:
        """
        Args:
            loss: The run's loss, with its own network.
            names: Of the samples' tensors.
            options: The run's stacked options, (1,) each.
            team: The processes.
        """
        super().__init__(loss, names, options)
        self._team = team

    def train(self, key_R: Tensor, *rows: Tensor) -> tuple[Tensor, list[list[Tensor | None]]]:
        """See `RunsNetwork.train`; the sums and gradients are those of the whole batch."""
        n = len(rows[0])
        part = self._team.part(n)
        if part is None:
            return super().train(key_R, *rows)
        with self._trained_on(part):
            share = (part.stop - part.start) / n
            sums_S1, (gradients,) = self._train(key_R, [row[part] for row in rows], share)
        self._team.add_up([each for each in gradients if each is not None])
        self._team.add_up([sums_S1])
        return sums_S1, [gradients]

    def evaluate(self, key_R: Tensor, *rows: Tensor, state: Batch | None = None) -> Tensor:
        """See `AloneNetwork.evaluate`; the sums are those over all samples."""
        part = self._team.part(len(rows[0]))
        if part is None:
            return super().evaluate(key_R, *rows, state=state)
        with self._trained_on(part):
            sums_S1 = super().evaluate(key_R, *(row[part] for row in rows), state=state)
        self._team.add_up([sums_S1])
        return sums_S1

    @contextmanager
    def _trained_on(self, part: slice) -> Iterator[None]:
        """Within it the loss knows that its samples are a part of a batch."""
        self.loss.part = part
        try:
            with _TeamBatchNorm(self._team):
                yield
        finally:
            self.loss.part = None


class _TeamBatchNorm(TorchFunctionMode):
    """While it is active, batch normalisation takes its statistics over the whole team's samples.

    torch's own `SyncBatchNorm` does so on GPUs alone, and has to be put into the network.
    """

    def __init__(self, team: Team) -> None:
        super().__init__()
        self._team = team

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Replaces `torch.nn.functional.batch_norm`; see `TorchFunctionMode`."""
        if func is F.batch_norm:
            return _batch_norm(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """What `torch.nn.functional.batch_norm` gives for this process's part of a batch."""
    if not training:
        return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
    x = input.float() if input.dtype in (torch.float16, torch.bfloat16) else input
    dims = [0, *range(2, x.dim())]
    of_channels = [1, -1, *(1 for _ in x.shape[2:])]
    n = x.new_full((1,), x.numel() / x.shape[1])
    sums, n_whole = torch.split(_whole(torch.cat([x.sum(dims), n])), [x.shape[1], 1])
    mean = sums / n_whole
    centred = x - mean.view(of_channels)
    var = _whole(centred.square().sum(dims)) / n_whole
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            unbiased = var * (n_whole / (n_whole - 1))
            running_var.lerp_(unbiased.to(running_var.dtype), momentum)
    scale = torch.rsqrt(var + eps) if weight is None else torch.rsqrt(var + eps) * weight
    found = centred * scale.view(of_channels)
    return (found if bias is None else found + bias.view(of_channels)).to(input.dtype)


def _whole(own: Tensor) -> Tensor:
    whole: Tensor = _Whole.apply(own)  # type: ignore[no-untyped-call]
    return whole


class _Whole(torch.autograd.Function):
    """A sum over the processes, through which every process's loss has its gradient."""

    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        return _added_up(own)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _added_up(gradient)


def _added_up(tensor: Tensor) -> Tensor:
    whole = tensor.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(whole)
    return whole
