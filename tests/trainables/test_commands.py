"""The two commands."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from space.config import ModelConfig
from space.errors import ModelError, UsageError
from trainables import __main__ as listing
from trainables import step_benchmark
from trainables.flops import forward_flops, step_flops
from trainables.models import MODELS, build_model

ROOT = Path(__file__).parents[2]


def test_listing_as_json() -> None:
    child = subprocess.run(
        [sys.executable, "-W", "error", "-m", "trainables", "--json"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    rows = json.loads(child.stdout)
    assert [row["name"] for row in rows] == list(MODELS)
    assert rows[0] == {
        "name": "mlp",
        "parameters": 279_562,
        # Two operations for each weight of the five linear layers; biases are not counted.
        "forward_flops": 2 * (392 * 350 + 350 * 250 + 250 * 200 + 200 * 20 + 20 * 2),
        "aux_heads": False,
    }
    assert [row["name"] for row in rows if row["aux_heads"]] == ["deepconvnet-aux", "siamese-aux"]
    assert child.stderr == ""


def test_listing_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert listing.main(["--width", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(MODELS)
    assert " ".join(lines[0].split()) == "model parameters forward FLOPs a pair aux heads"
    assert lines[-1].startswith("siamese-aux")
    assert lines[-1].endswith("yes")
    assert len({len(line) for line in lines}) == 1


@pytest.mark.parametrize("main", [listing.main, step_benchmark.main])
@pytest.mark.parametrize("width", ["0", "-3", "wide", "1.5"])
def test_bad_arguments_are_refused(main: object, width: str) -> None:
    assert callable(main)
    with pytest.raises(UsageError, match="whole number of at least 1"):
        main(["--width", width])


def test_unknown_model_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelError, match=r"^model\.name: there is no model 'siames'"):
        step_benchmark.main(["--model", "siames"])
    assert capsys.readouterr().out == ""


def test_step_benchmark(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_benchmark, "GEMM_SIZES", (64,))
    arguments = ["--model", "siamese-aux", "--width", "4", "--batch-size", "6", "--repeats", "1"]
    assert step_benchmark.main([*arguments, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    model = build_model(ModelConfig(name="siamese-aux", width=4), 0)
    forward = 6 * forward_flops(model)
    # Backward costs twice the forward pass, but for the first layer's input gradient.
    assert 2.9 * forward < result["step_flops"] < 3 * forward
    rate = result["step_flops"] / result["step_seconds"] / 1e9
    assert result["step_gflops_per_second"] == pytest.approx(rate)
    assert result["ratio"] == pytest.approx(rate / result["gemm_gflops_per_second"])
    assert step_benchmark.main(arguments) == 0
    assert capsys.readouterr().out.splitlines()[0].split() == ["model", "siamese-aux"]


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 50, 400])
def test_benchmark_s_epoch_is_one_step(batch_size: int) -> None:
    training = step_benchmark.benchmark_training("mlp", 1, batch_size)
    assert len(training.pairs.train) == batch_size == training.config.training.batch_size


def test_counting_leaves_the_mode_alone() -> None:
    model = build_model(ModelConfig(name="mlp", width=4), 0)
    forward_flops(model)
    assert model.training
    step_flops(model, 2)
    assert all(p.grad is None for p in model.parameters())


def test_both_ways_compute_the_same_matrix_product() -> None:
    torch.manual_seed(0)
    mm, convolution = step_benchmark.matrix_products(6, torch.device("cpu"))
    torch.testing.assert_close(convolution().view(6, 6).t(), mm())
