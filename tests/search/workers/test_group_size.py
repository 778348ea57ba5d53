"""How many runs a worker trains together: what is asked for, what pays, and everybody's share."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from search.benchmark.configs import resolved
from search.launch.plan import Plan
from search.trials.feasible import resolved as of_trial
from search.trials.study import examples
from search.workers import group_size as packing
from search.workers.group_size import group_size_of_queue, group_size_of_study
from search.workers.ray_session import Slots
from search.workers.workers import GroupSize
from search.workers.workplace import OpenWorkplace, Workplace
from space import Resources
from tests.harness.configs import PairsNamed
from trainables.contract.group_speed import GroupSpeed
from trainables.contract.loop_trainable import LoopConfig, LoopTrainable
from trainables.contract.run_data import RunData
from trainables.failures import OutOfMemoryFailure
from trainables.loop import group_speed
from trainables.shipped.digit_pairs.config import DataConfig, ModelConfig
from trainables.shipped.digit_pairs.data.sources import load_source

MakePlan = Callable[..., Plan]
SLOTS = Slots(cpus=2, gpus=0, nodes=1, concurrency=2, gpus_per_trial=0)
DIGITS = load_source(DataConfig(source="digits"), "train")


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == "search.workers.group_size"
    ]


def config(name: str = "mlp", seed: int = 0) -> Any:
    data = DataConfig(source="digits")
    return resolved(PairsNamed(name=name, data=data, model=ModelConfig(name=name, width=8)), seed)


def size_of_study(plan: Plan) -> GroupSize:
    place = plan.place.opened(SLOTS, Path())
    return group_size_of_study(plan.space, place, lambda: examples(plan.space))


def place_of(slots: Slots = SLOTS, asked: Any = "auto") -> OpenWorkplace:
    place = Workplace(
        resources=Resources(runs_per_trainable=asked),
        data=RunData(train=DIGITS),
        checkpoints=Path(),
    )
    return place.opened(slots, Path())


@pytest.fixture
def pays(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Four runs together pay for an MLP, none for others; which were measured."""
    measured: list[str] = []

    def measure(config: Any, *_: Any) -> GroupSpeed:
        measured.append(config.model.name)
        return GroupSpeed({1: 4.0, 2: 3.0, 4: 1.0 if config.model.name == "mlp" else 9.0})

    monkeypatch.setattr(packing, "_measure", measure)
    return measured


@pytest.fixture
def all_pay(monkeypatch: pytest.MonkeyPatch) -> None:
    """The more runs together, the faster."""
    monkeypatch.setattr(LoopTrainable, "batched", True)
    monkeypatch.setattr(LoopConfig, "kind", lambda _: {})
    monkeypatch.setattr(packing, "_measure", lambda _, most, *__: GroupSpeed({1: 2.0, most: 1.0}))


