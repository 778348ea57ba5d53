"""Run what waits in the queue: ``search agent``."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from space.errors import UsageError
from space.terminal.command import OneOf, Option, count_of, local_path
from storage.commands.kit import (
    CHECKPOINTS,
    RAY_ADDRESS,
    STORAGE,
    VERBOSE,
    StoreCommand,
    default_storage,
    stop_signals,
)

if TYPE_CHECKING:
    from search.agent.children import Start
    from search.agent.room import Room

__all__ = ["main"]


@StoreCommand.of(
    "search.agent",
    "Take submissions from the store's queue, as there is room for them, and run them.",
    count_of("--cpus", "CPUs that it gives away; default: all of this machine or cluster"),
    Option("--gpus", nargs="*", metavar="GPU",
           help="the GPUs that it gives away, by number or UUID; default: all of this machine or "
           "cluster"),
    Option("--once", action="store_true",
           help="leave once nothing is left that it has room for"),
    RAY_ADDRESS.but(
        help="let every launch join this Ray cluster, auto or HOST:PORT; default: each has a Ray "
        "of its own, with the CPUs and GPUs that it was submitted with"
    ),
    OneOf(
        Option("--slurm", type=local_path, metavar="DIR",
               help="submit each to Slurm; jobs and their logs lie in this directory, which all "
               "machines see; default: run it on this machine"),
        Option("--ray-jobs", metavar="URL",
               help="submit each as a job to the Ray cluster whose head has its dashboard there, "
               "such as http://HEAD:8265; launches join the cluster"),
    ),
    Option("--slurm-option", action="append", default=[], metavar="KEY=VALUE",
           help="of every job, by submitit's names, such as slurm_partition=gpu or "
           "timeout_min=600; default: a day"),
    CHECKPOINTS,
    STORAGE,
    VERBOSE,
    examples=(
        "",
        "--cpus 8 --gpus 0 1 --storage postgresql+psycopg://me@host/db",
        "--slurm /shared/jobs --slurm-option slurm_partition=gpu",
        "--ray-jobs http://head:8265 --checkpoints /shared/checkpoints",
    ),
    epilog="Ctrl-C stops what it runs gracefully, back into the queue. An agent that is killed\n"
    "leaves its launches to the next one.",
)  # fmt: skip
def main(options: Namespace) -> None:
    """Run until somebody stops it."""
    from contextlib import closing

    from search.agent.agency import Agency
    from search.callbacks.messages import sender
    from storage.commands.checkpoints import checkpoint_directory
    from storage.store import open_store

    launch, room, ray_address = _where(options)
    send = sender()
    with closing(open_store(default_storage(options.storage))) as store, stop_signals() as stop:
        agency = Agency(
            store,
            room,
            checkpoints=checkpoint_directory(store.url, options.checkpoints),
            ray_address=ray_address,
            launch=launch,
            send=send,
        )
        agency.run(stop, once=options.once)


def _where(options: Namespace) -> tuple[Start, Room, str | None]:
    """Where commands run: who starts them, what there is for them, and the Ray that they join.

    Raises:
        UsageError: If options do not go together, or what they need is not installed.
        ClusterError: If the cluster that they name does not answer.
    """
    from search.agent.children import joining, start
    from search.agent.ray_jobs import RayJobs
    from search.agent.room import ALL, Room, this_machine
    from search.agent.slurm import Slurm, options_of
    from search.workers.ray_session import require_address, require_listener

    cpus, gpus = options.cpus, options.gpus
    if options.slurm is None and options.slurm_option:
        raise UsageError("--slurm-option: only jobs of Slurm's have them; add --slurm DIR.")
    if options.slurm is not None:
        slurm = Slurm(Path(options.slurm).resolve(), options_of(options.slurm_option))
        room = Room(cpus=cpus or ALL.cpus, gpus=ALL.gpus if gpus is None else tuple(gpus))
        return slurm, room, options.ray_address
    if options.ray_jobs is not None:
        if options.ray_address is not None:
            raise UsageError("--ray-address: with --ray-jobs launches join the cluster of the job.")
        jobs = RayJobs(options.ray_jobs)
        return jobs, jobs.room(cpus, gpus), "auto"
    if options.ray_address is not None:
        require_address(options.ray_address)
        require_listener(options.ray_address)
        return joining(options.ray_address), this_machine(cpus, gpus), options.ray_address
    return start, this_machine(cpus, gpus), None


if __name__ == "__main__":
    main.run()
