"""Building blocks that several networks share."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from trainables.shipped.digit_pairs.options import LATER

__all__ = ["ConvBlock", "DropoutRate", "Switch", "global_average", "scaled"]

DropoutRate = Annotated[float, Field(ge=0, lt=1)]
"""Share of the features dropped in training."""

Switch = Annotated[bool, LATER]
"""An option that configs of older releases do not have."""

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
