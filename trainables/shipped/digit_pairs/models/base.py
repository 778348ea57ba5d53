"""What every network here takes and gives."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from torch import Tensor, nn

__all__ = ["Output", "PairModel"]


class Output(NamedTuple):
    """What a network says about N pairs."""

    comparison_N2: Tensor
    """(N, 2) logits: first digit greater than the second, first digit at most the second."""
    digits: tuple[Tensor, ...]
    """One (N, 2, 10) tensor of logits for each auxiliary prediction: of the first image's digit and
    of the second's. Empty for a network without auxiliary heads."""


class PairModel(nn.Module):
    """Base of the networks.

    A subclass's constructor takes ``width`` and, as keywords with defaults, the options that a
    config may set; pydantic checks them against their annotations.
    """

    has_aux: ClassVar[bool] = False
    """Whether the network predicts the digits too."""
    smallest_batch: ClassVar[int] = 1
    """The fewest pairs that its batch normalisation can train on."""

    def forward(self, x_N2HW: Tensor) -> Output:
        """Compares the two images of each pair.

        Args:
            x_N2HW: (N, 2, 14, 14) float32 intensities, 0 to 255.

        Returns:
            The logits.
        """
        raise NotImplementedError

    def n_parameters(self) -> int:
        """The number of trainable parameters."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)
