"""How many trials run at once on the Ray that is up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import ray

from search.launch.plan import Plan
from search.workers.ray_session import Slots, _fit, n_startable
from space.errors import ClusterError

MakePlan = Callable[..., Plan]


@pytest.fixture
def scratch(one_ray: Path) -> Path:
    return one_ray


def test_trial_that_fits_nowhere_is_one_sentence(plan_for: MakePlan, scratch: Path) -> None:
    plan = plan_for(resources={"cpus": 10_000})
    with pytest.raises(ClusterError, match=r"10,000 CPUs .* lower resources.cpus"):
        plan.place.find_slots()


def test_concurrency_is_bounded_by_the_file_and_the_machine(
    plan_for: MakePlan, scratch: Path
) -> None:
    cpus = int(ray.cluster_resources()["CPU"])
    assert plan_for().place.find_slots().concurrency == cpus
    assert plan_for(concurrency=1).place.find_slots().concurrency == 1
    assert plan_for(resources={"cpus": 0.5}).place.find_slots().concurrency == 2 * cpus


@pytest.mark.parametrize(
    ("node", "cpus", "gpus", "expected"),
    [
        ({"CPU": 8.0}, 1, 0, 8),
        ({"CPU": 8.0}, 3, 0, 2),
        ({"CPU": 8.0, "GPU": 2.0}, 1, 0.5, 4),
        ({"CPU": 8.0, "GPU": 2.0}, 1, 0.3, 6),
        ({"CPU": 2.0, "GPU": 2.0}, 1, 0.25, 2),
        ({"CPU": 8.0, "GPU": 2.0}, 1, 2, 1),
        ({"CPU": 8.0}, 1, 1, 0),
        ({"CPU": 8.0}, 0.1, 0, 80),
    ],
)
def test_how_many_trials_fit_on_a_machine(
    node: dict[str, float], cpus: float, gpus: float, expected: int
) -> None:
    assert _fit(node, cpus, gpus) == expected


@pytest.mark.parametrize(
    ("free", "gpus", "expected"),
    [
        ({"CPU": 64.0}, 0, 8),
        ({"CPU": 5.0}, 0, 5),
        ({}, 0, 1),
        ({"CPU": 64.0, "GPU": 3.0}, 1, 3),
        ({"CPU": 64.0}, 1, 1),
    ],
)
def test_no_more_workers_are_asked_for_at_once_than_can_start(
    free: dict[str, float], gpus: float, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray, "available_resources", lambda: free)
    slots = Slots(cpus=64, gpus=8, nodes=1, concurrency=8, gpus_per_trial=gpus)
    assert n_startable(slots, 1) == expected
