"""Put a launch or a benchmark into the queue: ``search submit --space space/mlp.yaml``."""

from __future__ import annotations

from argparse import ArgumentTypeError, Namespace

from space.terminal.command import OneOf, Option, count_of, whole_int
from space.terminal.printing import say, say_json
from storage.commands.kit import STORAGE, StoreCommand, format_of

__all__ = ["main"]


def _gpus(text: str) -> int:
    n = whole_int(text)
    if n < 0:
        raise ArgumentTypeError(f"'{text}' is not a whole number of at least 0")
    return n


PRIORITY = Option(
    "--priority", type=whole_int, default=0, metavar="N", help="higher ones go first; default: 0"
)


@StoreCommand.of(
    "search.service.submit",
    "Put a launch or a benchmark into the store's queue, for an agent to run. The file and a\n"
    "trainable's own code are sent along; what they say is checked first.",
    OneOf(
        Option("--space", metavar="FILE", help="a search-space file: a launch"),
        Option("--config", nargs="+", metavar="FILE", help="config files: a benchmark"),
        required=True,
    ),
    PRIORITY,
    count_of("--cpus", "CPUs that an agent sets aside for it; default: 1", default=1),
    Option("--gpus", type=_gpus, default=0, metavar="N", help="GPUs, likewise; default: 0"),
    STORAGE,
    format_of("the answer"),
    Option(
        "arguments",
        nargs="*",
        metavar="-- OPTIONS",
        help="options of the launch or the benchmark, after two dashes",
    ),
    examples=(
        "--space space/mlp.yaml --cpus 4 -- --trials 20",
        "--config best/mlp.yaml --priority 5 -- --fresh-seeds",
    ),
)
def main(options: Namespace) -> None:
    """Submit, and say under which number."""
    from search.service.submitting import queue_command

    number, submission = queue_command(
        options.space,
        options.config or (),
        options.arguments,
        storage=options.storage,
        priority=options.priority,
        cpus=options.cpus,
        gpus=options.gpus,
    )
    if options.format == "json":
        say_json({"submission": number, "name": submission.name, "command": submission.command})
    else:
        say(f"submission {number}: {submission.command} of '{submission.name}' is queued")


if __name__ == "__main__":
    main.run()
