"""The training loop of several runs at once."""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import functional_call

from trainables.batched.operators import RunOperators
from trainables.batched.stack import Stack
from trainables.batched.traced import TracedFunction
from trainables.compute import EVALUATION_BATCH, Compute
from trainables.device import prepare_device
from trainables.failures import NonFiniteLossError, out_of_memory_translated
from trainables.losses import n_wrong, pair_loss
from trainables.metrics import EpochMetrics
from trainables.models.registry import build_model
from trainables.optimizer import AdamSteps
from trainables.pairs import Pairs
from trainables.training import Training

__all__ = ["TRACE_AFTER", "TrainingBatch", "batch_key"]

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


@dataclass(frozen=True, eq=False)
class _Together:
    """What stays the same for as long as the same R runs are in the batch."""

    stack: Stack
    validation: Pairs
    """See `_side_by_side`."""
    aux_weight_R: Tensor

    @classmethod
    def of(cls, runs: Sequence[Training]) -> _Together:
        """Makes the runs' states parts of one."""
        validation = _side_by_side([run.pairs.validation for run in runs])
        weights = [run.config.training.aux_weight or 0.0 for run in runs]
        x = validation.x_N2HW
        return cls(
            stack=Stack([run.model for run in runs]),
            validation=validation,
            aux_weight_R=torch.tensor(weights, dtype=x.dtype, device=x.device),
        )

    def tensors(self, pairs: Pairs) -> tuple[Tensor, ...]:
        """All that the losses of some pairs depend on in evaluation mode, in one order."""
        state = self.stack.tensors.values()
        return *state, self.aux_weight_R, pairs.x_N2HW, pairs.classes_N2, pairs.target_N


