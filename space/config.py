"""The config of one training run: data, model and training, typed, frozen and complete.

A `RunConfig` is everything that one run depends on besides the code and the machine. Search-space
files hold one as the fixed part of a study; each trial's parameters are laid over it.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "BENCHMARK_SEEDS",
    "CONFIRM_OFFSET",
    "OPTION_PATTERN",
    "PARAMETER_NAMES",
    "SEARCH_SEEDS",
    "SEED_KEYS",
    "DataConfig",
    "FrozenModel",
    "ModelConfig",
    "RunConfig",
    "TrainingConfig",
    "by_name",
    "config_path",
    "is_parameter",
]

# Benchmarks, searches and confirmations have blocks of seeds that never meet.
BENCHMARK_SEEDS = range(1_000)
"""What a benchmark may be run on."""
SEARCH_SEEDS = range(1_000, 1_000_000)
"""What a search's trials and their replicates are trained on."""
CONFIRM_OFFSET = SEARCH_SEEDS.stop
"""A confirmation's seeds lie so far above its search's, and so above every search's."""
SEED_KEYS = ("data.data_seed", "training.training_seed")
"""Where a config has its seeds: that of its pairs and their split, that of the training."""

Seed = Annotated[int, Field(ge=0, lt=2**63)]
OptionValue = bool | int | float | str


def later(default: Any) -> Any:
    """A setting that configs of older releases do not have: left out where it is the default."""
    return Field(default=default, exclude_if=lambda value: value == default)


class FrozenModel(BaseModel):
    """Base of every config type: immutable, unknown keys refused, no NaN or infinity.

    Types are strict (``true`` is no integer, ``"3"`` no number) but that an integer stands for a
    number: what a file says is what a run gets.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        protected_namespaces=(),
        use_attribute_docstrings=True,
    )


def by_name(value: Any) -> Any:
    """What a bare name stands for, where a name with options is expected."""
    return {"name": value} if isinstance(value, str) else value


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


class TrainingConfig(FrozenModel):
    """How a run is trained."""

    epochs: Annotated[int, Field(ge=1)] = 25
    """Passes over the training pairs."""
    batch_size: Annotated[int, Field(ge=1)] = 50
    """Pairs an optimizer step."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """The optimizer's learning rate in the first epoch, or after the warm-up."""
    learning_rate_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Factor on the learning rate after every epoch, or after every step_epochs with the schedule
    step; 1 keeps it constant. Of no effect with the schedule cosine."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """The optimizer's L2 coefficient; of adamw the decoupled weight decay."""
    optimizer: Literal["adam", "adamw", "sgd"] = later("adam")
    """What makes steps of gradients."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = later(0.9)
    """Of sgd; 0 is none."""
    schedule: Literal["exponential", "cosine", "step"] = later("exponential")
    """How the learning rate falls from epoch to epoch: by learning_rate_decay after each; by a half
    cosine to nearly 0 in the last; by learning_rate_decay after every step_epochs."""
    step_epochs: Annotated[int, Field(ge=1)] = later(10)
    """Epochs at one learning rate, with the schedule step."""
    warmup_epochs: Annotated[int, Field(ge=0)] = later(0)
    """Epochs at the start in which the learning rate rises in equal steps; the schedule follows."""
    clip_norm: Annotated[float, Field(gt=0)] | None = later(None)
    """The most that the gradients' norm over all parameters may be; larger ones are scaled."""
    aux_weight: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Total weight w of the auxiliary digit losses; the comparison loss gets 1 - w. Default: 0.6
    (the report's 0.6 / 0.4) for a model with auxiliary heads, 0 for one without."""
    training_seed: Seed = SEARCH_SEEDS.start
    """Draws the initial weights, the order of pairs, the augmentation and the dropout masks, each
    from a stream of its own; a search's is 1000 to 999999."""
    init_seed: Seed | None = later(None)
    """Draws the initial weights instead of training_seed."""
    order_seed: Seed | None = later(None)
    """Draws the order of pairs instead of training_seed."""
    augmentation_seed: Seed | None = later(None)
    """Draws the augmentation instead of training_seed."""
    dropout_seed: Seed | None = later(None)
    """Draws the dropout masks instead of training_seed."""
    protocol: Annotated[int, Field(ge=1)] | None = later(None)
    """What is drawn from which seed, as a version that a complete config has: runs of one seed are
    alike under one version only. Left out, today's; runs recorded without one are of version 1."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: the GPU that the worker was given, else the CPU."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16: mixed precision, on a GPU or on a CPU with AVX512_BF16 or AMX."""
    tf32: bool = False
    """TF32 matrix products and convolutions, on a GPU only."""


class RunConfig(FrozenModel):
    """Everything that one training run depends on besides the code and the machine."""

    data: DataConfig = Field(default_factory=DataConfig)
    """The pairs of digits."""
    model: ModelConfig
    """The network."""
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    """The optimisation."""

    def with_values(self, values: dict[str, Any]) -> RunConfig:
        """A copy with the settings named by dotted paths replaced, validated again.

        Args:
            values: Dotted path -> value, e.g. ``{"training.learning_rate": 1e-3,
                "model.options.dropout": 0.3}``.

        Returns:
            The new config.

        Raises:
            pydantic.ValidationError: If a path or a value is not allowed.
        """
        tree = self.model_dump(mode="json")
        for path, value in values.items():
            *parents, leaf = path.split(".")
            node = tree
            for parent in parents:
                node = node.setdefault(parent, {})
            node[leaf] = value
        return RunConfig.model_validate(tree)

    def value(self, path: str) -> Any:
        """The setting that a dotted path names; None where a model's option is left out."""
        found: Any = self
        for key in path.split("."):
            found = found.get(key) if isinstance(found, dict) else getattr(found, key)
        return found

    def config_hash(self) -> str:
        """16 hexadecimal digits that identify the config but for its data root and its device."""
        tree = self.model_dump(mode="json")
        del tree["data"]["root"], tree["training"]["device"]
        text = json.dumps(tree, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


OPTION_PATTERN = r"options\.[A-Za-z_][A-Za-z0-9_]*"
"""Names of parameters that search an argument of the model's constructor."""

_UNSEARCHED = {"epochs", "device", "protocol"}
_PATHS = {
    "model": "model.name",
    "width": "model.width",
    "augment": "data.augment",
} | {
    name: f"training.{name}"
    for name in TrainingConfig.model_fields
    if name not in _UNSEARCHED and not name.endswith("_seed")
}
_OPTION = re.compile(OPTION_PATTERN)

PARAMETER_NAMES = tuple(_PATHS)
"""Every searchable setting but the model's options."""


def is_parameter(name: str) -> bool:
    """Whether a setting of this name can be searched."""
    return name in _PATHS or _OPTION.fullmatch(name) is not None


def config_path(name: str) -> str:
    """The dotted path in a `RunConfig`, e.g. ``training.learning_rate``.

    Args:
        name: A name for which `is_parameter` holds.
    """
    return _PATHS.get(name, f"model.{name}")
