"""A user's task as a trainable."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from space.config import DataSettings, NetworkConfig, Options, TrainingConfig
from space.errors import DataError, ModelError, TrainingError
from trainables.contract.options import (
    check_complete,
    check_metrics,
    config_with,
    made_of,
    options_of_class,
)
from trainables.contract.run_data import RunData
from trainables.contract.stacked import STACKED
from trainables.contract.task import Task
from trainables.device import check_device, pick_device
from trainables.loop.batched_trainable import BatchedTrainable
from trainables.loop.network import checked_network
from trainables.loop.training import Training, draw_parts
from trainables.seeds import PROTOCOL
from trainables.tracebacks import mistakes_told

__all__ = ["TaskConfig", "TaskTrainable"]


class TaskConfig(NetworkConfig):
    """Everything that a run of a task depends on besides the machine."""

    data: DataSettings = Field(default_factory=DataSettings)
    """The data."""
    options: Options = Field(default_factory=Options)
    """The task's own options."""
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    """The optimisation."""

    def kind(self) -> dict[str, Any]:
        """All options but those that may differ within a batch, and what shapes a step."""
        tree = self.model_dump(mode="json")
        fields = type(self.options).model_fields
        options = {k: v for k, v in tree["options"].items() if STACKED not in fields[k].metadata}
        training = tree["training"]
        same = ("batch_size", "device", "precision", "tf32")
        return {"trainable": self.trainable, **options, **{key: training[key] for key in same}}


class TaskTrainable(BatchedTrainable[TaskConfig]):
    """Runs of a `Task`: the loop trains them, many as one model where that pays."""

    def __init__(self, task: type[Task], name: str) -> None:
        """
        Args:
            task: The task's class.
            name: What files call it.

        Raises:
            SpaceError: If the class is not complete, or its options or metrics are none.
        """
        check_complete(task, name)
        check_metrics(task.metrics, name)
        self._task = self.written = task
        self.config_type = config_with(TaskConfig, options_of_class(task, name), name)
        self.config_type.measured = task.__new__(task).measured  # Of no run: of the class.
        self._counts: dict[str, int] = {}

    def task(self, config: TaskConfig) -> Task:
        """The task of one run.

        Raises:
            TrainingError: If it refuses its options.
        """
        return made_of(self._task, config.options)

    def settle(
        self, config: TaskConfig, *, source: str | None = None, with_test: bool = False
    ) -> tuple[TaskConfig, RunData]:
        """Load the splits; too few samples are found out before any run."""
        with mistakes_told(DataError):
            task = self.task(config)
            train = task.load("train")
            draw_parts(task, train, config.data.data_seed)
            test = task.load("test") if with_test else None
        config = config.model_copy(update={"trainable": self.pinned})
        return config, RunData(train=train, test=test, own=self.own, with_test=with_test)

    def resolve(self, config: TaskConfig) -> TaskConfig:
        """The config with today's protocol and the text of its file."""
        if config.training.protocol not in (None, PROTOCOL):
            raise TrainingError(
                f"training.protocol is {config.training.protocol}, and this release trains under "
                f"version {PROTOCOL} alone: leave it out"
            )
        if config.training.device == "cpu":
            check_device(config.training, torch.device("cpu"))
        self.task(config)
        training = config.training.model_copy(update={"protocol": PROTOCOL})
        return config.model_copy(update={"training": training, "trainable": self.pinned})

    def open_run(self, config: TaskConfig, data: RunData) -> Training:
        """A `Training` on the device that the config means in this process."""
        device = pick_device(config.training.device)
        return Training(self.task(config), config, data.train, device)

    def network(self, config: TaskConfig) -> nn.Module:
        """As the task makes it."""
        return self.task(config).network()

    def predict(self, config: TaskConfig, network: nn.Module, inputs: Tensor) -> Tensor:
        """As the task says."""
        return self.task(config).predict(network, inputs)

    def n_parameters(self, config: TaskConfig) -> int:
        """The network's numbers that have gradients, counted without giving them memory.

        Only a network that reads numbers as it is built is built with its own.
        """
        key = config.options.model_dump_json()
        if key not in self._counts:
            task = self.task(config)
            with mistakes_told(ModelError):
                try:
                    with torch.device("meta"):
                        network = checked_network(task)
                except (NotImplementedError, RuntimeError):  # It asked for a number of that device.
                    network = checked_network(task)
            trained = (each for each in network.parameters() if each.requires_grad)
            self._counts[key] = sum(each.numel() for each in trained)
        return self._counts[key]

    def weight(self, config: TaskConfig) -> tuple[float, ...]:
        """The more samples a step and parameters, the more memory."""
        return (self.n_parameters(config), config.training.batch_size)
