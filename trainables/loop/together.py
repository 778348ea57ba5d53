"""The epochs of some runs for as long as the same ones are together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from space.errors import TrainingError
from trainables.contract.stacked import stacked_options
from trainables.contract.task import Task
from trainables.loop.captured import Capture, CapturedWork
from trainables.loop.network import AloneNetwork, RunsNetwork
from trainables.loop.optimizer import Optimizer
from trainables.loop.samples import n_samples, rows_of, side_by_side
from trainables.loop.stack import state_tensors
from trainables.tracebacks import where

if TYPE_CHECKING:
    from trainables.loop.training import Training

__all__ = ["EVALUATION_BATCH", "Sums", "Together", "metrics_of", "options_of"]

EVALUATION_BATCH = 250
"""Samples evaluated at once. A constant, so that a result does not depend on the batch size."""


def metrics_of(task: Task, means: Mapping[str, Tensor]) -> dict[str, float]:
    """A split's metrics by name.

    Raises:
        TrainingError: If the task gives others than it says.
    """
    found = dict(task.summary(means))
    wanted = {"loss", *(metric.name for metric in task.metrics)}
    if found.keys() != wanted:
        raise TrainingError(
            f"{where(task.loss)} measures {', '.join(sorted(found))}, but its class says that it "
            "measures "
            f"{', '.join(sorted(wanted))}: let its metrics, its loss and its summary name the same"
        )
    return found


def options_of(runs: Sequence[Training]) -> dict[str, Tensor]:
    """The runs' stacked options, (R,) each, in the type of their networks."""
    parameter = next(runs[0].network.parameters())
    return {
        name: torch.tensor(
            [getattr(run.task.options, name) for run in runs],
            dtype=parameter.dtype,
            device=parameter.device,
        )
        for name in stacked_options(runs[0].task.options)
    }


class Sums:
    """Sums over samples, made when the first come, and then where they are in memory."""

    def __init__(self) -> None:
        self.parts: list[Tensor] = []
        """The (S, R) float64 sums, as soon as there are any."""

    @property
    def total(self) -> Tensor:
        return self.parts[0]

    def restart(self) -> None:
        for part in self.parts:
            part.zero_()

    def add(self, found_SR: Tensor) -> None:
        if not self.parts:
            self.parts.append(torch.zeros_like(found_SR))
        self.total.add_(found_SR)


