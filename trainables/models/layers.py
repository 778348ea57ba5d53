"""Building blocks that several networks share."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

__all__ = ["ConvBlock", "Dropout", "DropoutRate", "global_average", "scaled"]

DropoutRate = Annotated[float, Field(ge=0, lt=1)]
"""Share of the features dropped in training."""

REPORT_WIDTH = 128


def scaled(n: int, width: int) -> int:
    """The size of a layer that has n units at the report's width.

    Args:
        n: Units at width 128.
        width: The width of the whole network.

    Returns:
        Units at that width, at least 1.
    """
    return max(1, round(n * width / REPORT_WIDTH))


def global_average(x_NCHW: Tensor) -> Tensor:
    """The mean over both image dimensions.

    Args:
        x_NCHW: (N, C, H, W).

    Returns:
        (N, C). A plain mean, since the gradient of torch's adaptive pooling is not deterministic on
        a GPU.
    """
    return x_NCHW.mean(dim=(-2, -1))


class ConvBlock(nn.Sequential):
    """3 x 3 convolution that keeps the image's size, batch normalisation, ReLU."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__(
            nn.Conv2d(n_in, n_out, kernel_size=3, padding=1), nn.BatchNorm2d(n_out), nn.ReLU()
        )


class Dropout(nn.Module):
    """Dropout whose mask is set from outside, so that a run's draws are its own.

    The training loop draws the masks of a whole epoch from the run's generator and sets ``keep_NF``
    before each step. Out of training mode the layer passes its input on.
    """

    keep_NF: Tensor | None
    """(N * rows_per_pair, n_features) float32 factors for the next batch: 0 or 1 / (1 - p)."""

    def __init__(self, p: float, n_features: int, rows_per_pair: int = 1) -> None:
        """
        Args:
            p: Share of the features dropped, 0 <= p < 1.
            n_features: Features of the input.
            rows_per_pair: Rows of the input for each pair: 2 in a trunk that sees both images.
        """
        super().__init__()
        self.p = p
        self.n_features = n_features
        self.rows_per_pair = rows_per_pair
        self.register_buffer("keep_NF", None, persistent=False)

    def draw(self, n_pairs: int, generator: torch.Generator) -> Tensor:
        """Masks for an epoch.

        Args:
            n_pairs: Pairs in the epoch.
            generator: The run's CPU generator.

        Returns:
            (n_pairs, rows_per_pair, n_features) float32 factors on the CPU: 0 or 1 / (1 - p).
        """
        draws = torch.rand(n_pairs, self.rows_per_pair, self.n_features, generator=generator)
        return (draws >= self.p).float() / (1 - self.p)

    def forward(self, x_NF: Tensor) -> Tensor:
        """Drops features.

        Args:
            x_NF: (N * rows_per_pair, n_features).

        Returns:
            The masked input in training mode, else the input.

        Raises:
            RuntimeError: If no mask was set in training mode.
        """
        if not self.training:
            return x_NF
        if self.keep_NF is None:
            raise RuntimeError("a dropout layer in training mode needs its mask set before a step")
        return x_NF * self.keep_NF

    def extra_repr(self) -> str:
        return f"p={self.p}, n_features={self.n_features}, rows_per_pair={self.rows_per_pair}"
