"""Ten classes of digits by a small CNN: a task in one file."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

from trainables import Batch, Metric, Options, Split, Task

__all__ = ["Digits", "DigitsOptions"]

N_TRAIN = 1297
"""Images to train on and to validate with; the other 500 are the test."""


class DigitsOptions(Options):
    """What a file may set and search."""

    width: Annotated[int, Field(ge=1)] = 16
    """Channels of the first convolution; the second has twice as many."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Share of the features that is dropped before the last layer."""


class Digits(Task):
    """Which of ten digits an image of 8 x 8 shows, of scikit-learn's 1,797."""

    options: DigitsOptions
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="error", words="error", unit="fraction of images"),
        Metric(name="accuracy", words="accuracy", unit="fraction of images", maximize=True),
    )

    def data(self, split: Split) -> Batch | None:
        """The images as they are; what validates is held out of the training images."""
        if split == "val":
            return None
        found = load_digits()
        rows = slice(0, N_TRAIN) if split == "train" else slice(N_TRAIN, None)
        x = torch.tensor(found.images[rows], dtype=torch.float32).unsqueeze(1) / 16
        return {"x": x, "y": torch.tensor(found.target[rows])}

    def network(self) -> nn.Module:
        """Two convolutions, each halved by pooling, and a linear layer."""
        width = self.options.width
        first = (nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        second = (nn.Conv2d(width, 2 * width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        head = (nn.Flatten(), nn.Dropout(self.options.dropout), nn.Linear(8 * width, 10))
        return nn.Sequential(*first, *second, *head)

    def loss(self, network: nn.Module, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Cross entropy; an image is right or it is not."""
        logits = network(batch["x"])
        right = (logits.argmax(dim=1) == batch["y"]).float()
        return F.cross_entropy(logits, batch["y"]), {"error": 1 - right, "accuracy": right}
