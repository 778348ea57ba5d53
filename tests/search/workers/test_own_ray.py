"""A Ray of our own has the processes that a search asks, and no others."""

from __future__ import annotations

import subprocess
import sys

import psutil
import ray

from search.workers import stand_in
from search.workers.ray_session import ray_session


def test_a_ray_of_our_own_has_no_agents_and_runs_actors() -> None:
    with ray_session(None, verbose=False):
        (raylet,) = [
            each
            for each in psutil.Process().children()
            if each.cmdline()[0].endswith("/raylet/raylet")
        ]
        agents = [" ".join(each.cmdline()) for each in raylet.children()]
        assert len(agents) == 2
        assert all("-I -S" in each and "stand_in.py" in each for each in agents)
        assert ray.get(ray.remote(lambda: 3).remote()) == 3


def test_a_stand_in_ends_with_the_driver() -> None:
    driver = subprocess.Popen(["sleep", "600"])
    command = [sys.executable, "-I", "-S", stand_in.__file__, str(driver.pid)]
    with subprocess.Popen(command) as child:
        assert child.poll() is None
        driver.kill()
        driver.wait()
        assert child.wait(60) == 0
