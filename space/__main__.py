"""``python -m space``: check search-space files, print their JSON Schema."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from space.durations import format_duration
from space.errors import SpaceError
from space.load import load_space
from space.schema import json_schema_text
from space.space import Space


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit status: 0, or 2 if a file is wrong.
    """
    parser = argparse.ArgumentParser(prog="python -m space", description="Search-space files.")
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="check files, an exit status of 2 if one is wrong")
    check.add_argument("files", nargs="+", metavar="FILE")
    check.add_argument(
        "--set",
        action="append",
        default=[],
        dest="overrides",
        metavar="KEY=VALUE",
        help="lay a setting over each file's, e.g. training.epochs=10",
    )
    commands.add_parser("schema", help="print the JSON Schema of the files")
    options = parser.parse_args(arguments)
    if options.command == "schema":
        sys.stdout.write(json_schema_text())
        return 0
    status = 0
    for file in options.files:
        try:
            print(f"{file}: {_summary(load_space(file, options.overrides))}")
        except SpaceError as error:
            print(error, file=sys.stderr)
            status = 2
    return status


def _summary(space: Space) -> str:
    budget = space.budget
    limits = [
        f"{budget.trials} trials" if budget.trials else "",
        format_duration(budget.time_limit) if budget.time_limit else "",
        f"{budget.epochs} epochs" if budget.epochs else "",
    ]
    return (
        f"study {space.study}, {space.model.name}, {len(space.parameters)} parameters, "
        f"{space.sampler.name}, pruner {space.pruner.name}, {len(space.baselines)} baselines, "
        f"at most {', '.join(limit for limit in limits if limit)}"
    )


if __name__ == "__main__":
    sys.exit(main())
