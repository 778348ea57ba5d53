"""The report's multi-layer perceptron."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from trainables.shipped.digit_pairs.data.images import SIDE
from trainables.shipped.digit_pairs.models.base import Output, PairModel
from trainables.shipped.digit_pairs.models.layers import scaled

__all__ = ["MLP"]


class MLP(PairModel):
    """392-350-250-200-20-2 at width 128, ReLU between the layers.

    Source:
        The study served here, section III-A.1.
    """

    def __init__(self, width: int) -> None:
        """
        Args:
            width: 128 gives the report's hidden layers; others scale them.
        """
        super().__init__()
        sizes = [2 * SIDE * SIDE, *(scaled(n, width) for n in (350, 250, 200, 20))]
        hidden = [layer for n, m in pairwise(sizes) for layer in (nn.Linear(n, m), nn.ReLU())]
        self.layers = nn.Sequential(*hidden, nn.Linear(sizes[-1], 2))

    def forward(self, x_N2HW: Tensor) -> Output:
        return Output(self.layers(x_N2HW.flatten(1)), ())
