"""The networks by name. A new one takes a file beside this one and a line in `MODELS`."""

from __future__ import annotations

from typing import Any

from space.errors import ModelError, nearest
from trainables.shipped.digit_pairs.config import ModelConfig
from trainables.shipped.digit_pairs.models.base import PairModel
from trainables.shipped.digit_pairs.models.convnet import ConvNet
from trainables.shipped.digit_pairs.models.deepconvnet import DeepConvNet, DeepConvNetAux
from trainables.shipped.digit_pairs.models.mlp import MLP
from trainables.shipped.digit_pairs.models.resnet import ResNet
from trainables.shipped.digit_pairs.models.siamese import Siamese, SiameseAux
from trainables.shipped.digit_pairs.options import check_options

__all__ = [
    "MODELS",
    "build_model",
    "check_model",
    "model_class",
]

MODELS: dict[str, type[PairModel]] = {
    "mlp": MLP,
    "convnet": ConvNet,
    "deepconvnet": DeepConvNet,
    "resnet": ResNet,
    "deepconvnet-aux": DeepConvNetAux,
    "siamese": Siamese,
    "siamese-aux": SiameseAux,
}
"""Name in a config -> class, in the order of the report's Table I."""


def model_class(name: str) -> type[PairModel]:
    """The class of a registered network.

    Args:
        name: Its name in a config.

    Returns:
        The class.

    Raises:
        ModelError: If no network has that name.
    """
    try:
        return MODELS[name]
    except KeyError:
        hint = nearest(name, MODELS)
        if name == "closed-form":  # A model in earlier releases.
            hint = "; closed-form is a trainable of its own: say trainable: closed-form"
        raise ModelError(
            f"model.name: there is no model '{name}' (there are: {', '.join(MODELS)}){hint}"
        ) from None


def check_model(config: ModelConfig) -> ModelConfig:
    """Checks the name and the options of a network and fills in the options left out.

    Args:
        config: The model config.

    Returns:
        The config with every option of the network spelled out.

    Raises:
        ModelError: If the name or an option is unknown, or a value is not allowed.
    """
    options = check_options(config, model_class(config.name))
    return config.model_copy(update={"options": options})


def build_model(config: ModelConfig) -> PairModel:
    """A network with fresh weights, drawn as torch's layers draw them by default.

    Args:
        config: The model config.

    Returns:
        The network on the CPU, in training mode.

    Raises:
        ModelError: If the name or an option is unknown, or a value is not allowed.
    """
    options: dict[str, Any] = check_options(config, model_class(config.name))
    try:
        return model_class(config.name)(config.width, **options)
    except RuntimeError as error:
        if "overflow" not in str(error):
            raise
        raise ModelError(
            f"model.width {config.width} gives '{config.name}' more weights than any memory can be "
            "addressed for; lower it"
        ) from error
