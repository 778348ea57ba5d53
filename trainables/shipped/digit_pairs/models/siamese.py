"""The report's Siamese network, with and without auxiliary predictions."""

from __future__ import annotations

from torch import Tensor, nn

from trainables.shipped.digit_pairs.data.images import N_CLASSES
from trainables.shipped.digit_pairs.models.base import Output, PairModel
from trainables.shipped.digit_pairs.models.deepconvnet import DeepTrunk
from trainables.shipped.digit_pairs.models.layers import DropoutRate

__all__ = ["Siamese", "SiameseAux"]


class Siamese(PairModel):
    """One trunk for both images; a linear layer compares the difference of their outputs.

    Both images of all pairs go through the trunk as one batch of 2N, so that batch normalisation
    takes its statistics over both.

    Source:
        The study served here, section III-B and figure 2.
    """

    def __init__(self, width: int, dropout: DropoutRate = 0.5) -> None:
        """
        Args:
            width: Channels of the trunk's convolutions; the last has a quarter of them.
            dropout: Share of the pooled features dropped in training, 0 <= dropout < 1.
        """
        super().__init__()
        self.trunk = DeepTrunk(
            width, dropout, images_per_row=1, n_out=N_CLASSES, has_head=self.has_aux
        )
        self.fc = nn.Linear(N_CLASSES, 2)

    def forward(self, x_N2HW: Tensor) -> Output:
        # Rows 2i and 2i + 1 are the images of pair i.
        scores, head_digits = self.trunk(x_N2HW.reshape(-1, 1, *x_N2HW.shape[2:]))
        scores_N2F = scores.view(-1, 2, N_CLASSES)
        comparison_N2 = self.fc(scores_N2F[:, 0] - scores_N2F[:, 1])
        if head_digits is None:
            return Output(comparison_N2, ())
        return Output(comparison_N2, (head_digits.view(-1, 2, N_CLASSES), scores_N2F))


class SiameseAux(Siamese):
    """`Siamese` whose trunk has an auxiliary head; the trunk's outputs predict the digits too.

    Source:
        The study served here, section IV-A.
    """

    has_aux = True
