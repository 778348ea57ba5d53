"""The config of one training run: a trainable and its settings, typed, frozen and complete.

A `RunConfig` is everything that one run depends on besides the machine. Which settings there are is
the trainable's to say: its config is a `RunConfig` with sections of its own. Search-space files
hold one as the fixed part of a study; each trial's parameters are laid over it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field

from space.metrics import UNKNOWN, Measured

__all__ = [
    "BENCHMARK_SEEDS",
    "CONFIRM_OFFSET",
    "DEFAULT_TRAINABLE",
    "ELSEWHERE",
    "SEARCH_SEEDS",
    "SEED_KEYS",
    "AnyData",
    "AnyTraining",
    "DataSettings",
    "FrozenModel",
    "NetworkConfig",
    "Options",
    "RecordedConfig",
    "RunConfig",
    "Seed",
    "TrainingConfig",
    "TrainingSettings",
    "by_name",
]

# Benchmarks, searches and confirmations have blocks of seeds that never meet.
BENCHMARK_SEEDS = range(1_000)
"""What a benchmark may be run on."""
SEARCH_SEEDS = range(1_000, 1_000_000)
"""What a search's trials and their replicates are trained on."""
CONFIRM_OFFSET = SEARCH_SEEDS.stop
"""A confirmation's seeds lie so far above its search's, and so above every search's."""
SEED_KEYS = ("data.data_seed", "training.training_seed")
"""Where a config has its seeds: that of its data and their split, that of the training."""

Seed = Annotated[int, Field(ge=0, lt=2**63)]


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
    )


def by_name(value: Any) -> Any:
    """What a bare name stands for, where a name with options is expected."""
    return {"name": value} if isinstance(value, str) else value


DEFAULT_TRAINABLE = "digit-pairs"
"""What is trained where a file does not say."""
ELSEWHERE = ("data.root", "training.device")
"""Where a run finds its data and computes: not what it computes."""


class Options(FrozenModel):
    """Base of a trainable's own options: their names, types, ranges and defaults.

    A field's docstring is what editors and mistakes say of it. Every field can be searched by its
    name.
    """


class DataSettings(FrozenModel):
    """Which data a run sees."""

    data_seed: Seed = SEARCH_SEEDS.start
    """Draws what a run sees of the data; a search's is 1000 to 999999, since 0 to 999 are for
    benchmarks."""


class TrainingSettings(FrozenModel):
    """How a run is trained."""

    epochs: Annotated[int, Field(ge=1)] = 25
    """The most that a run may train."""
    training_seed: Seed = SEARCH_SEEDS.start
    """Draws all else that is random; a search's is 1000 to 999999."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: the GPU that the worker was given, else the CPU."""


class TrainingConfig(FrozenModel):
    """How a run of a network is trained."""

    epochs: Annotated[int, Field(ge=1)] = 25
    """Passes over the training samples."""
    batch_size: Annotated[int, Field(ge=1)] = 50
    """Samples an optimizer step."""
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
    training_seed: Seed = SEARCH_SEEDS.start
    """Draws the initial weights, the order of samples, the augmentation and the dropout masks, each
    from a stream of its own; a search's is 1000 to 999999."""
    init_seed: Seed | None = later(None)
    """Draws the initial weights instead of training_seed."""
    order_seed: Seed | None = later(None)
    """Draws the order of samples instead of training_seed."""
    augmentation_seed: Seed | None = later(None)
    """Draws the augmentation instead of training_seed."""
    dropout_seed: Seed | None = later(None)
    """Draws the dropout masks instead of training_seed."""
    shuffle: bool = later(True)
    """Whether every epoch has an order of samples of its own; false: all have the first one's."""
    selection: Literal["metric", "loss"] = later("metric")
    """Which epoch's state is kept: by metric, the best by the trainable's first metric on the
    validation samples, of equal ones by the loss; by loss, that of the lowest validation loss."""
    protocol: Annotated[int, Field(ge=1)] | None = later(None)
    """What is drawn from which seed, as a version that a complete config has: runs of one seed are
    alike under one version only. Left out, today's; runs recorded without one are of version 1."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: the GPU that the worker was given, else the CPU."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16: mixed precision, on a GPU or on a CPU with AVX512_BF16 or AMX."""
    tf32: bool = False
    """TF32 matrix products and convolutions, on a GPU only."""


class AnyData(Protocol):
    """The least that a config's section ``data`` has.

    Where every run draws samples of the test split afresh, by its data seed, the first setting
    whose name begins with ``n_test_`` says how many.
    """

    @property
    def data_seed(self) -> int: ...


class AnyTraining(Protocol):
    """The least that a config's section ``training`` has."""

    @property
    def epochs(self) -> int: ...

    @property
    def training_seed(self) -> int: ...

    @property
    def device(self) -> Literal["auto", "cpu", "cuda"]: ...


