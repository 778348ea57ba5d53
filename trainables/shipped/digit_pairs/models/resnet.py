"""The report's residual network."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from trainables.shipped.digit_pairs.models.base import Output, PairModel
from trainables.shipped.digit_pairs.models.layers import DropoutRate, global_average

__all__ = ["ResNet"]

N_BLOCKS = 10
EXPANSION = 4


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions beside a shortcut, ReLU after the sum.

    Source:
        The study served here, section III-A.4 and figure 1.
    """

    def __init__(self, n_in: int, width: int) -> None:
        """
        Args:
            n_in: Channels of the input.
            width: Channels of the inner convolutions; the output has four times as many.
        """
        super().__init__()
        n_out = EXPANSION * width
        self.body = nn.Sequential(
            nn.Conv2d(n_in, width, kernel_size=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, kernel_size=3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, n_out, kernel_size=1),
            nn.BatchNorm2d(n_out),
        )
        self.shortcut: nn.Module = nn.Identity()
        if n_in != n_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(n_in, n_out, kernel_size=1), nn.BatchNorm2d(n_out)
            )

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Runs the block.

        Args:
            x_NCHW: (N, n_in, H, W) float32.

        Returns:
            (N, 4 * width, H, W) float32.
        """
        return F.relu(self.body(x_NCHW) + self.shortcut(x_NCHW))


class ResNet(PairModel):
    """Ten bottleneck blocks, global average pooling, dropout and a linear layer.

    Source:
        The study served here, section III-A.4.
    """

    def __init__(self, width: int, dropout: DropoutRate = 0.5) -> None:
        """
        Args:
            width: Channels inside a block; four times as many between blocks.
            dropout: Share of the pooled features dropped in training, 0 <= dropout < 1.
        """
        super().__init__()
        n_out = EXPANSION * width
        others = [Bottleneck(n_out, width) for _ in range(N_BLOCKS - 1)]
        self.blocks = nn.Sequential(Bottleneck(2, width), *others)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(n_out, 2)

    def forward(self, x_N2HW: Tensor) -> Output:
        return Output(self.fc(self.dropout(global_average(self.blocks(x_N2HW)))), ())
