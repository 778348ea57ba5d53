"""The report's Siamese network, with and without auxiliary predictions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trainables.shipped.digit_pairs.data.images import N_CLASSES
from trainables.shipped.digit_pairs.models.base import Output, PairModel
from trainables.shipped.digit_pairs.models.deepconvnet import DeepTrunk
from trainables.shipped.digit_pairs.models.layers import DropoutRate, Switch

__all__ = ["Siamese", "SiameseAux"]


class Siamese(PairModel):
    """One trunk for both images; a linear layer compares the difference of their outputs.

    Both images of all pairs go through the trunk as one batch of 2N, so that batch normalisation
    takes its statistics over both; or, as an option, first all first images and then all second
    ones, each a batch of N with statistics of its own, of which both add to the running ones.

    Source:
        The study served here, section III-B and figure 2.
    """

    def __init__(
        self,
        width: int,
        dropout: DropoutRate = 0.5,
        separate_batch_statistics: Switch = False,
    ) -> None:
        """
        Args:
            width: Channels of the trunk's convolutions; the last has a quarter of them.
            dropout: Share of the pooled features dropped in training, 0 <= dropout < 1.
            separate_batch_statistics: Whether batch normalisation takes the statistics of first and
                of second images apart.
        """
        super().__init__()
        self.trunk = DeepTrunk(
            width, dropout, images_per_row=1, n_out=N_CLASSES, has_head=self.has_aux
        )
        self.fc = nn.Linear(N_CLASSES, 2)
        self.separate_batch_statistics = separate_batch_statistics

    def forward(self, x_N2HW: Tensor) -> Output:
        scores_N2F, head_digits_N2F = self._of_images(x_N2HW)
        comparison_N2 = self.fc(scores_N2F[:, 0] - scores_N2F[:, 1])
        if head_digits_N2F is None:
            return Output(comparison_N2, ())
        return Output(comparison_N2, (head_digits_N2F, scores_N2F))

    def _of_images(self, x_N2HW: Tensor) -> tuple[Tensor, Tensor | None]:
        """The trunk's outputs (N, 2, 10) for both images, and its head's or None."""
        if self.separate_batch_statistics and self.training:
            scores, heads = zip(*map(self.trunk, torch.split(x_N2HW, 1, dim=1)), strict=True)
            head_digits = None if heads[0] is None else torch.stack(heads, dim=1)
            return torch.stack(scores, dim=1), head_digits
        # Rows 2i and 2i + 1 are the images of pair i.
        joint, head = self.trunk(x_N2HW.reshape(-1, 1, *x_N2HW.shape[2:]))
        return joint.view(-1, 2, N_CLASSES), None if head is None else head.view(-1, 2, N_CLASSES)


class SiameseAux(Siamese):
    """`Siamese` whose trunk has an auxiliary head; the trunk's outputs predict the digits too.

    Source:
        The study served here, section IV-A.
    """

    has_aux = True