class RunConfig(FrozenModel):
    """Everything that one training run depends on besides the machine.

    A trainable's config adds its sections; each has ``data`` with a ``data_seed``, and ``training``
    with ``epochs``, ``training_seed`` and ``device``.
    """

    trainable: Annotated[str, Field(exclude_if=lambda name: name == DEFAULT_TRAINABLE)] = (
        DEFAULT_TRAINABLE
    )
    """What is trained: the name of a shipped trainable, `file.py:Name` or `package.module:Name`. A
    complete config has behind that, after an @, 16 hexadecimal digits of the file's text."""
    if TYPE_CHECKING:
        data: AnyData
        training: AnyTraining

    measured: ClassVar[Measured] = UNKNOWN
    """What is measured of its runs."""
    PATTERNS: ClassVar[Mapping[str, str]] = {}
    """Further names of parameters that `path_of` knows: as people write them -> as a regular
    expression."""

    @property
    def what(self) -> str:
        """What is trained, in a word: a network where the trainable has several."""
        return str(self.value("model.name") or self.trainable.partition("@")[0])

    @property
    def selection(self) -> str:
        """By what the state that a run keeps is chosen: see `TrainingConfig.selection`."""
        return str(self.value("training.selection") or "metric")

    @classmethod
    def sections(cls) -> dict[str, type[FrozenModel]]:
        """The config's sections, by name."""
        return {
            name: field.annotation
            for name, field in cls.model_fields.items()
            if isinstance(field.annotation, type) and issubclass(field.annotation, FrozenModel)
        }

    @classmethod
    def searchable(cls) -> dict[str, str]:
        """Every setting that can be searched: name of its parameter -> dotted path."""
        return {
            name: f"{section}.{name}"
            for section, settings in cls.sections().items()
            if section != "data"
            for name in settings.model_fields
            if name not in ("epochs", "device", "protocol") and not name.endswith("_seed")
        }

    @classmethod
    def path_of(cls, name: str) -> str | None:
        """The dotted path of the setting that a parameter of this name searches, if any."""
        return cls.searchable().get(name)

    @classmethod
    def searched(cls, name: str) -> str:
        """The dotted path for a name of which `path_of` knows one."""
        path = cls.path_of(name)
        if path is None:
            raise ValueError(f"no setting is searched by the name {name!r}")
        return path

    def with_values(self, values: Mapping[str, Any]) -> Self:
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
        return self.model_validate(tree)

    def value(self, path: str) -> Any:
        """The setting that a dotted path names; None where there is none."""
        found: Any = self
        for key in path.split("."):
            found = found.get(key) if isinstance(found, dict) else getattr(found, key, None)
        return found

    def kind(self) -> dict[str, Any]:
        """What runs must have in common to be trained as one model: equal for those that do."""
        return self.model_dump(mode="json")

    def without_place(self) -> Self:
        """The config as it holds on any machine: without a root for its data."""
        return self.with_values({"data.root": None}) if self.value("data.root") else self

    def with_seeds_shifted(self, offset: int) -> Self:
        """The same config on other seeds.

        Args:
            offset: What is added to each seed of `SEED_KEYS`.
        """
        if not offset:
            return self
        return self.with_values({key: self.value(key) + offset for key in SEED_KEYS})

    def config_hash(self) -> str:
        """16 hexadecimal digits that identify the config but for `ELSEWHERE`."""
        tree = self.model_dump(mode="json")
        for path in ELSEWHERE:
            section, name = path.split(".")
            tree[section].pop(name, None)
        text = json.dumps(tree, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class NetworkConfig(RunConfig):
    """The config of a run of a network, whose section ``training`` has the loop's settings."""

    if TYPE_CHECKING:
        training: TrainingConfig


class _AnySettings(FrozenModel):
    """Settings of which only these are known."""

    model_config = ConfigDict(extra="allow")


class _RecordedData(DataSettings, _AnySettings):
    """Recorded settings of data."""


class _RecordedTraining(TrainingSettings, _AnySettings):
    """Recorded settings of training."""

    @property
    def is_of_a_network(self) -> bool:
        """Whether they are those of a `TrainingConfig`, by the settings that none leaves out."""
        kept = {name for name, field in TrainingConfig.model_fields.items() if not field.exclude_if}
        return kept <= self.model_dump().keys()


class RecordedConfig(RunConfig):
    """A config as it was recorded, for readers, who need not have what it trains."""

    model_config = ConfigDict(extra="allow")

    data: _RecordedData = Field(default_factory=_RecordedData)
    """The data."""
    options: dict[str, Any] = Field(default_factory=dict, exclude_if=lambda found: not found)
    """The options of a user's own."""
    training: _RecordedTraining = Field(default_factory=_RecordedTraining)
    """The training."""

    @classmethod
    def path_of(cls, name: str) -> str:
        """Where a parameter of this name was most likely laid."""
        is_ours = name in TrainingConfig.model_fields
        return name if "." in name else f"{'training' if is_ours else 'options'}.{name}"

    def value(self, path: str) -> Any:
        """As of any config: what a network's training leaves out has its default."""
        found = super().value(path)
        section, _, name = path.partition(".")
        if found is None and section == "training" and self.training.is_of_a_network:
            field = TrainingConfig.model_fields.get(name)
            return None if field is None else field.default
        return found
