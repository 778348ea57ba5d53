"""A Slurm of one's own on loopback: munged, slurmctld and slurmd, without a cluster's database."""

from __future__ import annotations

import getpass
import os
import platform
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

__all__ = ["PROGRAMS", "own_slurm"]

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel")
_CONFIG = """\
ClusterName=here
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={control}
SlurmdPort={node}
SlurmUser={user}
SlurmdUser={user}
AuthInfo=socket={folder}/munge.sock
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=500 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
_ACCOUNTING = """\
#!/bin/sh
echo 'JobID|State|NodeList'
exec squeue --noheader --states=all --format='%i|%T|%N'
"""
"""What stands in for ``sacct``, which asks a database that is not here."""


@contextmanager
def own_slurm(folder: Path) -> Iterator[dict[str, str]]:
    """A Slurm that runs jobs on this machine.

    Args:
        folder: Where it has its files; the path must be short, as a socket lies there.

    Yields:
        What whoever talks to it needs in the environment.
    """
    path = os.pathsep.join((str(folder), os.environ["PATH"], "/usr/sbin"))
    environment = {"PATH": path, "SLURM_CONF": str(folder / "slurm.conf")}
    for name in ("state", "spool"):
        (folder / name).mkdir()
    folder.chmod(0o755)
    (folder / "sacct").write_text(_ACCOUNTING)
    (folder / "sacct").chmod(0o755)
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o400)
    with socket.create_server(("127.0.0.1", 0)) as a, socket.create_server(("127.0.0.1", 0)) as b:
        control, node = a.getsockname()[1], b.getsockname()[1]
    config = _CONFIG.format(
        folder=folder, host=platform.node().partition(".")[0], user=getpass.getuser(),
        cpus=os.cpu_count(), control=control, node=node,
    )  # fmt: skip
    (folder / "slurm.conf").write_text(config)
    munged = ["munged", "--foreground", "--force", f"--key-file={key}"]
    munged += [f"--{name}-file={folder}/munge.{name}" for name in ("pid", "log", "seed")]
    with ExitStack() as stack, (folder / "said").open("wb") as said:

        def start(*command: str) -> None:
            program = shutil.which(command[0], path=path)
            assert program is not None
            process = subprocess.Popen(
                [program, *command[1:]], env={**os.environ, **environment}, stdout=said, stderr=said
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)

        start(*munged, f"--socket={folder}/munge.sock")
        _until(lambda: (folder / "munge.sock").exists())
        start("slurmctld", "-D", "-c")
        start("slurmd", "-D")

        def is_idle() -> bool:
            asked = ["sinfo", "--noheader", "--format=%t"]
            found = subprocess.run(
                asked, env={**os.environ, **environment}, capture_output=True, text=True
            )
            return found.stdout.strip() == "idle"

        _until(is_idle)
        yield environment


def _until(done: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for something."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise TimeoutError("Slurm does not begin")
        time.sleep(0.2)
