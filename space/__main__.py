"""``python -m space``: check search-space files and config files, print their JSON Schemas."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from space.durations import format_duration
from space.errors import SpaceError
from space.files.configs import ConfigFile
from space.files.load import is_config_file, load_tree, parse_tree, read_space_file
from space.files.reader import file_name
from space.files.schema import config_schema_text, json_schema_text
from space.seeds import seed_problem
from space.space import Space


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit status: 0, or 2 if a file is wrong.
    """
    parser = argparse.ArgumentParser(
        prog="python -m space", description="Search-space files and config files."
    )
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
    schema = commands.add_parser("schema", help="print the JSON Schema of search-space files")
    schema.add_argument("--configs", action="store_true", help="of config files instead")
    options = parser.parse_args(arguments)
    if options.command == "schema":
        sys.stdout.write(config_schema_text() if options.configs else json_schema_text())
        return 0
    status = 0
    for file in options.files:
        try:
            print(f"{file}: {_checked(file, options.overrides)}")
        except SpaceError as error:
            print(error, file=sys.stderr)
            status = 2
    return status


def _checked(file: str, overrides: Sequence[str]) -> str:
    """What a valid file holds, in a line.

    Raises:
        SpaceError: If it or an override is wrong.
    """
    tree, source = load_tree(file), file_name(file)
    if is_config_file(tree):
        return _configs_summary(parse_tree(ConfigFile, tree, source, overrides))
    read = read_space_file(file, overrides)
    forms = [read.space(without_gpu=False)]
    if read.part is not None:
        forms.append(read.space(without_gpu=True))
    for space in forms:
        problem = seed_problem(space)
        if problem:
            raise SpaceError(f"{source}: {problem}")
    return "; without a GPU: ".join(map(_summary, forms))


def _configs_summary(file: ConfigFile) -> str:
    return f"{len(file.configs)} configs: {', '.join(named.name for named in file.configs)}"


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
