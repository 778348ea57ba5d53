"""The operations of a network, and how many of them are on padding."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tests.benchmarks.training import steps
from tests.benchmarks.training.steps import padding_share, step_flops
from trainables.shipped.digit_pairs.config import ModelConfig
from trainables.shipped.digit_pairs.flops import forward_flops
from trainables.shipped.digit_pairs.models import build_model


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
    model = build_model(ModelConfig(name=name, width=128))
    expected = sum(_on_padding(*each) for each in convolutions)
    assert padding_share(model) * forward_flops(model) == pytest.approx(expected)


def test_a_step_s_operations_and_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "GEMM_SIZES", (64,))
    found = steps.measure("siamese-aux", 4, 6, 1)
    forward = 6 * forward_flops(build_model(ModelConfig(name="siamese-aux", width=4)))
    # Backward costs twice the forward pass, but for the first layer's input gradient.
    assert 2.9 * forward < found.step_flops < 3 * forward
    rate = found.step_flops / found.step_seconds / 1e9
    assert found.step_gflops_per_second == pytest.approx(rate)
    assert found.ratio == pytest.approx(rate / found.gemm_gflops_per_second)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 50, 400])
def test_benchmark_s_epoch_is_one_step(batch_size: int) -> None:
    training = steps.benchmark_training("mlp", 1, batch_size)
    assert len(training.parts["train"]["x"]) == batch_size == training.config.training.batch_size


def test_counting_leaves_the_mode_alone() -> None:
    model = build_model(ModelConfig(name="mlp", width=4))
    forward_flops(model)
    assert model.training
    step_flops(model, 2)
    assert all(p.grad is None for p in model.parameters())


def test_both_ways_compute_the_same_matrix_product() -> None:
    torch.manual_seed(0)
    mm, convolution = steps.matrix_products(6, torch.device("cpu"))
    torch.testing.assert_close(convolution().view(6, 6).t(), mm())