class TrainingBatch:
    """Runs trained in step as one model, whose every tensor has a dimension for the runs.

    A run's numbers are those that it would have alone, but for rounding. Each stays a `Training`
    like any other: between epochs it may be evaluated, saved or restored, and it may leave the
    batch and go on alone.

    Source:
        Wang et al., Horizontally Fused Training Array, MLSys 2021, arXiv:2102.02344.
    """

    def __init__(self, runs: Sequence[Training], *, trace_after: int = TRACE_AFTER) -> None:
        """
        Args:
            runs: The runs, none of them finished.
            trace_after: Steps of the same runs before they are traced (see `TracedFunction`).

        Raises:
            ValueError: If they do not fit together (see `batch_key`), or there is none.
        """
        if not runs:
            raise ValueError("a batch needs at least one run")
        self._runs: list[Training] = []
        self._together: _Together | None = None
        first = runs[0]
        self._key = batch_key(first)
        self._compute = Compute(first.config, first.device)
        self._model = self._compute.place(build_model(first.config.model, 0))
        """The network whose forward pass all runs share; its own weights are never used."""
        self._step = TracedFunction(self._losses_and_gradients, trace_after=trace_after)
        self._evaluate = TracedFunction(self._losses, trace_after=trace_after)
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
        self._together = None

    def drop(self, run: Training) -> None:
        """Lets a run go; the others go on without it, and it may go on alone.

        Args:
            run: A run in the batch.

        Raises:
            ValueError: If it is not in the batch.
        """
        self._runs.remove(run)
        Stack.release(run.model)
        self._together = None

    def run_epoch(self) -> dict[Training, EpochMetrics | NonFiniteLossError]:
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
            if self._together is None:
                self._together = _Together.of(self._runs)
                self._state_names = list(self._together.stack.tensors)
            means_4R = torch.cat([self._train(self._together), self._validate(self._together)])
            # The only time after the draws of an epoch that anything waits for the device.
            of_runs = means_4R.T.tolist()
        seconds = (time.perf_counter() - started) / len(self._runs)
        outcomes: dict[Training, EpochMetrics | NonFiniteLossError] = {}
        for run, (train_loss, train_wrong, val_loss, val_wrong) in zip(
            self.runs, of_runs, strict=True
        ):
            outcomes[run] = self._complete(
                run,
                EpochMetrics(
                    epoch=run.epoch + 1,
                    train_loss=train_loss,
                    val_loss=val_loss,
                    train_error=train_wrong,
                    val_error=val_wrong,
                    seconds=seconds,
                ),
            )
        return outcomes

    def _complete(self, run: Training, metrics: EpochMetrics) -> EpochMetrics | NonFiniteLossError:
        try:
            run.complete_epoch(metrics)
        except NonFiniteLossError as failure:
            self.drop(run)
            return failure
        if run.finished:
            self.drop(run)
        return metrics

    def _train(self, together: _Together) -> Tensor:
        """The steps of an epoch; gives (2, R) mean losses and shares of pairs compared wrongly."""
        epochs, keeps = zip(*(run.begin_epoch() for run in self._runs), strict=True)
        pairs = _side_by_side(epochs)
        keeps_PRLF = [torch.stack(layer, dim=1) for layer in zip(*keeps, strict=True)]
        batch_size = self._runs[0].config.training.batch_size
        sums = torch.zeros(2, len(self._runs), dtype=torch.float64, device=self._runs[0].device)
        steps = [AdamSteps(run.optimizer) for run in self._runs]
        for start in range(0, len(pairs), batch_size):
            stop = start + batch_size
            batch = pairs.rows(start, stop)
            masks = [keep_PRLF[start:stop] for keep_PRLF in keeps_PRLF]
            loss_R, wrong_R, *gradients = self._step(*together.tensors(batch), *masks)
            of_runs = together.stack.of_networks(gradients)
            for adam, of_run in zip(steps, of_runs, strict=True):
                adam.step(of_run)
            sums += torch.stack([loss_R.double() * len(batch), wrong_R.double()])
        for adam in steps:
            adam.close()
        return sums / len(pairs)

    def _validate(self, together: _Together) -> Tensor:
        """The states as they are; gives (2, R) mean losses and shares of pairs compared wrongly."""
        pairs = together.validation
        sums = torch.zeros(2, len(self._runs), dtype=torch.float64, device=self._runs[0].device)
        for start in range(0, len(pairs), EVALUATION_BATCH):
            batch = pairs.rows(start, start + EVALUATION_BATCH)
            loss_R, wrong_R = self._evaluate(*together.tensors(batch))
            sums += torch.stack([loss_R.double() * len(batch), wrong_R.double()])
        return sums / len(pairs)

    def _losses_and_gradients(self, *tensors: Tensor) -> tuple[Tensor | None, ...]:
        """In training mode, those of `_losses` and the gradients of the trainable parameters.

        The gradients are laid out like their parameters, as the optimizer's fused step expects.
        """
        self._model.train()
        names = [name for name, p in self._model.named_parameters() if p.requires_grad]
        leaves = dict(zip(self._state_names, tensors, strict=False))
        leaves |= {name: leaves[name].detach().requires_grad_() for name in names}
        with torch.enable_grad():
            loss_R, wrong_R = self._forward(*leaves.values(), *tensors[len(leaves) :])
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
        return loss_R.detach(), wrong_R, *laid_out

    def _losses(self, *tensors: Tensor) -> tuple[Tensor | None, ...]:
        """In evaluation mode, every run's mean loss and wrongly compared pairs, (R,) each."""
        self._model.eval()
        return self._forward(*tensors)

    def _forward(self, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        """Every run's mean loss and wrongly compared pairs, (R,) each.

        Args:
            tensors: What `_Together.tensors` gives, and for each dropout layer its masks.
        """
        dropouts = self._model.dropouts()
        state = dict(zip(self._state_names, tensors, strict=False))
        aux_weight_R, x_NR2HW, classes_NR2, target_NR, *keeps_NRLF = tensors[len(state) :]

        def of_one_run(
            state: dict[str, Tensor],
            pairs_of_one: tuple[Tensor, Tensor, Tensor],
            keeps_NLF: Sequence[Tensor],
            aux_weight: Tensor,
        ) -> tuple[Tensor, Tensor]:
            x_N2HW, classes_N2, target_N = pairs_of_one
            for dropout, keep_NLF in zip(dropouts, keeps_NLF, strict=False):
                dropout.keep_NF = keep_NLF.flatten(0, 1)
            output = functional_call(self._model, state, (x_N2HW,))
            loss = pair_loss(output, classes_N2, target_N, aux_weight)
            return loss, n_wrong(output, target_N)

        of_all = torch.vmap(of_one_run, in_dims=(0, 1, 1, 0))
        pairs = (x_NR2HW, classes_NR2, target_NR)
        try:
            with RunOperators(), self._compute.precision():
                loss_R, wrong_R = of_all(state, pairs, keeps_NRLF, aux_weight_R)
        finally:
            for dropout in dropouts:
                dropout.keep_NF = None
        return loss_R, wrong_R


def _side_by_side(parts: Sequence[Pairs]) -> Pairs:
    """Pairs with a dimension for the runs after the first: (N, R, 2, 14, 14), (N, R, 2), (N, R)."""
    return Pairs(
        torch.stack([pairs.x_N2HW for pairs in parts], dim=1),
        torch.stack([pairs.classes_N2 for pairs in parts], dim=1),
        torch.stack([pairs.target_N for pairs in parts], dim=1),
    )
