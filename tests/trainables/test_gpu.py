"""What a GPU is asked for and where it is missed; most of it needs one, and none of it Ray's."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from space.config import RunConfig
from space.errors import TrainingError
from tests.harness.captures import FOUR_STEPS, assert_is_the_run_alone, finish
from tests.harness.configs import closed_form
from tests.trainables.loop.test_captured import add_to
from trainables.contract.run_data import RunData
from trainables.contract.split_data import SplitData
from trainables.loop.batch import TrainingBatch
from trainables.loop.captured import CapturedWork, CudaGraphs
from trainables.loop.training import Training
from trainables.shipped.digit_pairs.config import DigitPairsConfig
from trainables.shipped.digit_pairs.models import MODELS
from trainables.worker.assigned import AssignedRun

MakeConfig = Callable[..., DigitPairsConfig]
MakeTraining = Callable[..., Training]


def on_gpu(test: Any) -> Any:
    """A test that needs a GPU."""
    needed = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
    return pytest.mark.gpu(needed(test))


@on_gpu
@pytest.mark.filterwarnings("ignore:The CUDA Graph is empty")  # So torch says of what failed.
def test_a_capture_that_fails_leaves_the_gpu_usable() -> None:
    total, told = torch.zeros((), device="cuda"), list[str]()

    def wait(x: Tensor) -> None:
        big = torch.ones(2**28, device="cuda")  # 1 GiB
        total.add_(big[0] * float(x.sum()))

    def exhaust(x: Tensor) -> None:
        if torch.cuda.is_current_stream_capturing():
            torch.empty(2**50, device="cuda")
        add_to(total, x)

    graphs, x = CudaGraphs(), torch.ones(2, device="cuda")
    stream, sums = torch.cuda.current_stream(), {"the sums": [total]}
    for step, wanted in ((wait, 4.0), (exhaust, 8.0)):
        torch.cuda.empty_cache()
        before = torch.cuda.memory_reserved()
        total.zero_()
        work = CapturedWork(step, lambda: sums, capture=graphs, warn=told.append)
        work(x)
        work(x)
        assert total.item() == wanted
        assert torch.cuda.current_stream() == stream
        torch.cuda.empty_cache()
        assert torch.cuda.memory_reserved() < before + 2**26
        torch.cuda.manual_seed(0)
        one = torch.rand(3, device="cuda")
        torch.cuda.manual_seed(0)
        assert torch.equal(one, torch.rand(3, device="cuda"))
    assert "cannot be captured" in told[0]
    assert "finds no memory to be captured in" in told[1]
    total.zero_()
    work = CapturedWork(lambda x: add_to(total, x), lambda: sums, capture=graphs, warn=told.append)
    for _ in range(3):
        work(x)
    assert total.item() == 12
    assert len(told) == 2


@on_gpu
def test_graphs_share_a_pool_of_memory() -> None:
    total, told = torch.zeros((), device="cuda"), list[str]()

    def step(x: Tensor) -> None:
        total.add_((torch.ones(2**28, device="cuda") * x.sum())[-1])  # Twice 1 GiB.

    torch.cuda.empty_cache()
    before = torch.cuda.memory_reserved()
    work = CapturedWork(step, lambda: {"sums": [total]}, capture=CudaGraphs(), warn=told.append)
    for n in (1, 2, 3, 1, 2, 3):
        work(torch.ones(n, device="cuda"))
    torch.cuda.empty_cache()
    assert total.item() == 12
    assert torch.cuda.memory_reserved() - before < 3 * 2**30
    assert not told


@on_gpu
def test_random_numbers_of_a_gpu_are_drawn_anew_by_a_graph() -> None:
    total, told = torch.zeros(4, device="cuda"), list[str]()
    work = CapturedWork(
        lambda: total.add_(torch.rand(4, device="cuda")),
        lambda: {"sums": [total]},
        capture=CudaGraphs(),
        warn=told.append,
    )
    torch.cuda.manual_seed(5)
    for _ in range(4):
        work()
    found = total.clone()
    torch.cuda.manual_seed(5)
    wanted = sum(torch.rand(4, device="cuda") for _ in range(4))
    assert not told
    torch.testing.assert_close(found, wanted)


@on_gpu
@pytest.mark.parametrize("name", MODELS)
def test_cuda_graphs_are_the_run_alone(
    name: str, make_run: MakeTraining, caplog: pytest.LogCaptureFixture
) -> None:
    values = {**FOUR_STEPS, "training__device": "cuda"}
    n_graphs, graphs = 0, CudaGraphs()

    def capture(work: Callable[[], object]) -> Callable[[], None]:
        nonlocal n_graphs
        n_graphs += 1
        return graphs(work)

    runs = [make_run(i, name, **values) for i in range(3)]
    finish(TrainingBatch(runs, capture=capture))
    assert n_graphs >= 3
    assert not caplog.records
    for i, run in enumerate(runs):
        assert run.device.type == "cuda"
        assert_is_the_run_alone(run, make_run(i, name, **values))


@on_gpu
def test_a_run_takes_the_place_of_another_and_its_graphs(
    make_run: MakeTraining, caplog: pytest.LogCaptureFixture
) -> None:
    values = {**FOUR_STEPS, "training__device": "cuda", "training__weight_decay": 0.01}
    n_graphs, graphs = 0, CudaGraphs()

    def capture(work: Callable[[], object]) -> Callable[[], None]:
        nonlocal n_graphs
        n_graphs += 1
        return graphs(work)

    runs = [make_run(i, "siamese-aux", **values) for i in range(4)]
    batch = TrainingBatch(runs[:2], capture=capture)
    finish(batch)
    assert n_graphs == 3
    for run in runs[2:]:
        batch.add(run)
    finish(batch)
    assert n_graphs == 3
    assert not caplog.records
    for i, run in enumerate(runs):
        assert_is_the_run_alone(run, make_run(i, "siamese-aux", **values))


@on_gpu
def test_a_report_names_the_gpu(make_config: MakeConfig, digits: SplitData) -> None:
    config = make_config("mlp", training__device="cuda")
    report = AssignedRun(assignment_of(config), RunData(train=digits)).step()
    assert report["worker"].endswith(torch.cuda.get_device_name())


def assignment_of(config: RunConfig) -> dict[str, Any]:
    return {
        "run_id": 1,
        "config": config.model_dump(mode="json"),
        "checkpoint": None,
        "n_epochs": 0,
        "evaluate": False,
        "together": True,
    }


def test_a_gpu_that_torch_does_not_see_is_no_reason_to_train_on_the_cpu(
    make_config: MakeConfig, digits: SplitData, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainables.worker.ray_trainable import RunTrainable  # The others do without Ray.

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    def trainable(config: RunConfig, data: RunData) -> RunTrainable:
        # Tune copies its own arguments alone.
        found = RunTrainable.__new__(RunTrainable)
        found.setup({"runs": [assignment_of(config)], "in_turn": False}, data=data, use_gpu=True)
        return found

    data, none = RunData(train=digits), RunData()
    with pytest.raises(TrainingError, match=r"^resources\.gpus: .* sees none .* on CPUs$"):
        trainable(make_config("mlp", training__device="auto"), data).step()
    for config, given in ((make_config("mlp"), data), (closed_form(training__epochs=3), none)):
        (report,) = trainable(config, given).step()["reports"]
        assert report["failure"] is None
        assert report["worker"] == f"{socket.gethostname()} {os.getpid()}"
