"""Put a launch or a benchmark into the queue: ``search submit --space space/mlp.yaml``."""

from __future__ import annotations

from argparse import ArgumentTypeError, Namespace

from space.terminal.command import OneOf, Option, count_of, whole_int
from space.terminal.printing import say, say_json
from storage.commands.kit import STORAGE, StoreCommand, default_storage, format_of

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
    from contextlib import closing

    from search.service.submitting import new_benchmark, new_launch, user_name
    from storage.store import open_store
    from storage.submissions import submit

    settings = {
        "submitted_by": user_name(),
        "priority": options.priority,
        "cpus": float(options.cpus),
        "gpus": float(options.gpus),
    }
    if options.space is not None:
        submission = new_launch(options.space, options.arguments, **settings)
    else:
        submission = new_benchmark(options.config, options.arguments, **settings)
    with closing(open_store(default_storage(options.storage))) as store:
        number = submit(store, submission)
    if options.format == "json":
        say_json({"submission": number, "name": submission.name, "command": submission.command})
    else:
        say(f"submission {number}: {submission.command} of '{submission.name}' is queued")


if __name__ == "__main__":
    main.run()
