"""An agent whose children begin a launch, wait and end it: cheap enough to be killed often.

``python -m tests.search.agent.pretend agent URL SECONDS`` or ``... child SECONDS``, which an agent
starts; with a third argument the agent's children are jobs of the Ray cluster there.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from search.agent.agency import Agency
from search.agent.children import Child, Order, Start, start
from search.agent.ray_jobs import RayJobs
from search.agent.room import Room
from search.runs.actions import LaunchActions
from storage import open_store
from storage.commands.kit import STORAGE_VARIABLE, stop_signals
from storage.leases import process_mark
from storage.tables.service import SubmissionRecord
from tests.records import new_launch

MODULE = "tests.search.agent.pretend"


def agent(url: str, seconds: str, cluster: str | None = None) -> None:
    """Work until killed or stopped, or until nothing is left."""
    begin: Start = start if cluster is None else RayJobs(cluster)

    def pretend(submission: SubmissionRecord, order: Order) -> Child:
        given = ["-m", MODULE, "child", seconds]
        return begin(submission, replace(order, arguments=given))

    with closing(open_store(url)) as store, stop_signals() as stop:
        room = Room(cpus=2, gpus=())
        agency = Agency(store, room, checkpoints=Path("nowhere"), launch=pretend)
        agency.run(stop, once=True)


def child(seconds: str) -> None:
    """Be a launch that takes its time."""
    pid = os.getpid()
    with closing(open_store(os.environ[STORAGE_VARIABLE])) as store:
        launch = new_launch(host=platform.node(), pid=pid, process=process_mark(pid))
        actions = LaunchActions(store, launch)
        time.sleep(float(seconds))
        store.end_launch(actions.launch_id, "done")


if __name__ == "__main__":
    {"agent": agent, "child": child}[sys.argv[1]](*sys.argv[2:])
