"""Pairs of digits as a task: is the first digit at most the second?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, cast

import torch
from torch import Tensor, nn

from space.config import FrozenModel
from space.errors import DataError
from space.metrics import Metric
from trainables.contract.split_data import Batch, Split
from trainables.contract.stacked import STACKED
from trainables.contract.task import Task
from trainables.shipped.digit_pairs.config import DataConfig, DigitPairsConfig, ModelConfig
from trainables.shipped.digit_pairs.data.counts import default_n_pairs, n_epoch_pairs
from trainables.shipped.digit_pairs.data.sources import load_source, resolve_source
from trainables.shipped.digit_pairs.losses import is_wrong, pair_loss
from trainables.shipped.digit_pairs.models.base import Output
from trainables.shipped.digit_pairs.models.registry import build_model

__all__ = ["DigitPairs", "PairOptions"]


class PairOptions(FrozenModel):
    """What digit pairs depend on besides seeds and training."""

    data: DataConfig
    """Which pairs; its seed is the loop's matter."""
    model: ModelConfig
    """The network."""
    aux_weight: Annotated[float, STACKED] = 0.0
    """Total weight of the auxiliary digit losses."""


class DigitPairs(Task):
    """Samples are pairs: ``x`` (N, 2, 14, 14) float32 intensities from 0 to 255, ``classes`` (N, 2)
    int64 digits, and ``target`` (N,) int64, 1 where the first digit is at most the second, else 0.

    Source:
        The study served here, section II.
    """

    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="error", words="error", unit="fraction of pairs"),
        Metric("loss", unit="nats"),
    )
    options: PairOptions

    @classmethod
    def of(cls, config: DigitPairsConfig) -> DigitPairs:
        """The task of a resolved config."""
        weight = config.training.aux_weight or 0.0
        return cls(PairOptions(data=config.data, model=config.model, aux_weight=weight))

    @property
    def source(self) -> str:
        """MNIST or scikit-learn's digits."""
        return resolve_source(self.options.data)

    @property
    def validation_fraction(self) -> float:
        """As the config says."""
        return self.options.data.validation_fraction

    def data(self, split: Split) -> Batch | None:
        """The images of a split; see `load_source`."""
        return None if split == "val" else load_source(self.options.data, split).tensors

    def draw(self, data: Batch, split: Split, generator: torch.Generator) -> Batch:
        """Pairs drawn without replacement: no image occurs twice.

        Source:
            The study served here, section II (1,000 pairs each from MNIST's two splits).
        """
        config = self.options.data
        test = split == "test"
        asked = config.n_test_pairs if test else config.n_train_pairs
        n_pairs = asked or default_n_pairs(resolve_source(config), "test" if test else "train")
        n_images = len(data["label"])
        if 2 * n_pairs > n_images:
            raise DataError(
                f"data.n_{split}_pairs is {n_pairs}, but the {n_images} {split} images of "
                f"{self.source} suffice for {n_images // 2} pairs: ask for no more"
            )
        order = torch.randperm(n_images, generator=generator)
        return _pairs_of(data["image"], data["label"], order[: 2 * n_pairs].view(n_pairs, 2))

    def epoch(self, train: Batch, order: torch.Generator, augmentation: torch.Generator) -> Batch:
        """Every pair once or, with augmentation, every single image once as the first of a pair,
        with a second one drawn uniformly with replacement.

        Source:
            The study served here, section II-A (augmentation).
        """
        n = len(train["target"])
        augment = self.options.data.augment
        first = torch.randperm(n_epoch_pairs(n, augment), generator=order)
        if augment:
            second = torch.randint(2 * n, (2 * n,), generator=augmentation)
        else:  # Images 2i and 2i + 1 of the single ones are pair i.
            first, second = 2 * first, 2 * first + 1
        index_P2 = torch.stack([first, second], dim=1).to(train["target"].device)
        return _pairs_of(train["x"].flatten(0, 1), train["classes"].flatten(), index_P2)

    def network(self) -> nn.Module:
        """The network that the config names."""
        return build_model(self.options.model)

    def predict(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """Of (N, 2, 14, 14) float32 intensities from 0 to 255: the (N, 2) logits of the comparison,
        the second of which says that the first digit is at most the second."""
        return cast(Output, network(inputs)).comparison_N2

    def loss(self, network: nn.Module, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """See `pair_loss`; the error is the share of pairs that are compared wrongly."""
        output = cast(Output, network(batch["x"]))
        target = batch["target"]
        loss = pair_loss(output, batch["classes"], target, self.options.aux_weight)
        return loss, {"error": is_wrong(output, target)}


def _pairs_of(images_NHW: Tensor, labels_N: Tensor, index_P2: Tensor) -> Batch:
    """The pairs of images that an index names by their positions."""
    classes_P2 = labels_N[index_P2]
    target_P = (classes_P2[:, 0] <= classes_P2[:, 1]).long()
    return {"x": images_NHW[index_P2], "classes": classes_P2, "target": target_P}