def test_each_architecture_of_a_queue_is_measured_once(
    pays: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    configs = [config(name, seed) for seed in range(20) for name in ("mlp", "convnet")]
    with caplog.at_level(logging.INFO, "search.workers.group_size"):
        size = group_size_of_queue(configs, place_of())
    assert pays == ["mlp", "convnet"]
    assert (size(config("mlp", 7)), size(config("convnet", 7))) == (4, 2)
    assert caplog.messages == [
        "mlp: 4 runs are trained together, 4.0 times faster a run than alone on this CPU",
        "convnet: 2 runs are trained together, 1.3 times faster a run than alone on this CPU",
    ]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (
            {1: 8.0, 2: 5.0, 4: 4.0},
            "4 runs are trained together, 2.0 times faster a run than alone on this GPU; "
            "8 do not fit in its memory",
        ),
        (
            {1: 1.0, 2: 3.0},
            "runs are trained alone, no slower than together on this GPU; "
            "4 do not fit in its memory",
        ),
        ({1: 1.0}, "runs are trained alone on this GPU; 2 do not fit in its memory"),
    ],
)
def test_it_is_said_where_the_memory_ends(
    seconds: dict[int, float],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(packing, "_measure", lambda *_: GroupSpeed(seconds, 2 * max(seconds)))
    slots = Slots(cpus=2, gpus=1, nodes=1, concurrency=1, gpus_per_trial=1)
    configs = [config(seed=seed) for seed in range(8)]
    with caplog.at_level(logging.INFO, "search.workers.group_size"):
        group_size_of_queue(configs, place_of(slots))
    assert caplog.messages == [f"mlp: {said}"]


def test_a_step_that_is_too_long_to_share_is_said_to_be(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(packing, "_measure", lambda *_: GroupSpeed({1: 1.456}))
    configs = [config("siamese", seed) for seed in range(8)]
    with caplog.at_level(logging.INFO, "search.workers.group_size"):
        size = group_size_of_queue(configs, place_of())
    assert size(configs[0]) == 1
    (message,) = caplog.messages
    assert message.startswith("siamese: runs are trained alone: a step of one takes 1.5 s")


def test_runs_that_are_soon_done_are_not_tried_together(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_speed, "WORTH_SECONDS", math.inf)
    configs = [config(seed=seed) for seed in range(8)]
    with caplog.at_level(logging.INFO, "search.workers.group_size"):
        size = group_size_of_queue(configs, place_of())
    assert size(configs[0]) == 1
    (message,) = caplog.messages
    assert message.startswith("mlp: runs are trained alone: all those of a worker take about ")


def test_a_queue_is_shared_out_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    # Ten runs of two workers: batches of four would leave two for one of them.
    seconds = {1: 4.0, 2: 2.0, 4: 1.0, 5: 1.1}
    monkeypatch.setattr(packing, "_measure", lambda *_: GroupSpeed(seconds))
    configs = [config(seed=seed) for seed in range(10)]
    assert group_size_of_queue(configs, place_of())(configs[0]) == 5


def test_trials_of_many_kinds_are_trained_one_by_one(
    pays: list[str], plan_for: MakePlan, caplog: pytest.LogCaptureFixture
) -> None:
    sizes = {"type": "int", "low": 5, "high": 60}
    plan = plan_for(
        model={"name": "mlp"}, parameters={"batch_size": sizes}, sampler={"name": "random"}
    )
    with caplog.at_level(logging.INFO, "search.workers.group_size"):
        size = size_of_study(plan)
    assert size(of_trial(plan.space, {"batch_size": 7})) == 1
    assert pays == []
    (message,) = said(caplog)
    assert message.startswith("trials are trained one by one: they differ in batch_size")


def test_trials_of_few_kinds_are_said_to_be_trained_with_those_alike(
    pays: list[str], plan_for: MakePlan, caplog: pytest.LogCaptureFixture
) -> None:
    sizes = {"type": "categorical", "choices": [10, 50]}
    plan = plan_for(
        model={"name": "mlp"},
        parameters={"batch_size": sizes},
        sampler={"name": "random"},
        budget={"trials": 40},
    )
    with caplog.at_level(logging.INFO, "search.workers.group_size"):
        size = size_of_study(plan)
    assert size(of_trial(plan.space, {"batch_size": 10})) == 4
    (message,) = said(caplog)
    assert message.startswith("mlp: a worker trains 4 runs at a time, those alike in batch_size")
    assert "4 alike are 4.0 times faster" in message


def test_every_worker_gets_its_share_of_a_queue(pays: list[str]) -> None:
    configs = [config(seed=seed) for seed in range(5)]
    assert group_size_of_queue(configs, place_of())(configs[0]) == 3
    assert group_size_of_queue(configs, place_of(asked=5))(configs[0]) == 5
    size = group_size_of_queue(configs[:2], place_of())
    assert size(configs[0]) == 1
    assert pays == ["mlp"]  # One run a worker: there is nothing to measure.


def test_a_config_that_does_not_fit_at_all_is_left_to_its_trial(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def measure(*_: Any) -> GroupSpeed:
        raise OutOfMemoryFailure("'mlp' ran out of memory")

    monkeypatch.setattr(packing, "_measure", measure)
    configs = [config(seed=seed) for seed in range(8)]
    assert group_size_of_queue(configs, place_of())(configs[0]) == 1


@pytest.mark.usefixtures("all_pay")
@pytest.mark.parametrize(
    ("sampler", "budget", "replicates", "asked", "expected"),
    [
        ("random", {"trials": 40}, 1, "auto", 20),
        ("random", {"trials": 400}, 1, "auto", 32),
        ("random", {"trials": 400}, 1, 64, 64),
        ("random", {"epochs": 99}, 1, "auto", 32),
        ("tpe", {"trials": 40}, 1, "auto", 2),
        ("tpe", {"trials": 12}, 1, "auto", 1),
        ("tpe", {"trials": 40}, 3, "auto", 6),
        ("tpe", {"trials": 40}, 1, 8, 8),
    ],
)
def test_a_sampler_that_learns_is_not_outrun(
    plan_for: MakePlan, sampler: str, budget: Any, replicates: int, asked: Any, expected: int
) -> None:
    plan = plan_for(
        sampler={"name": sampler},
        budget=budget,
        replicates=replicates,
        resources={"runs_per_trainable": asked},
    )
    size = size_of_study(plan)
    assert size(of_trial(plan.space, {"learning_rate": 0.1, "weight_decay": 0.1})) == expected


@pytest.mark.usefixtures("all_pay")
def test_a_grid_is_shared_out_by_its_points(plan_for: MakePlan) -> None:
    choices = {"type": "categorical", "choices": [0.001, 0.01, 0.1]}
    grid = {"learning_rate": choices, "weight_decay": choices}
    plan = plan_for(parameters=grid, sampler={"name": "grid"}, budget={"epochs": 999})
    size = size_of_study(plan)
    assert size(of_trial(plan.space, {"learning_rate": 0.1, "weight_decay": 0.1})) == 5


def test_what_the_parameters_replace_need_not_be_trainable(plan_for: MakePlan) -> None:
    space = {
        "model": {"name": "convnet", "width": 8},
        "data": {"source": "digits"},
        # 540 of the digits' 600 pairs train: this would leave one alone in the last batch.
        "training": {"epochs": 2, "batch_size": 539},
        "parameters": {"batch_size": {"type": "categorical", "choices": [50, 100]}},
    }
    plan = plan_for(**space, resources={"runs_per_trainable": 3})
    assert size_of_study(plan)(of_trial(plan.space, {"batch_size": 50})) == 3


def test_replicates_in_turn_are_not_trained_together(plan_for: MakePlan) -> None:
    plan = plan_for(replicates=3, pruner={"name": "wilcoxon"})
    assert size_of_study(plan)(of_trial(plan.space, {})) == 1


def test_a_measurement_here_leaves_the_threads_as_they_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("trainables.loop.group_speed.ARITHMETIC_SECONDS", float("inf"))
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        found = packing._measure(config(), 2, math.inf, place_of())
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)
    assert found.seconds[1] > 0
