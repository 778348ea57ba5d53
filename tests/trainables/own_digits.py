"""A task as a user would write it: ten classes of scikit-learn's digits."""

from typing import Annotated

import torch
from pydantic import Field
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

from trainables import Metric, Options, Task


class DigitsOptions(Options):
    """What a file may set and search."""

    width: Annotated[int, Field(ge=1)] = 4
    """Channels."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Share of the features that is dropped."""


class Digits(Task):
    """Which of ten digits an image of 8 x 8 shows."""

    options: DigitsOptions
    metrics = (Metric("accuracy", maximize=True),)

    def data(self, split):
        """The first 300 images are trained on, 200 others are the test."""
        if split == "val":
            return None
        found = load_digits()
        rows = slice(0, 300) if split == "train" else slice(300, 500)
        x = torch.tensor(found.images[rows], dtype=torch.float32).unsqueeze(1) / 16
        return {"x": x, "y": torch.tensor(found.target[rows])}

    def network(self):
        """A small CNN."""
        width = self.options.width
        features = (nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
        head = (nn.Flatten(), nn.Dropout(self.options.dropout), nn.Linear(16 * width, 10))
        return nn.Sequential(*features, nn.MaxPool2d(2), *head)

    def loss(self, network, batch):
        """Cross entropy; an image is right or it is not."""
        logits = network(batch["x"])
        right = (logits.argmax(dim=1) == batch["y"]).float()
        return F.cross_entropy(logits, batch["y"]), {"accuracy": right}
