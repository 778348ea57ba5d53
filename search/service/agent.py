"""Run what waits in the queue: ``search agent``."""

from __future__ import annotations

from argparse import Namespace

from space.terminal.command import Option, count_of
from storage.commands.kit import (
    CHECKPOINTS,
    RAY_ADDRESS,
    STORAGE,
    VERBOSE,
    StoreCommand,
    default_storage,
    stop_signals,
)

__all__ = ["main"]


@StoreCommand.of(
    "search.service.agent",
    "Take submissions from the store's queue, as there is room for them, and run them.",
    count_of("--cpus", "CPUs that it gives away; default: all of this machine"),
    Option("--gpus", nargs="*", metavar="GPU",
           help="the GPUs that it gives away, by number or UUID; default: all of this machine"),
    Option("--once", action="store_true",
           help="leave once nothing is left that it has room for"),
    RAY_ADDRESS.but(
        help="let every launch join this Ray cluster, auto or HOST:PORT; default: each has a Ray "
        "of its own, with the CPUs and GPUs that it was submitted with"
    ),
    CHECKPOINTS,
    STORAGE,
    VERBOSE,
    examples=("", "--cpus 8 --gpus 0 1 --storage postgresql+psycopg://me@host/db"),
    epilog="Ctrl-C stops what it runs gracefully, back into the queue. An agent that is killed\n"
    "leaves its launches to the next one.",
)  # fmt: skip
def main(options: Namespace) -> None:
    """Run until somebody stops it."""
    from contextlib import closing

    from search.service.agency import Agency, this_machine
    from storage.commands.checkpoints import checkpoint_directory
    from storage.store import open_store

    room = this_machine(options.cpus, options.gpus)
    with closing(open_store(default_storage(options.storage))) as store, stop_signals() as stop:
        agency = Agency(
            store,
            room,
            checkpoints=checkpoint_directory(store.url, options.checkpoints),
            ray_address=options.ray_address,
        )
        agency.run(stop, once=options.once)


if __name__ == "__main__":
    main.run()
