"""The report's deep convolutional network, with and without an auxiliary head."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from trainables.shipped.digit_pairs.data.images import N_CLASSES, SIDE
from trainables.shipped.digit_pairs.models.base import Output, PairModel
from trainables.shipped.digit_pairs.models.layers import (
    ConvBlock,
    DropoutRate,
    global_average,
    scaled,
)

__all__ = ["DeepConvNet", "DeepConvNetAux", "DeepTrunk"]

N_BLOCKS_BEFORE_HEAD = 10
N_BLOCKS_AFTER_HEAD = 9


class DeepTrunk(nn.Module):
    """Twenty convolutions, global average pooling, dropout and a linear layer.

    The last convolution has a quarter of the width. The auxiliary head, where there is one, takes
    the tenth convolution's output.

    Source:
        The study served here, section III-A.3; the head: section IV-A.
    """

    def __init__(
        self,
        width: int,
        dropout: float,
        *,
        images_per_row: int,
        n_out: int,
        has_head: bool,
    ) -> None:
        """
        Args:
            width: Channels of all convolutions but the last.
            dropout: Share of the pooled features dropped in training.
            images_per_row: Images stacked as channels: 2, or 1 where a pair makes two rows.
            n_out: Outputs of the last linear layer.
            has_head: Whether there is an auxiliary head.
        """
        super().__init__()
        n_last = scaled(32, width)
        early = [ConvBlock(width, width) for _ in range(N_BLOCKS_BEFORE_HEAD - 1)]
        late = [ConvBlock(width, width) for _ in range(N_BLOCKS_AFTER_HEAD)]
        self.early = nn.Sequential(ConvBlock(images_per_row, width), *early)
        self.late = nn.Sequential(*late, ConvBlock(width, n_last))
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(n_last, n_out)
        self.head: nn.Linear | None = None
        if has_head:
            self.head = nn.Linear(width * (SIDE // 2) ** 2, images_per_row * N_CLASSES)

    def forward(self, x_NCHW: Tensor) -> tuple[Tensor, Tensor | None]:
        """Runs the trunk.

        Args:
            x_NCHW: (N, images_per_row, 14, 14) float32.

        Returns:
            (N, n_out) outputs, and the head's (N, 10 * images_per_row) logits or None.
        """
        x_NCHW = self.early(x_NCHW)
        digits = None if self.head is None else self.head(F.avg_pool2d(x_NCHW, 2).flatten(1))
        x_NF = self.dropout(global_average(self.late(x_NCHW)))
        return self.fc(x_NF), digits


class DeepConvNet(PairModel):
    """The trunk over both images as two channels.

    Source:
        The study served here, section III-A.3.
    """

    def __init__(self, width: int, dropout: DropoutRate = 0.5) -> None:
        """
        Args:
            width: Channels of the convolutions; the last has a quarter of them.
            dropout: Share of the pooled features dropped in training, 0 <= dropout < 1.
        """
        super().__init__()
        self.trunk = DeepTrunk(width, dropout, images_per_row=2, n_out=2, has_head=self.has_aux)

    def forward(self, x_N2HW: Tensor) -> Output:
        comparison_N2, digits = self.trunk(x_N2HW)
        return Output(comparison_N2, () if digits is None else (digits.view(-1, 2, N_CLASSES),))


class DeepConvNetAux(DeepConvNet):
    """`DeepConvNet` with an auxiliary head that predicts both digits.

    Source:
        The study served here, section IV-A.
    """

    has_aux = True
