"""The operations of a network, and how many of them are on padding."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from space.config import ModelConfig
from trainables.flops import forward_flops, padding_share
from trainables.models import build_model


def _on_padding(n_in: int, n_out: int, side: int, kernel: int, padding: int) -> float:
    """Operations of a convolution on its padding, counted with images and kernels of ones."""
    kernels = torch.ones(1, 1, kernel, kernel)
    seen = F.conv2d(torch.ones(1, 1, side, side), kernels, padding=padding)
    return 2 * n_in * n_out * float((kernel**2 - seen).sum())


@pytest.mark.parametrize(
    ("name", "convolutions"),
    [
        ("mlp", []),
        ("convnet", [(2, 16, 14, 5, 3), (16, 20, 8, 3, 3)]),
        ("deepconvnet", [(2, 128, 14, 3, 1), *[(128, 128, 14, 3, 1)] * 18, (128, 32, 14, 3, 1)]),
    ],
)
def test_operations_on_padding_are_counted(
    name: str, convolutions: list[tuple[int, int, int, int, int]]
) -> None:
    model = build_model(ModelConfig(name=name, width=128), 0)
    expected = sum(_on_padding(*each) for each in convolutions)
    assert padding_share(model) * forward_flops(model) == pytest.approx(expected)
