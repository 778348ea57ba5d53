"""Spells out everything that a config leaves to defaults, and refuses what cannot be done."""

from __future__ import annotations

from space.errors import TrainingError
from trainables.contract.held_out import n_held_out
from trainables.seeds import PROTOCOL
from trainables.shipped.digit_pairs.config import DigitPairsConfig, ModelConfig
from trainables.shipped.digit_pairs.data.counts import (
    SourceName,
    default_n_pairs,
    n_epoch_pairs,
)

__all__ = ["DEFAULT_AUX_WEIGHT", "resolve_config"]

DEFAULT_AUX_WEIGHT = 0.6
"""Weight of the digits for a network that predicts them (the report's section IV-A)."""


def resolve_config(config: DigitPairsConfig, source: SourceName | None = None) -> DigitPairsConfig:
    """The same config with nothing left to a default that may change.

    Args:
        config: A config. A resolved one comes back equal.
        source: What ``data.source: auto`` means here; looked up where it is not given.

    Returns:
        The config with its source, numbers of pairs, auxiliary weight, model options and protocol
        filled in. The device is left open, for a worker to pick.

    Raises:
        DataError: If the data cannot be had.
        ModelError: If the model's name or an option is wrong.
        TrainingError: If the model or the device cannot honour a training setting.
    """
    from trainables.shipped.digit_pairs.data.sources import resolve_source
    from trainables.shipped.digit_pairs.models.registry import check_model, model_class

    model = check_model(config.model)
    network = model_class(model.name)
    if source is None and config.data.source == "auto":
        source = resolve_source(config.data)
    if config.training.protocol not in (None, PROTOCOL):
        raise TrainingError(
            f"training.protocol is {config.training.protocol}, and this release trains under "
            f"version {PROTOCOL} alone: leave it out, for runs that are not to be paired with those"
        )
    resolved = _complete(config, model, source, has_aux=network.has_aux)
    if resolved.training.device == "cpu":
        import torch

        from trainables.device import check_device

        # What "auto" and "cuda" find is known only to the worker, which may sit elsewhere.
        check_device(resolved.training, torch.device("cpu"))
    _check_last_batch(resolved, network.smallest_batch)
    return resolved


def _complete(
    config: DigitPairsConfig,
    model: ModelConfig,
    source: SourceName | None,
    *,
    has_aux: bool,
) -> DigitPairsConfig:
    """The config with all filled in that it left open."""
    named = config.data.source if config.data.source != "auto" else source
    if named is None:
        raise ValueError("data.source is auto, and nothing says what it means")
    data = config.data.model_copy(
        update={
            "source": named,
            "n_train_pairs": config.data.n_train_pairs or default_n_pairs(named, "train"),
            "n_test_pairs": config.data.n_test_pairs or default_n_pairs(named, "test"),
        }
    )
    aux_weight = config.training.aux_weight
    if aux_weight is None:
        aux_weight = DEFAULT_AUX_WEIGHT if has_aux else 0.0
    training = config.training.model_copy(update={"aux_weight": aux_weight, "protocol": PROTOCOL})
    if aux_weight > 0 and not has_aux:
        raise TrainingError(
            f"training.aux_weight is {aux_weight:g}, but '{model.name}' does not predict the "
            "digits: set it to 0, or choose a model with auxiliary heads"
        )
    return DigitPairsConfig(data=data, model=model, training=training)


def _check_last_batch(config: DigitPairsConfig, smallest: int) -> None:
    n_pairs = config.data.n_train_pairs or 0
    n_train = n_pairs - n_held_out(n_pairs, config.data.validation_fraction)
    batch_size = config.training.batch_size
    n_last = n_epoch_pairs(n_train, config.data.augment) % batch_size or batch_size
    if n_last < smallest:
        raise TrainingError(
            f"training.batch_size {batch_size} leaves {n_last} pair for an epoch's last batch, "
            f"but '{config.model.name}' normalises over at least {smallest}: choose another size"
        )
