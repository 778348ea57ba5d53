"""What a study steps through, whichever model it is."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from space.config import ModelConfig, RunConfig
from space.epochs import Epoch
from trainables.closed_form import CLOSED_FORM, ClosedForm
from trainables.digit_pairs.resolve import resolve_config

if TYPE_CHECKING:
    from trainables.loop.training import Training
    from trainables.split_data import SplitData

__all__ = ["Run", "count_parameters", "open_run"]


class Run(Protocol):
    """One training run, an epoch at a time. See `Training` for what each member means."""

    config: RunConfig
    fingerprint: str
    history: list[Epoch]
    kept: Epoch | None

    @property
    def n_parameters(self) -> int:
        """Trainable parameters."""

    @property
    def epoch(self) -> int:
        """Completed epochs."""

    @property
    def finished(self) -> bool:
        """Whether all epochs of the config are completed."""

    def run_epoch(self) -> Epoch:
        """Runs one epoch.

        Returns:
            Its numbers.

        Raises:
            TrialFailure: If the run cannot go on.
        """

    def state_dict(self) -> dict[str, Any]:
        """Everything that the epochs to come depend on besides config and data.

        Returns:
            Tensors and plain types, possibly live: save them before the next epoch.
        """

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes back, or on, to a state.

        Args:
            state: What `state_dict` gave in a run of the same config; left untouched.
        """


def open_run(config: RunConfig, data: SplitData | None = None) -> ClosedForm | Training:
    """A run at its beginning.

    Args:
        config: A resolved config (see `resolve_config`).
        data: The training split of its source; loaded where it is not given and needed.

    Returns:
        A `ClosedForm` for the model ``closed-form``, else a `Training` on the device that the
        config means in this process.

    Raises:
        DataError: If the data cannot be had or do not suffice.
        TrainingError: If the config's device is not there or cannot honour its settings.
        ValueError: If the config is not resolved, or its source is not that of the data.
    """
    if config.model.name == CLOSED_FORM:
        return ClosedForm(config)
    # A run that needs no PyTorch does not wait for it.
    from trainables.device import pick_device
    from trainables.digit_pairs.task import DigitPairs
    from trainables.loop.training import Training

    task = DigitPairs.of(config)
    data = data or task.load("train")
    if config.data.source != data.source or config != resolve_config(config):
        raise ValueError(f"the config is not resolved for data of '{data.source}'")
    return Training(task, config, data, pick_device(config.training.device))


def count_parameters(config: ModelConfig) -> int:
    """The trainable parameters of a network, without giving it memory.

    Args:
        config: A model config; a closed form has none.

    Raises:
        ModelError: If the model's name or an option is wrong.
    """
    if config.name == CLOSED_FORM:
        return 0
    return _count(config.model_dump_json())


@lru_cache(maxsize=256)
def _count(config_json: str) -> int:
    import torch

    from trainables.digit_pairs.models.registry import build_model

    with torch.device("meta"):
        return build_model(ModelConfig.model_validate_json(config_json)).n_parameters()
