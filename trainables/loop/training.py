"""The training loop of one run."""

from __future__ import annotations

import copy
import time
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from space.config import RunConfig
from space.epochs import Epoch, kept_epoch
from space.metrics import DIGIT_PAIRS
from trainables.data.epoch_draws import draw_epoch
from trainables.data.image_set import ImageSet
from trainables.data.pairs import Pairs, draw_train_validation
from trainables.device import check_device, prepare_device
from trainables.failures import NonFiniteLossError, out_of_memory_translated
from trainables.loop.compute import Compute
from trainables.loop.optimizer import (
    build_optimizer,
    learning_rate_of,
    restore_optimizer,
    set_learning_rate,
)
from trainables.models.base import PairModel
from trainables.models.registry import build_model
from trainables.resolve import resolve_config
from trainables.seeds import Stream, generator

__all__ = ["Training"]


class Training:
    """One run: data, network and optimizer, trained an epoch at a time.

    The same config on the same machine with the same number of threads gives the same numbers, in
    whatever process and after whatever else. A run that raised a `TrialFailure` is over.
    """

    def __init__(self, config: RunConfig, images: ImageSet, device: torch.device) -> None:
        """
        Args:
            config: A resolved config (see `resolve_config`).
            images: The training split of its source.
            device: Where to compute.

        Raises:
            DataError: If the images do not suffice for the pairs.
            TrainingError: If the device cannot honour the config.
            ValueError: If the config is not resolved, or its source is not that of the images.
        """
        check_device(config.training, device)
        if config.data.source != images.source or config != resolve_config(config):
            raise ValueError(f"the config is not resolved for images of '{images.source}'")
        self.config = config
        self.device = device
        self.fingerprint = images.fingerprint
        """Identifies the images trained on."""
        self.history: list[Epoch] = []
        """The numbers of every completed epoch."""
        self.kept: Epoch | None = None
        """The epoch whose state is kept; None before the first epoch's end."""
        prepare_device(config.training, device)
        self.pairs = draw_train_validation(images, config.data).to(device)
        """The pairs trained on and validated with, on the device."""
        self._compute = Compute(config, device)
        self.model = self._compute.place(build_model(config.model, config.training.training_seed))
        self.optimizer = build_optimizer(self.model, config.training)
        self._generator = generator(config.training.training_seed, Stream.EPOCHS)
        self._kept_state: dict[str, Tensor] = {}

    @property
    def epoch(self) -> int:
        """Completed epochs."""
        return len(self.history)

    @property
    def finished(self) -> bool:
        """Whether all epochs of the config are completed."""
        return self.epoch >= self.config.training.epochs

    @property
    def n_parameters(self) -> int:
        """The network's trainable parameters."""
        return self.model.n_parameters()

    def run_epoch(self) -> Epoch:
        """Trains for one epoch, validates, and keeps the state if it is the best so far.

        Returns:
            The epoch's numbers.

        Raises:
            NonFiniteLossError: If the training or validation loss is not finite.
            OutOfMemoryFailure: If the device's memory is exhausted.
            RuntimeError: If the run is finished.
        """
        if self.finished:
            raise RuntimeError("the run is finished")
        started = time.perf_counter()
        train_loss, train_error = self.train_epoch()
        val_loss, val_error = self.evaluate(self.pairs.validation)
        metrics = Epoch(
            epoch=self.epoch + 1,
            metrics={
                "train_loss": train_loss,
                "val_loss": val_loss,
                "train_error": train_error,
                "val_error": val_error,
            },
            seconds=time.perf_counter() - started,
        )
        self.complete_epoch(metrics)
        return metrics

    def complete_epoch(self, metrics: Epoch) -> None:
        """Records an epoch's numbers, and keeps the state if it is the best so far.

        Args:
            metrics: The numbers of the epoch that follows the last completed one.

        Raises:
            NonFiniteLossError: If the training or validation loss is not finite.
        """
        if not metrics.is_finite():
            raise NonFiniteLossError(metrics)
        if metrics.replaces(self.kept, DIGIT_PAIRS.rule):
            self.kept = metrics
            self._kept_state = self._model_state()
        self.history.append(metrics)

    def train_epoch(self) -> tuple[float, float]:
        """The steps of one epoch alone, neither validated nor recorded: `run_epoch` is the rest.

        Returns:
            Mean loss and share of pairs compared wrongly, each batch before its own update.

        Raises:
            OutOfMemoryFailure: If the device's memory is exhausted.
        """
        training = self.config.training
        prepare_device(training, self.device)
        dropouts = self.model.dropouts()
        epoch, keeps_PRF = self.begin_epoch()

        # Sums stay on the device until the epoch's end: reading them would wait for every step.
        sums = torch.zeros(2, dtype=torch.float64, device=self.device)
        self.model.train()
        with out_of_memory_translated(self.config.model.name):
            for start in range(0, len(epoch), training.batch_size):
                stop = start + training.batch_size
                for dropout, keep_PRF in zip(dropouts, keeps_PRF, strict=True):
                    dropout.keep_NF = keep_PRF[start:stop].flatten(0, 1)
                batch = epoch.rows(start, stop)
                loss, wrong = self._compute.forward(self.model, batch)
                self.optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                self.optimizer.step()
                sums += torch.stack([loss.detach().double() * len(batch), wrong.double()])
            loss_sum, wrong_sum = sums.tolist()
        return loss_sum / len(epoch), wrong_sum / len(epoch)

    def begin_epoch(self) -> tuple[Pairs, tuple[Tensor, ...]]:
        """Draws an epoch's random numbers and sets its learning rate.

        Returns:
            The epoch's pairs in the order of its steps, on the device; and for each dropout layer
            their masks (see `EpochDraws`).
        """
        learning_rate = learning_rate_of(self.config.training, self.epoch + 1)
        set_learning_rate(self.optimizer, learning_rate)
        train = self.pairs.train
        augment = self.config.data.augment
        draws = draw_epoch(self._generator, len(train), augment, self.model.dropouts())
        draws = draws.to(self.device)
        singles_NHW = train.x_N2HW.flatten(0, 1)
        return Pairs.of(singles_NHW, train.classes_N2.flatten(), draws.index_P2), draws.keep_PRF

    def evaluate(self, pairs: Pairs) -> tuple[float, float]:
        """The loss and the error of the network as it is now.

        Args:
            pairs: The pairs, on any device.

        Returns:
            Mean loss and share of pairs compared wrongly, in evaluation mode.

        Raises:
            OutOfMemoryFailure: If the device's memory is exhausted.
        """
        return self._compute.evaluate(self.model, pairs)

    def kept_model(self) -> PairModel:
        """A copy of the network in the state kept, in evaluation mode.

        Returns:
            The network, on the run's device.

        Raises:
            RuntimeError: If no epoch is completed yet.
        """
        if self.kept is None:
            raise RuntimeError("no state is kept before the first epoch's end")
        model = self._compute.place(build_model(self.config.model, 0))
        model.load_state_dict(self._kept_state)
        return model.eval()

    def evaluate_kept(self, pairs: Pairs) -> tuple[float, float]:
        """The loss and the error of the state kept.

        Args:
            pairs: The pairs, on any device.

        Returns:
            Mean loss and share of pairs compared wrongly, in evaluation mode.

        Raises:
            OutOfMemoryFailure: If the device's memory is exhausted.
            RuntimeError: If no epoch is completed yet.
        """
        return self._compute.evaluate(self.kept_model(), pairs)

    def state_dict(self) -> dict[str, Any]:
        """Everything that the epochs to come depend on besides config and data.

        Returns:
            Tensors and plain types. Tensors may be live: save them before the next epoch.
        """
        return {
            "model": self._model_state(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self._generator.get_state(),
            "history": [asdict(metrics) for metrics in self.history],
            "kept_model": self._kept_state,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes back, or on, to a state; what follows is the same to the bit as without it.

        Args:
            state: What `state_dict` gave in a run of the same config; left untouched.
        """
        self.model.load_state_dict(state["model"])
        restore_optimizer(self.optimizer, state["optimizer"])
        self._generator.set_state(state["generator"].cpu())
        self.history = [Epoch(**metrics) for metrics in state["history"]]
        self.kept = kept_epoch(self.history, DIGIT_PAIRS.rule)
        self._kept_state = copy.deepcopy(state["kept_model"])

    def _model_state(self) -> dict[str, Tensor]:
        """A copy of the network's state, each tensor with memory of its own.

        A copy by `copy.deepcopy`, or a file of the live tensors, would hold the memory that a
        tensor is a part of: in a batch of runs, that of all of them.
        """
        return {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
