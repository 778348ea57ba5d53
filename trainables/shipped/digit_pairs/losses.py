"""What a network of digit pairs minimises, and what it is judged by."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from trainables.shipped.digit_pairs.models.base import Output

__all__ = ["is_wrong", "pair_loss"]


def pair_loss(
    output: Output, classes_N2: Tensor, target_N: Tensor, aux_weight: float | Tensor
) -> Tensor:
    """The loss of N pairs: (1 - w) CE(comparison) + (w / 2) (CE(first digit) + CE(second digit)).

    The digit terms are averaged over the auxiliary predictions. They are computed even where their
    weight is 0, so that every run of a network has the same gradients to apply.

    Args:
        output: A network's logits for N pairs.
        classes_N2: (N, 2) int64 digits, 0 to 9.
        target_N: (N,) int64: 1 where the first digit is at most the second, else 0.
        aux_weight: The weight w of the digits, 0 <= w < 1, a number or a scalar tensor; of no
            effect without auxiliary predictions.

    Returns:
        A scalar, the mean over the pairs.

    Source:
        The study served here, section IV-A, with w = 0.6 by default.
    """
    comparison = F.cross_entropy(output.comparison_N2, target_N)
    if not output.digits:
        return comparison
    # The mean over the 2N images is half the sum of the means over first and second ones.
    classes = classes_N2.flatten()
    digits = [F.cross_entropy(logits_N2K.flatten(0, 1), classes) for logits_N2K in output.digits]
    return (1 - aux_weight) * comparison + aux_weight * torch.stack(digits).mean()


def is_wrong(output: Output, target_N: Tensor) -> Tensor:
    """Which of N pairs are compared wrongly.

    Args:
        output: A network's logits for N pairs.
        target_N: (N,) int64: 1 where the first digit is at most the second, else 0.

    Returns:
        (N,) bool on the device of the logits.
    """
    return output.comparison_N2.argmax(dim=1) != target_N
