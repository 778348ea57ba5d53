"""The training loop: one run, or several at once."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from space.config import TrainingConfig
from space.epochs import Epoch
from trainables.contract.split_data import Batch
from trainables.contract.stacked import stacked_options
from trainables.contract.task import Task
from trainables.device import device_settings
from trainables.failures import NonFiniteLossError, OutOfMemoryFailure, out_of_memory_translated
from trainables.loop.captured import Capture, CudaGraphs
from trainables.loop.network import (
    AloneNetwork,
    RunLoss,
    RunsFunctions,
    RunsNetwork,
    build_network,
)
from trainables.loop.samples import n_samples, rows_of, side_by_side
from trainables.loop.stack import Stack
from trainables.loop.team import Team, TeamNetwork
from trainables.loop.together import EVALUATION_BATCH, Sums, Together, metrics_of, options_of
from trainables.loop.traced import TracedFunction

if TYPE_CHECKING:
    from trainables.loop.training import Training

__all__ = [
    "EVALUATION_BATCH",
    "TRACE_AFTER",
    "TrainingBatch",
    "batch_key",
    "evaluate",
]

_log = logging.getLogger(__name__)

TRACE_AFTER = 60
"""Steps in which a trace saves about the time that it takes, on a CPU, whatever the network."""


def batch_key(run: Training) -> Hashable:
    """What runs must have in common to be trained as one batch.

    They may differ in all else: see `RunConfig.kind`, and in how many epochs they have behind them.

    Args:
        run: A run.

    Returns:
        A value that is equal for runs that fit together.
    """
    shapes = [
        (split, name, tensor.shape, tensor.dtype)
        for split, part in run.parts.items()
        for name, tensor in part.items()
    ]
    kind = json.dumps(run.config.kind(), sort_keys=True)
    return type(run.task), kind, run.device, tuple(shapes)


@dataclass(frozen=True)
class _Kind:
    """A kind of batch: those of one kind call the same functions, whatever is in them."""

    key: Hashable
    """See `batch_key`."""
    trace_after: int | None
    """See `TracedFunction`; without a number nothing is traced."""
    task: Task = field(compare=False)
    """Of any of its runs, as the others."""
    names: Sequence[str] = field(compare=False)
    training: TrainingConfig = field(compare=False)
    device: torch.device = field(compare=False)


def _functions(kind: _Kind) -> RunsFunctions:
    """The functions with a network of their own, traced where the kind says so."""
    loss = RunLoss(kind.task, build_network(kind.task, 0, kind.device), kind.training)

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        if kind.trace_after is None:
            return function
        return TracedFunction(function, trace_after=kind.trace_after)

    return RunsFunctions(loss, kind.names, stacked_options(kind.task.options), wrap)


_shared_functions = lru_cache(maxsize=8)(_functions)
"""Those that trace themselves do so once in the life of a process for all batches of a kind."""


def _alone(run: Training, team: Team | None = None) -> AloneNetwork:
    loss = RunLoss(run.task, run.network, run.config.training)
    names, options = list(run.parts["train"]), options_of([run])
    if team is None:
        return AloneNetwork(loss, names, options)
    return TeamNetwork(loss, names, options, team)


@torch.no_grad()
def evaluate(run: Training, part: Batch, state: Mapping[str, Tensor] | None) -> dict[str, float]:
    """A run's metrics on some samples, without their split.

    Args:
        run: The run.
        part: The samples, on its device.
        state: Its network's state; None for the one that it is in.
    """
    network, sums = _alone(run), Sums()
    batch = side_by_side([part])
    parts = list(rows_of(batch, EVALUATION_BATCH))
    keys_T1 = run.evaluation_keys(len(parts), 0).unsqueeze(1)
    with device_settings(run.config.training, run.device):
        for key_R, rows in zip(keys_T1, parts, strict=True):
            sums.add(network.evaluate(key_R, *rows, state=state))
    return metrics_of(run.task, network.loss.means(sums.total.cpu()[:, 0], n_samples(batch)))


class TrainingBatch:
    """Runs trained in step as one model, whose every tensor has a dimension for the runs.

    A run computes what it would in a batch of its own, but for rounding; training makes that
    larger, so that after many epochs its errors may be others
    (``tests/benchmarks/training/batching_effect.py``). Each stays a `Training` like any other:
    between epochs it may be evaluated, saved or restored, and it may leave the batch and go on
    alone.

    One run is trained by plain PyTorch, not traced: any network will do.

    Source:
        Wang et al., Horizontally Fused Training Array, MLSys 2021, arXiv:2102.02344.
    """

    def __init__(
        self,
        runs: Sequence[Training],
        *,
        trace_after: int = TRACE_AFTER,
        capture: Capture | None = None,
    ) -> None:
        """
        Args:
            runs: The runs, none of them finished.
            trace_after: On a CPU, steps of so many runs, in batches of this kind in this process,
                before they are traced (see `TracedFunction`).
            capture: How to record whole steps (see `CapturedWork`); by default as CUDA graphs on a
                GPU, and not at all on a CPU.

        Raises:
            ValueError: If they do not fit together (see `batch_key`), or there is none.
        """
        if not runs:
            raise ValueError("a batch needs at least one run")
        self._runs: list[Training] = []
        self._together: Together | None = None
        self.warnings: list[str] = []
        """What did not stop the runs but should be known."""
        # What a team's processes say to each other is not captured.
        if capture is None and runs[0].device.type == "cuda" and runs[0].team is None:
            capture = CudaGraphs()
        self._capture = capture
        # What is captured asks for its operators once, however long it takes to find them.
        self._trace_after = trace_after if capture is None else None
        self._key = batch_key(runs[0])
        for run in runs:
            self.add(run)

    @property
    def runs(self) -> tuple[Training, ...]:
        """The runs in the batch, in the order in which they came."""
        return tuple(self._runs)

    def add(self, run: Training) -> None:
        """Takes a run in from the next epoch on.

        Args:
            run: The run, not finished.

        Raises:
            ValueError: If it does not fit to the others.
        """
        if batch_key(run) != self._key:
            raise ValueError("the run does not fit to the others: see batch_key")
        self._runs.append(run)

    def drop(self, run: Training) -> None:
        """Lets a run go; the others go on without it, and it may go on alone.

        Args:
            run: A run in the batch.

        Raises:
            ValueError: If it is not in the batch.
        """
        self._runs.remove(run)
        run.move()
        Stack.release(run.network)
        if self._together is not None:
            self._together.leave(run)

    def run_epoch(self) -> dict[Training, Epoch | NonFiniteLossError]:
        """Trains every run for one epoch, validates it and keeps its state if it is the best.

        A run that is finished with it, or one of whose metrics is not finite, leaves the batch.

        Returns:
            For every run its epoch's numbers, or why it cannot go on. Their ``seconds`` are the
            run's share of the wall time.

        Raises:
            OutOfMemoryFailure: If the device's memory is exhausted: every run is over.
            RuntimeError: If no run is left, or one is finished.
        """
        if not self._runs or any(run.finished for run in self._runs):
            raise RuntimeError("there is no run in the batch, or a finished one")
        first = self._runs[0]
        started = time.perf_counter()
        settings = device_settings(first.config.training, first.device)
        try:
            with torch.no_grad(), out_of_memory_translated(first.name), settings:
                if self._together is None or not self._together.seat(self._runs):
                    self._together = None  # Whose memory the next one has need of.
                    self._together = self._put_together()
                if len(self._runs) == 1:
                    with _global_generators(first.global_seed(), first.device):
                        found = self._together.run_epoch()
                else:
                    found = self._together.run_epoch()
        except OutOfMemoryFailure:
            self._together = None  # Whoever goes on has need of its memory.
            raise
        seconds = (time.perf_counter() - started) / len(self._runs)
        return {
            run: self._complete(run, Epoch(epoch=run.epoch + 1, metrics=metrics, seconds=seconds))
            for run, metrics in found.items()
        }

    def _complete(self, run: Training, epoch: Epoch) -> Epoch | NonFiniteLossError:
        try:
            run.complete_epoch(epoch)
        except NonFiniteLossError as failure:
            self.drop(run)
            return failure
        if run.finished:
            self.drop(run)
        return epoch

    def _put_together(self) -> Together:
        """Makes the runs' states parts of one."""
        first, capture = self._runs[0], self._capture
        if len(self._runs) == 1:
            return Together(self._runs, _alone(first, first.team), capture, self._warn)
        make = _functions if self._trace_after is None else _shared_functions
        names, training = list(first.parts["train"]), first.config.training
        kind = _Kind(self._key, self._trace_after, first.task, names, training, first.device)
        for run in self._runs:
            run.move()
        networks = [run.network for run in self._runs]
        network = RunsNetwork(make(kind), networks, options_of(self._runs))
        return Together(self._runs, network, capture, self._warn)

    def _warn(self, text: str) -> None:
        self.warnings.append(text)
        _log.warning("%s", text)


@contextmanager
def _global_generators(seed: int, device: torch.device) -> Iterator[None]:
    """torch's global generators at a seed, and afterwards as they were."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            torch.cuda.manual_seed(seed)
        yield
