"""Stands in for an agent of a raylet: a process that does nothing for as long as that lives.

It is started as a file, without the package or any library, and is told the number of the process
that the raylet goes with; see `search.workers.own_ray`.
"""

import os
import sys
import time

SECONDS = 0.5


def lives(process: int) -> bool:
    """Whether there is a process of this user's with a number."""
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    parent, driver = os.getppid(), int(sys.argv[1])
    # The raylet may have died before this process could ask for its parent: then that is another.
    while os.getppid() == parent and lives(driver):
        time.sleep(SECONDS)
