"""The config of a run on pairs of digits: data, network and training."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from space.config import SEARCH_SEEDS, FrozenModel, NetworkConfig, Seed, TrainingConfig
from space.metrics import Measured, Metric

__all__ = [
    "DIGIT_PAIRS",
    "DataConfig",
    "DigitPairsConfig",
    "ModelConfig",
    "OptionValue",
    "PairTrainingConfig",
]

DIGIT_PAIRS = Measured(
    metrics=tuple(
        Metric(name=f"{split}_{name}", words=f"{words} {name}", unit=unit)
        for name, unit in (("error", "fraction of pairs"), ("loss", "nats"))
        for split, words in (("train", "train"), ("val", "validation"), ("test", "test"))
    ),
    kept_by=("val_error", "val_loss"),
)
"""The lowest validation error is kept, as in the study served here, section IV. The tie-break is
ours: 100 validation pairs give few distinct errors."""

OptionValue = bool | int | float | str

_OPTION = r"options\.[A-Za-z_][A-Za-z0-9_]*"
"""Names of parameters that search an argument of the model's constructor."""


class DataConfig(FrozenModel):
    """Which pairs of digits a run sees."""

    source: Literal["auto", "mnist", "digits"] = "auto"
    """mnist: torchvision's MNIST; digits: scikit-learn's bundled 8 x 8 digits; auto: MNIST where it
    is on disk or can be downloaded within a short time, else digits."""
    root: str | None = None
    """Data root in torchvision's layout (it holds MNIST/raw); default: $SEARCH_DATA_ROOT, else
    data/ under the working directory."""
    n_train_pairs: Annotated[int, Field(ge=2)] | None = None
    """Pairs drawn from the source's training images; default: 1000 (mnist), 600 (digits)."""
    n_test_pairs: Annotated[int, Field(ge=1)] | None = None
    """Pairs drawn from the source's test images; default: 1000 (mnist), 298 (digits)."""
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the training pairs held out for validation."""
    augment: bool = False
    """On-the-fly pair augmentation: an epoch visits each single training image once as the first of
    a pair, with a second one drawn uniformly at random with replacement."""
    data_seed: Seed = SEARCH_SEEDS.start
    """Draws the pairs and the train/validation split; a search's is 1000 to 999999, since 0 to 999
    are for benchmarks."""


class ModelConfig(FrozenModel):
    """Which network a run trains."""

    name: str
    """A registered model; `python -m trainables` lists them."""
    width: Annotated[int, Field(ge=1)] = 128
    """Channels of the network's widest repeated layer; 128 is the report's."""
    options: dict[str, OptionValue] = Field(default_factory=dict)
    """Further arguments of that model's constructor, e.g. {dropout: 0.5}."""


class PairTrainingConfig(TrainingConfig):
    """How a run is trained."""

    aux_weight: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Total weight w of the auxiliary digit losses; the comparison loss gets 1 - w. Default: 0.6
    (the report's 0.6 / 0.4) for a model with auxiliary heads, 0 for one without."""


class DigitPairsConfig(NetworkConfig):
    """Everything that one run on pairs of digits depends on besides the code and the machine."""

    data: DataConfig = Field(default_factory=DataConfig)
    """The pairs of digits."""
    model: ModelConfig
    """The network."""
    training: PairTrainingConfig = Field(default_factory=PairTrainingConfig)
    """The optimisation."""

    measured: ClassVar[Measured] = DIGIT_PAIRS
    PATTERNS: ClassVar[Mapping[str, str]] = {"options.NAME": _OPTION}

    def kind(self) -> dict[str, Any]:
        """All but what is a number a run: seeds, rates and decays, auxiliary weights, epochs."""
        tree = self.model_dump(mode="json")
        data, model, training = tree["data"], tree["model"], tree["training"]
        return {
            "model": model.pop("name"),
            **model,
            **{k: data[k] for k in ("source", "n_train_pairs", "validation_fraction", "augment")},
            **{k: training[k] for k in ("batch_size", "device", "precision", "tf32")},
        }

    @classmethod
    def searchable(cls) -> dict[str, str]:
        """The network's name and width, the augmentation, and the settings of training."""
        of_training = super().searchable()
        return {
            "model": "model.name",
            "width": "model.width",
            "augment": "data.augment",
            **{name: path for name, path in of_training.items() if path.startswith("training.")},
        }

    @classmethod
    def path_of(cls, name: str) -> str | None:
        """The path of a setting's, or of an argument of the model's constructor."""
        return f"model.{name}" if re.fullmatch(_OPTION, name) else super().path_of(name)
