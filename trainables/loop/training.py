"""One run of a task: its samples, its network and optimizer, its epochs."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from space.config import NetworkConfig
from space.epochs import Epoch
from space.errors import DataError, TrainingError
from trainables.contract.held_out import n_held_out
from trainables.contract.run import Run
from trainables.contract.split_data import Batch, SplitData
from trainables.contract.task import Task
from trainables.device import check_device
from trainables.failures import NonFiniteLossError, out_of_memory_translated
from trainables.loop.batch import TrainingBatch, evaluate
from trainables.loop.network import build_network
from trainables.loop.optimizer import Optimizer
from trainables.loop.samples import n_samples, on_device
from trainables.loop.team import Team
from trainables.seeds import Stream, derive_seed, generator, role_seed
from trainables.tracebacks import where

__all__ = ["Training", "draw_parts", "draw_test"]


def draw_parts(task: Task, data: SplitData, data_seed: int) -> dict[str, Batch]:
    """What a run trains on and what its epochs are chosen by.

    Args:
        task: The task.
        data: Its training split.
        data_seed: The config's, 0 <= data_seed < 2**63.

    Returns:
        "train" and "val" -> the samples, on the CPU; without a validation split of the source's
        own, some of the training samples are held out.

    Raises:
        DataError: If the data do not suffice.
        ValueError: If the data are not the training split.
    """
    _check_split(data, "train")
    train = task.draw(data.tensors, "train", generator(data_seed, Stream.TRAIN_DRAW))
    if data.val is not None:
        val = task.draw(data.val.tensors, "val", generator(data_seed, Stream.VALIDATION_DRAW))
        return {"train": train, "val": val}
    n = n_samples(train)
    if n < 2:
        raise DataError(f"{n} training samples are too few to hold some out for validation")
    order = torch.randperm(n, generator=generator(data_seed, Stream.VALIDATION_SPLIT))
    n_val = n_held_out(n, task.validation_fraction)
    return {"train": _select(train, order[n_val:]), "val": _select(train, order[:n_val])}


def draw_test(task: Task, data: SplitData, data_seed: int) -> Batch:
    """The samples that judge a finished run. A search never calls this.

    Args:
        task: The task.
        data: Its test split.
        data_seed: The config's, 0 <= data_seed < 2**63.

    Raises:
        DataError: If the data do not suffice.
        ValueError: If the data are not the test split.
    """
    _check_split(data, "test")
    return task.draw(data.tensors, "test", generator(data_seed, Stream.TEST_DRAW))


class Training(Run):
    """One run: a task's samples, network and optimizer, trained an epoch at a time.

    The same config on the same machine with the same number of threads gives the same numbers, in
    whatever process and after whatever else. The steps themselves are those of `TrainingBatch`, of
    which a run alone is one of one run.

    Attributes:
        team: The processes that train it together, this one among them; None: this one alone. To be
            set before the first epoch.
    """

    config: NetworkConfig

    def __init__(
        self, task: Task, config: NetworkConfig, data: SplitData, device: torch.device
    ) -> None:
        """
        Args:
            task: What is trained.
            config: The resolved config that it was made from.
            data: Its training split.
            device: Where to compute.

        Raises:
            DataError: If the data do not suffice.
            ModelError: If there is nothing to train.
            OutOfMemoryFailure: If the device's memory is exhausted.
            TrainingError: If the device cannot honour the config.
        """
        check_device(config.training, device)
        super().__init__(config, task.measured, data.fingerprint)
        self.task = task
        self.device = device
        self.team: Team | None = None
        self.n_steps = 0
        """Steps of the epoch begun last."""
        parts = draw_parts(task, data, config.data.data_seed)
        with out_of_memory_translated(self.name):
            self.parts = {split: on_device(part, device) for split, part in parts.items()}
            """The samples trained on, "train", and validated with, "val", on the device."""
            seed = role_seed(config.training, Stream.WEIGHTS)
            self.network = build_network(task, seed, device)
            self.optimizer = Optimizer(list(self.network.parameters()), config.training)
        self._kept_state: dict[str, Tensor] = {}
        self._alone: TrainingBatch | None = None
        self._other_state: dict[str, Tensor] = {}

    @property
    def name(self) -> str:
        """What is trained, in a word."""
        return self.config.what

    @property
    def device_name(self) -> str:
        """The GPU's."""
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else ""

    @property
    def n_parameters(self) -> int:
        """The network's trainable parameters."""
        return sum(p.numel() for p in self.network.parameters() if p.requires_grad)

    def run_epoch(self) -> Epoch:
        """Trains for one epoch, validates, and keeps the state if it is the best so far.

        Returns:
            The epoch's numbers.

        Raises:
            NonFiniteLossError: If the training or validation loss is not finite.
            OutOfMemoryFailure: If the device's memory is exhausted.
            RuntimeError: If the run is finished.
        """
        alone = self._alone = self._alone or TrainingBatch([self])
        n_warnings = len(alone.warnings)
        (outcome,) = alone.run_epoch().values()
        if alone.warnings[n_warnings:]:
            self.notice = "; ".join(alone.warnings[n_warnings:])
        if isinstance(outcome, NonFiniteLossError):
            raise outcome
        return outcome

    def move(self) -> None:
        """Has whatever knew where its tensors are in memory forget it."""
        self._alone = None

    def shorten(self, n_steps: int) -> None:
        """Makes the epochs to come short ones, for measuring steps.

        Args:
            n_steps: Whole batches that are left of the training samples, or as many as there are;
                less than one stays as it is. Of the validation samples one batch is left: of fewer
                some metrics are not defined.
        """
        self.move()
        size = self.config.training.batch_size
        n = min(n_steps, n_samples(self.parts["train"]) // size) * size
        train, val = self.parts["train"], self.parts["val"]
        self.parts = {
            "train": {name: tensor[: n or None] for name, tensor in train.items()},
            "val": {name: tensor[:size] for name, tensor in val.items()},
        }

    def begin_epoch(self) -> tuple[Batch, Tensor]:
        """Draws an epoch's random numbers and sets its learning rate.

        Returns:
            The epoch's samples in the order of its steps, on the device; and a key for the dropout
            of each step, int64.
        """
        training, epoch = self.config.training, self.epoch + 1
        self.optimizer.begin(epoch)
        order, augmentation, dropout = (
            generator(role_seed(training, stream), stream, place)
            for stream, place in (
                (Stream.ORDER, epoch if training.shuffle else 1),
                (Stream.AUGMENTATION, epoch),
                (Stream.DROPOUT, epoch),
            )
        )
        samples = self.task.epoch(self.parts["train"], order, augmentation)
        if list(samples) != list(self.parts["train"]):
            raise TrainingError(
                f"{where(self.task.epoch)} gives {', '.join(samples)}: give the same names "
                f"as its training samples have, {', '.join(self.parts['train'])}"
            )
        self.n_steps = math.ceil(n_samples(samples) / training.batch_size)
        return samples, torch.randint(2**62, (self.n_steps,), generator=dropout).to(self.device)

    def evaluation_keys(self, n_steps: int, epoch: int) -> Tensor:
        """Keys for a dropout that is active in evaluation, one for each of its steps.

        Args:
            n_steps: How many.
            epoch: The epoch that is validated; 0 for a state that is kept.

        Returns:
            int64, on the device.
        """
        seed = role_seed(self.config.training, Stream.DROPOUT)
        draws = generator(seed, Stream.DROPOUT, epoch, 2)
        return torch.randint(2**62, (n_steps,), generator=draws).to(self.device)

    def global_seed(self) -> int:
        """What torch's global generators are set to in an epoch, should a network draw of them."""
        seed = role_seed(self.config.training, Stream.DROPOUT)
        return derive_seed(seed, Stream.DROPOUT, self.epoch + 1, 1)

    def measure(self, part: Batch, *, kept: bool = False, other: bool = False) -> dict[str, float]:
        """The loss and the metrics of the network as it is now, or as it was kept.

        Args:
            part: Samples, on any device.
            kept: Whether the state kept is meant.
            other: Whether the other state is.

        Returns:
            Metric without a split -> value, in evaluation mode.

        Raises:
            OutOfMemoryFailure: If the device's memory is exhausted.
            RuntimeError: If no epoch is completed yet whose state could be kept.
        """
        if (kept and self.kept is None) or (other and self.other is None):
            raise RuntimeError("no state is kept before the first epoch's end")
        state = self._kept_state if kept else self._other_state if other else None
        with out_of_memory_translated(self.name):
            return evaluate(self, on_device(part, self.device), state)

    def evaluate(self, test: SplitData, *, other: bool = False) -> dict[str, float]:
        """The kept state's losses and metrics on all three parts of the data.

        Args:
            test: The test split.
            other: Whether the other state is meant.

        Returns:
            Metric with its split, such as ``"test_error"`` -> value.

        Raises:
            OutOfMemoryFailure: If the device's memory is exhausted.
            RuntimeError: If no epoch is completed yet.
        """
        parts = self.parts | {"test": draw_test(self.task, test, self.config.data.data_seed)}
        return {
            f"{split}_{name}": value
            for split, part in parts.items()
            for name, value in self.measure(part, kept=not other, other=other).items()
        }

    def weights(self) -> Mapping[str, Tensor]:
        """The kept state's weights and buffers, live; empty before the first epoch's end."""
        return self._kept_state or {}

    def _state(self) -> dict[str, Any]:
        return {"model": self._network_state(), "optimizer": self.optimizer.state_dict()}

    def _load_state(self, state: Mapping[str, Any]) -> None:
        self.network.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._kept_state = on_device(copy.deepcopy(state["kept_model"]), self.device)
        self._other_state = on_device(copy.deepcopy(state.get("other_model", {})), self.device)

    def _evaluable_state(self) -> dict[str, Tensor]:
        return self._network_state()

    def _network_state(self) -> dict[str, Tensor]:
        """A copy of the network's state, each tensor with memory of its own.

        A copy by `copy.deepcopy`, or a file of the live tensors, would hold the memory that a
        tensor is a part of: in a batch of runs, that of all of them.
        """
        return {name: tensor.clone() for name, tensor in self.network.state_dict().items()}


def _check_split(data: SplitData, split: str) -> None:
    if data.split != split:
        raise ValueError(f"the {split} split is wanted here, not the {data.split} split")


def _select(part: Batch, index: Tensor) -> dict[str, Tensor]:
    return {name: tensor[index] for name, tensor in part.items()}
