"""A Ray of our own has the processes that a search asks, and no others."""

from __future__ import annotations

import json
import subprocess
import sys

from search.workers import stand_in

LOOK = """
import json
import psutil
import ray
from search.workers.ray_session import ray_session

with ray_session(None, verbose=False):
    (raylet,) = [
        each
        for each in psutil.Process().children()
        if " ".join(each.cmdline()).partition(" ")[0].endswith("/raylet/raylet")
    ]
    lines = [" ".join(each.cmdline()) for each in raylet.children()]
    print(json.dumps([lines, ray.get(ray.remote(lambda: 3).remote())]))
"""


def test_a_ray_of_our_own_has_no_agents_and_runs_actors() -> None:
    found = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=True)
    lines, three = json.loads(found.stdout.splitlines()[-1])
    agents = [line for line in lines if "stand_in.py" in line]
    assert len(agents) == 2
    assert all("-I -S" in each for each in agents)
    assert not any("Agent" in line or "agent.py" in line for line in lines)
    assert three == 3


def test_a_stand_in_ends_with_the_driver() -> None:
    driver = subprocess.Popen(["sleep", "600"])
    command = [sys.executable, "-I", "-S", stand_in.__file__, str(driver.pid)]
    with subprocess.Popen(command) as child:
        assert child.poll() is None
        driver.kill()
        driver.wait()
        assert child.wait(60) == 0
