"""The training loop of several runs at once."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor

from space.config import RunConfig
from space.epochs import Epoch
from trainables.batched.captured import Capture, CapturedWork, capture_cuda_graph
from trainables.batched.network import RunsNetwork
from trainables.batched.stack import Stack
from trainables.batched.together import Together, side_by_side
from trainables.batched.traced import TracedFunction
from trainables.data.pairs import Pairs
from trainables.device import prepare_device
from trainables.failures import NonFiniteLossError, out_of_memory_translated
from trainables.loop.compute import EVALUATION_BATCH, Compute
from trainables.loop.training import Training
from trainables.models.registry import build_model

__all__ = ["TRACE_AFTER", "TrainingBatch", "batch_key"]

_log = logging.getLogger(__name__)

TRACE_AFTER = 60
"""Steps in which a trace saves about the time that it takes, on a CPU, whatever the network."""


def batch_key(run: Training) -> Hashable:
    """What runs must have in common to be trained as one batch.

    They may differ in all else: seeds, images drawn, learning rates and decays, auxiliary weights,
    and in how many epochs they have behind and before them.

    Args:
        run: A run.

    Returns:
        A value that is equal for runs that fit together.
    """
    model, training = run.config.model, run.config.training
    return (
        model.model_dump_json(),
        run.config.data.augment,
        training.batch_size,
        training.precision,
        training.tf32,
        run.device,
        len(run.pairs.train),
        len(run.pairs.validation),
    )


@dataclass(frozen=True)
class _Kind:
    """A kind of batch: those of one kind call the same functions, whatever is in them."""

    key: Hashable
    """See `batch_key`."""
    trace_after: int
    config: RunConfig = field(compare=False)
    """Of any of its runs."""
    device: torch.device = field(compare=False)


@dataclass(frozen=True, eq=False)
class _Functions:
    """See `RunsNetwork`."""

    losses_and_gradients: Callable[..., tuple[Any, ...]]
    losses: Callable[..., tuple[Any, ...]]


def _functions(kind: _Kind) -> _Functions:
    compute = Compute(kind.config, kind.device)
    network = RunsNetwork(compute.place(build_model(kind.config.model, 0)), compute)
    return _Functions(network.losses_and_gradients, network.losses)


@lru_cache(maxsize=8)
def _traced_functions(kind: _Kind) -> _Functions:
    """Those that trace themselves, once in the life of a process for all batches of a kind."""
    functions = _functions(kind)
    return _Functions(
        TracedFunction(functions.losses_and_gradients, trace_after=kind.trace_after),
        TracedFunction(functions.losses, trace_after=kind.trace_after),
    )


@dataclass(frozen=True, eq=False)
class _Steps:
    """What is done again and again while the same runs are in the batch."""

    together: Together
    train: Callable[..., None]
    """Takes a batch of pairs, tensor by tensor, and for each dropout layer its masks."""
    validate: Callable[..., None]
    """Takes a batch of pairs, tensor by tensor."""


class TrainingBatch:
    """Runs trained in step as one model, whose every tensor has a dimension for the runs.

    A run computes what it would alone, but for rounding; training makes that larger, so that after
    many epochs its errors may be others (``tests/benchmarks/batching_effect.py``). Each stays a
    `Training` like any other: between epochs it may be evaluated, saved or restored, and it may
    leave the batch and go on alone.

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
        self._steps: _Steps | None = None
        self.warnings: list[str] = []
        """What did not stop the runs but should be known."""
        first = runs[0]
        self._key = batch_key(first)
        if capture is None and first.device.type == "cuda":
            capture = capture_cuda_graph
        self._capture = capture
        kind = _Kind(self._key, trace_after, first.config, first.device)
        # What is captured asks for its operators once, however long it takes to find them.
        self._functions = _traced_functions(kind) if capture is None else _functions(kind)
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
        self._steps = None

    def drop(self, run: Training) -> None:
        """Lets a run go; the others go on without it, and it may go on alone.

        Args:
            run: A run in the batch.

        Raises:
            ValueError: If it is not in the batch.
        """
        self._runs.remove(run)
        Stack.release(run.model)
        self._steps = None

    def run_epoch(self) -> dict[Training, Epoch | NonFiniteLossError]:
        """Trains every run for one epoch, validates it and keeps its state if it is the best.

        A run that is finished with it, or whose loss is not finite, leaves the batch.

        Returns:
            For every run its epoch's numbers, or why it cannot go on. Their ``seconds`` are the
            run's share of the wall time.

        Raises:
            OutOfMemoryFailure: If the device's memory is exhausted: every run is over.
            RuntimeError: If no run is left, or one is finished.
        """
        if not self._runs or any(run.finished for run in self._runs):
            raise RuntimeError("there is no run in the batch, or a finished one")
        started = time.perf_counter()
        prepare_device(self._runs[0].config.training, self._runs[0].device)
        with out_of_memory_translated(self._runs[0].config.model.name):
            steps = self._steps
            if steps is None or not steps.together.is_current():
                # What they hold is given back before others take as much.
                steps = self._steps = None
                steps = self._steps = self._steps_together()
            means_4R = torch.cat([self._train(steps), self._validate(steps)])
            # The only time after the draws of an epoch that anything waits for the device.
            of_runs = means_4R.T.tolist()
        seconds = (time.perf_counter() - started) / len(self._runs)
        outcomes: dict[Training, Epoch | NonFiniteLossError] = {}
        for run, (train_loss, train_wrong, val_loss, val_wrong) in zip(
            self.runs, of_runs, strict=True
        ):
            outcomes[run] = self._complete(
                run,
                Epoch(
                    epoch=run.epoch + 1,
                    metrics={
                        "train_loss": train_loss,
                        "val_loss": val_loss,
                        "train_error": train_wrong,
                        "val_error": val_wrong,
                    },
                    seconds=seconds,
                ),
            )
        return outcomes

    def _complete(self, run: Training, metrics: Epoch) -> Epoch | NonFiniteLossError:
        try:
            run.complete_epoch(metrics)
        except NonFiniteLossError as failure:
            self.drop(run)
            return failure
        if run.finished:
            self.drop(run)
        return metrics

    def _steps_together(self) -> _Steps:
        """Makes the runs' states parts of one."""
        together = Together.of(self._runs)
        functions = self._functions
        train: Callable[..., None] = partial(_train_on, together, functions.losses_and_gradients)
        validate: Callable[..., None] = partial(_validate_on, together, functions.losses)
        if self._capture is not None:
            changes = together.changed_by_steps()
            warn = self._warn
            train = CapturedWork(train, changes, capture=self._capture, warn=warn)
            sums = {"sums": [together.validated_2R]}
            validate = CapturedWork(validate, sums, capture=self._capture, warn=warn)
        return _Steps(together, train, validate)

    def _warn(self, text: str) -> None:
        self.warnings.append(text)
        _log.warning("%s", text)

    def _train(self, steps: _Steps) -> Tensor:
        """The steps of an epoch; gives (2, R) mean losses and shares of pairs compared wrongly."""
        together = steps.together
        epochs, keeps = zip(*(run.begin_epoch() for run in self._runs), strict=True)
        pairs = side_by_side(epochs)
        keeps_PRLF = [torch.stack(layer, dim=1) for layer in zip(*keeps, strict=True)]
        batch_size = self._runs[0].config.training.batch_size
        together.trained_2R.zero_()
        for adam in together.adams:
            adam.open()
        for start in range(0, len(pairs), batch_size):
            stop = start + batch_size
            batch = pairs.rows(start, stop)
            masks = [keep_PRLF[start:stop] for keep_PRLF in keeps_PRLF]
            steps.train(batch.x_N2HW, batch.classes_N2, batch.target_N, *masks)
        for adam in together.adams:
            adam.close()
        return together.trained_2R / len(pairs)

    def _validate(self, steps: _Steps) -> Tensor:
        """The states as they are; gives (2, R) mean losses and shares of pairs compared wrongly."""
        together = steps.together
        pairs = together.validation
        together.validated_2R.zero_()
        for start in range(0, len(pairs), EVALUATION_BATCH):
            batch = pairs.rows(start, start + EVALUATION_BATCH)
            steps.validate(batch.x_N2HW, batch.classes_N2, batch.target_N)
        return together.validated_2R / len(pairs)