class Together:
    """What stays the same, and where it is in memory, for as long as there are R runs in it.

    A run has a place. When it leaves, another may take the place, and its memory with it, so that
    what was recorded is of use to that one, too.
    """

    def __init__(
        self,
        runs: Sequence[Training],
        network: AloneNetwork | RunsNetwork,
        capture: Capture | None,
        warn: Callable[[str], None],
    ) -> None:
        self._runs: list[Training | None] = list(runs)
        """By place; None where one has left."""
        self._network = network
        self._optimizers = [run.optimizer for run in runs]
        self._validation = side_by_side([run.parts["val"] for run in runs])
        self._trained, self._validated = Sums(), Sums()
        self._train: Callable[..., None] = self._train_on
        self._validate: Callable[..., None] = self._validate_on
        self._capture, self._warn = capture, warn
        self._is_warm = False

    def leave(self, run: Training) -> None:
        """Lets a run go on in memory of its own, once its network is released."""
        if run in self._runs:
            place = self._runs.index(run)
            self._runs[place] = None
            self._optimizers[place] = run.optimizer.leave()

    def seat(self, runs: Sequence[Training]) -> bool:
        """Lets runs that come take the places of those that have left.

        Args:
            runs: All that are to be in it.

        Returns:
            Whether each has a place now, and each place a run; otherwise nothing has changed.
        """
        new = [run for run in runs if run not in self._runs]
        free = [place for place, run in enumerate(self._runs) if run is None]
        if not free and not new:
            return True
        network = self._network
        if isinstance(network, AloneNetwork) or len(runs) != len(self._runs):
            return False
        seats = _seats(new, {place: self._optimizers[place] for place in free})
        if seats is None:
            return False
        for place, run in seats.items():
            run.move()
            network.put(place, run.network, options_of([run]))
            run.optimizer.take_place(self._optimizers[place])
            self._runs[place], self._optimizers[place] = run, run.optimizer
        self._validation = side_by_side([run.parts["val"] for run in self._seated])
        return True

    @property
    def _seated(self) -> list[Training]:
        """The runs by place, once each place has one."""
        return [run for run in self._runs if run is not None]

    def run_epoch(self) -> dict[Training, dict[str, float]]:
        """Trains and validates; gives each run's metrics.

        A first epoch is never captured: a capture takes as long as dozens of steps, and where runs
        come and go with every epoch there would be one for each.
        """
        if self._is_warm and self._capture is not None:
            of_capture: Any = {"capture": self._capture, "warn": self._warn}
            self._train = CapturedWork(self._train_on, self._trains, **of_capture)
            self._validate = CapturedWork(self._validate_on, self._validates, **of_capture)
            self._capture = None
        self._is_warm = True
        runs = self._seated
        samples, keys = zip(*(run.begin_epoch() for run in runs), strict=True)
        batch, keys_TR = side_by_side(samples), torch.stack(keys, dim=1)
        self._trained.restart()
        self._validated.restart()
        batch_size = runs[0].config.training.batch_size
        for key_R, rows in zip(keys_TR, rows_of(batch, batch_size), strict=True):
            self._train(key_R, *rows)
        parts = list(rows_of(self._validation, EVALUATION_BATCH))
        of_runs = [run.evaluation_keys(len(parts), run.epoch + 1) for run in runs]
        for key_R, rows in zip(torch.stack(of_runs, dim=1), parts, strict=True):
            self._validate(key_R, *rows)
        # The only time after the draws of an epoch that anything waits for the device.
        trained_SR, validated_SR = torch.stack([self._trained.total, self._validated.total]).cpu()
        found = {}
        for place, run in enumerate(runs):
            metrics: dict[str, float] = {}
            for split, sums_SR, part in (
                ("train", trained_SR, batch),
                ("val", validated_SR, self._validation),
            ):
                means = self._network.loss.means(sums_SR[:, place], n_samples(part))
                summary = metrics_of(run.task, means)
                metrics |= {f"{split}_{name}": value for name, value in summary.items()}
            found[run] = metrics
        return found

    def _train_on(self, key_R: Tensor, *rows: Tensor) -> None:
        """One step of every run."""
        sums_SR, of_runs = self._network.train(key_R, *rows)
        for optimizer, of_run in zip(self._optimizers, of_runs, strict=True):
            optimizer.step(of_run)
        self._trained.add(sums_SR)

    def _validate_on(self, key_R: Tensor, *rows: Tensor) -> None:
        """Every run evaluated on some samples."""
        self._validated.add(self._network.evaluate(key_R, *rows))

    def _trains(self) -> dict[str, list[Tensor]]:
        """All that a training step changes, by run and kind."""
        found = _of_each_run("sums", self._trained)
        for place, run in enumerate(self._seated):
            parameters = list(run.network.parameters())
            known = set(map(id, parameters))
            state = state_tensors(run.network).values()
            kinds: dict[str, list[Tensor]] = {
                "parameters": [each for each in parameters if each.requires_grad],
                "buffers": [each for each in state if id(each) not in known],
                **run.optimizer.moments,
                "count of steps": [run.optimizer.count],
            }
            found |= {_of_run(kind, place): tensors for kind, tensors in kinds.items()}
        return found

    def _validates(self) -> dict[str, list[Tensor]]:
        """All that a step of the validation changes."""
        return _of_each_run("sums", self._validated)


def _seats(runs: Sequence[Training], free: Mapping[int, Optimizer]) -> dict[int, Training] | None:
    """A place for each of as many runs, one whose recorded steps fit; None if there are not."""
    seats = {}
    for run in runs:
        fitting = (
            place
            for place, optimizer in free.items()
            if place not in seats and run.optimizer.steps_as(optimizer)
        )
        place = next(fitting, None)
        if place is None:
            return None
        seats[place] = run
    return seats


def _of_each_run(kind: str, sums: Sums) -> dict[str, list[Tensor]]:
    parts = (part for whole in sums.parts for part in whole.unbind(1))
    return {_of_run(kind, place): [part] for place, part in enumerate(parts)}


def _of_run(kind: str, place: int) -> str:
    return f"the {kind} of run {place + 1}"
