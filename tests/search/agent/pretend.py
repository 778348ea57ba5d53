"""An agent whose children begin a launch, wait and end it: cheap enough to be killed often.

``python -m tests.search.agent.pretend agent URL`` or ``... child``, which an agent starts.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from search.agent.agency import Agency, Room
from search.agent.children import Child, Order, start
from search.runs.actions import LaunchActions
from storage import open_store
from storage.commands.kit import STORAGE_VARIABLE
from storage.leases import process_mark
from storage.tables.service import SubmissionRecord
from tests.records import new_launch

MODULE = "tests.search.agent.pretend"


def agent(url: str, seconds: str) -> None:
    """Work until killed, or until nothing is left."""

    def pretend(submission: SubmissionRecord, order: Order) -> Child:
        return start(submission, replace(order, arguments=["-m", MODULE, "child", seconds]))

    with closing(open_store(url)) as store:
        room = Room(cpus=2, gpus=())
        agency = Agency(store, room, checkpoints=Path("nowhere"), launch=pretend)
        agency.run(lambda: False, once=True)


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