def _train_on(
    together: Together,
    losses_and_gradients: Callable[..., tuple[Any, ...]],
    x_NR2HW: Tensor,
    classes_NR2: Tensor,
    target_NR: Tensor,
    *keeps_NRLF: Tensor,
) -> None:
    """One step of every run."""
    tensors = together.tensors(Pairs(x_NR2HW, classes_NR2, target_NR))
    loss_R, wrong_R, *gradients = losses_and_gradients(*tensors, *keeps_NRLF)
    of_runs = together.stack.of_networks(gradients)
    for adam, of_run in zip(together.adams, of_runs, strict=True):
        adam.step(of_run)
    sums_2R = torch.stack([loss_R.double() * len(target_NR), wrong_R.double()])
    together.trained_2R.add_(sums_2R)


def _validate_on(
    together: Together,
    losses: Callable[..., tuple[Any, ...]],
    x_NR2HW: Tensor,
    classes_NR2: Tensor,
    target_NR: Tensor,
) -> None:
    """Every run evaluated on a batch of pairs."""
    loss_R, wrong_R = losses(*together.tensors(Pairs(x_NR2HW, classes_NR2, target_NR)))
    sums_2R = torch.stack([loss_R.double() * len(target_NR), wrong_R.double()])
    together.validated_2R.add_(sums_2R)
