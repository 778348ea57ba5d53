"""What a run asks of a device is over with it."""

from __future__ import annotations

import os

import pytest
import torch

from space.config import TrainingConfig
from trainables.device import device_settings


def _settings() -> tuple[object, ...]:
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
        torch.backends.cudnn.deterministic,
        torch.backends.cudnn.benchmark,
        torch.backends.cuda.matmul.fp32_precision,
        torch.backends.cudnn.conv.fp32_precision,  # type: ignore[attr-defined]
    )


@pytest.mark.parametrize(("tf32", "precision"), [(True, "tf32"), (False, "ieee")])
def test_settings_of_a_gpu_end_with_the_run(
    tf32: bool, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = _settings()
    with device_settings(TrainingConfig(tf32=tf32), torch.device("cuda")):
        assert _settings() == (True, True, False, True, False, precision, precision)
    assert _settings() == before
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_a_cpu_is_left_as_it_is() -> None:
    before = _settings()
    with device_settings(TrainingConfig(), torch.device("cpu")):
        assert _settings() == before
