"""The report's small convolutional network."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from trainables.shipped.digit_pairs.models.base import Output, PairModel
from trainables.shipped.digit_pairs.models.layers import DropoutRate, Switch, scaled

__all__ = ["ConvNet"]


class ConvNet(PairModel):
    """Two convolutions with batch normalisation and max pooling, then two linear layers.

    Source:
        The study served here, section III-A.2.
    """

    # One value for each feature leaves no variance to normalise the flattened features by.
    smallest_batch = 2

    def __init__(
        self, width: int, dropout: DropoutRate = 0.5, test_time_dropout: Switch = False
    ) -> None:
        """
        Args:
            width: 128 gives the report's 16 and 20 channels and 100 hidden units.
            dropout: Share of the hidden units dropped in training, 0 <= dropout < 1.
            test_time_dropout: Whether they are dropped in evaluation, too.
        """
        super().__init__()
        n_first, n_second, n_hidden = (scaled(n, width) for n in (16, 20, 100))
        n_flat = n_second * 6 * 6
        self.conv1 = nn.Conv2d(2, n_first, kernel_size=5, padding=3)
        self.bn1 = nn.BatchNorm2d(n_first)
        self.conv2 = nn.Conv2d(n_first, n_second, kernel_size=3, padding=3)
        self.bn2 = nn.BatchNorm2d(n_second)
        self.bn3 = nn.BatchNorm1d(n_flat)
        self.fc1 = nn.Linear(n_flat, n_hidden)
        self.dropout = nn.Dropout(dropout)
        self.test_time_dropout = test_time_dropout
        self.fc2 = nn.Linear(n_hidden, 2)

    def forward(self, x_N2HW: Tensor) -> Output:
        # The same as pooling after ReLU, to the bit and in the gradients too, at less cost.
        x_NCHW = F.relu(F.max_pool2d(self.bn1(self.conv1(x_N2HW)), 2))
        x_NCHW = F.relu(F.max_pool2d(self.bn2(self.conv2(x_NCHW)), 2))
        x_NF = F.relu(self.fc1(self.bn3(x_NCHW.flatten(1))))
        is_dropping = self.training or self.test_time_dropout
        return Output(self.fc2(F.dropout(x_NF, self.dropout.p, is_dropping)), ())
