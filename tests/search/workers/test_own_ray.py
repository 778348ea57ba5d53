"""A Ray of our own has the processes that a search asks, and no others."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from search.workers import stand_in
from search.workers.own_ray import Prestarted

LOOK = """
import json
import sys
import psutil
import ray
from search.workers.own_ray import Prestarted
from search.workers.ray_session import ray_session

workers = Prestarted(cpus=1, most=1, modules=("colorsys",))
with ray_session(None, verbose=False, prestarted=workers):
    (raylet,) = [
        each
        for each in psutil.Process().children()
        if " ".join(each.cmdline()).partition(" ")[0].endswith("/raylet/raylet")
    ]
    lines = [" ".join(each.cmdline()) for each in raylet.children()]
    loaded = ray.get(ray.remote(lambda: "colorsys" in sys.modules).remote())
    print(json.dumps([lines, loaded]))
"""


def test_a_ray_of_our_own_has_no_agents_and_workers_with_their_libraries() -> None:
    found = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=True)
    lines, has_loaded = json.loads(found.stdout.splitlines()[-1])
    agents = [line for line in lines if "stand_in.py" in line]
    assert len(agents) == 2
    assert all("-I -S" in each for each in agents)
    assert not any("Agent" in line or "agent.py" in line for line in lines)
    assert has_loaded


@pytest.mark.parametrize(
    ("resources", "cpus", "most", "n"),
    [
        ("CPU,8,memory,1.0", 1, None, 8),
        ("CPU,8,memory,1.0", 3, None, 2),
        ("CPU,8,memory,1.0", 0.5, 5, 5),
        ("CPU,8,GPU,1,memory,1.0", 1, None, 0),
        ("CPU,8,memory,1.0", 0, None, 0),
    ],
)
def test_as_many_workers_are_prestarted_as_a_search_begins_with(
    resources: str, cpus: float, most: int | None, n: int
) -> None:
    command = ["raylet", f"--static_resource_list={resources}", "--num_prestart_python_workers=8"]
    assert Prestarted(cpus=cpus, most=most, modules=()).count(command) == n


def test_a_stand_in_ends_with_the_driver() -> None:
    driver = subprocess.Popen(["sleep", "600"])
    command = [sys.executable, "-I", "-S", stand_in.__file__, str(driver.pid)]
    with subprocess.Popen(command) as child:
        assert child.poll() is None
        driver.kill()
        driver.wait()
        assert child.wait(60) == 0
