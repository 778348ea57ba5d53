"""The loss against the formula written out."""

from __future__ import annotations

import math

import pytest
import torch

from trainables.shipped.digit_pairs.losses import is_wrong, pair_loss
from trainables.shipped.digit_pairs.models.base import Output

N = 4
CLASSES_N2 = torch.tensor([[3, 7], [9, 0], [5, 5], [1, 2]])
TARGET_N = torch.tensor([1, 0, 1, 1])


def _random_output(n_predictions: int) -> Output:
    generator = torch.Generator().manual_seed(5)
    comparison_N2 = torch.randn(N, 2, generator=generator)
    digits = tuple(torch.randn(N, 2, 10, generator=generator) for _ in range(n_predictions))
    return Output(comparison_N2, digits)


def _cross_entropy(logits: list[float], target: int) -> float:
    return math.log(sum(math.exp(x) for x in logits)) - logits[target]


def _mean_ce(logits: torch.Tensor, target: torch.Tensor) -> float:
    rows = zip(logits.tolist(), target.tolist(), strict=True)
    return sum(_cross_entropy(row, t) for row, t in rows) / len(target)


@pytest.mark.parametrize("n_predictions", [1, 2])
@pytest.mark.parametrize("w", [0.0, 0.3, 0.6])
def test_weighted_loss(n_predictions: int, w: float) -> None:
    output = _random_output(n_predictions)
    expected = (1 - w) * _mean_ce(output.comparison_N2, TARGET_N)
    for digits in output.digits:
        first = _mean_ce(digits[:, 0], CLASSES_N2[:, 0])
        second = _mean_ce(digits[:, 1], CLASSES_N2[:, 1])
        expected += w / 2 * (first + second) / n_predictions
    found = pair_loss(output, CLASSES_N2, TARGET_N, w).item()
    assert found == pytest.approx(expected, rel=1e-5)


def test_loss_without_auxiliary_predictions() -> None:
    output = _random_output(0)
    expected = _mean_ce(output.comparison_N2, TARGET_N)
    assert pair_loss(output, CLASSES_N2, TARGET_N, 0.0).item() == pytest.approx(expected, rel=1e-5)


def test_heads_have_gradients_even_at_weight_zero() -> None:
    output = _random_output(1)
    output.digits[0].requires_grad_()
    pair_loss(output, CLASSES_N2, TARGET_N, 0.0).backward()
    assert output.digits[0].grad is not None
    assert not output.digits[0].grad.any()


def test_which_are_wrong() -> None:
    comparison_N2 = torch.tensor([[0.0, 1.0], [0.0, 1.0], [2.0, 1.0], [-2.0, -1.0]])
    assert is_wrong(Output(comparison_N2, ()), TARGET_N).tolist() == [False, True, True, False]
