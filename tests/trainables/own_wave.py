"""A task without a kink: runs trained as one model stay as close to each alone as rounding is."""

import torch
from torch import nn

from trainables import Metric, Options, Task


class WaveOptions(Options):
    """Nothing."""


class Wave(Task):
    """A wave on a line."""

    options: WaveOptions
    metrics = (Metric("error"),)

    def data(self, split):
        """64 points and the heights above them."""
        if split == "val":
            return None
        x = torch.linspace(-2, 2, 64).unsqueeze(1)
        return {"x": x, "y": x.sin()}

    def network(self):
        """Smooth, and flat at first."""
        last = nn.Linear(8, 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        return nn.Sequential(nn.Linear(1, 8), nn.Tanh(), last)

    def loss(self, network, batch):
        """The square of the distance, and the distance."""
        distance = network(batch["x"]) - batch["y"]
        return distance.square().mean(), {"error": distance.abs().squeeze(1)}
