"""``python -m space``: check search-space files and config files, print their JSON Schemas."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from space.amounts import format_duration
from space.config import DEFAULT_TRAINABLE
from space.errors import SpaceError
from space.files.configs import ConfigFile
from space.files.load import is_config_file, load_tree, parse_tree, read_space_file
from space.files.reader import file_name
from space.files.schema import config_schema_text, json_schema_text
from space.study.identity import WITHOUT_GPU
from space.study.own import title
from space.study.space import Space
from space.terminal.command import EXIT_DONE, EXIT_USER, SET, Command, Option
from space.terminal.printing import say, say_error, write
from space.words import count

main = Command(
    "space",
    "Search-space files and config files.",
    examples=("check space/mlp.yaml", "schema --configs"),
)


@main.part(
    "check",
    Option("files", nargs="+", metavar="FILE"),
    SET.but(
        dest="overrides",
        help="lay a setting over each file's, e.g. training.epochs=10; default: none",
    ),
    help="check files, an exit status of 2 if one is wrong",
    examples=("space/convnet.yaml", "space/mlp.yaml --set training.epochs=10"),
)
def _check(options: Namespace) -> int:
    status = EXIT_DONE
    for file in options.files:
        try:
            say(f"{file}: {_checked(file, options.overrides)}")
        except SpaceError as error:
            for line in error.lines:
                say_error(line)
            status = EXIT_USER
    return status


@main.part(
    "schema",
    Option("--configs", action="store_true", help="of config files instead"),
    Option(
        "--trainable",
        default=DEFAULT_TRAINABLE,
        metavar="NAME",
        help=f"what is trained, e.g. mine.py:Flowers; default: {DEFAULT_TRAINABLE}",
    ),
    help="print the JSON Schema of search-space files",
    examples=("", "--configs"),
)
def _schema(options: Namespace) -> None:
    text = config_schema_text if options.configs else json_schema_text
    write(text(options.trainable))


def _checked(file: str, overrides: Sequence[str]) -> str:
    """What a valid file holds, in a line.

    Raises:
        SpaceError: If it or an override is wrong.
    """
    tree, source = load_tree(file), file_name(file)
    if is_config_file(tree):
        return _configs_summary(parse_tree(ConfigFile, tree, source, overrides))
    read = read_space_file(file, overrides)
    forms, wrong = list[Space](), list[str]()
    for without_gpu in (False,) if read.part is None else (False, True):
        try:
            space = read.space(without_gpu=without_gpu)
        except SpaceError as error:
            # What is wrong beside the part is wrong in both forms, and said of the first.
            known = f"{source} with its {WITHOUT_GPU}: "
            wrong += [line for line in error.lines if not (wrong and line.startswith(known))]
        else:
            problem = space.seed_problem()
            wrong += [f"{source}: {problem}"] if problem else []
            forms.append(space)
    if wrong:
        raise SpaceError(*dict.fromkeys(wrong))
    return "; without a GPU: ".join(map(_summary, forms))


def _configs_summary(file: ConfigFile) -> str:
    return (
        f"{count(len(file.configs), 'config')}: {', '.join(named.name for named in file.configs)}"
    )


def _summary(space: Space) -> str:
    budget = space.budget
    limits = [
        count(budget.trials, "trial") if budget.trials else "",
        format_duration(budget.time_limit) if budget.time_limit else "",
        count(budget.epochs, "epoch") if budget.epochs else "",
    ]
    most = ", ".join(limit for limit in limits if limit)
    return (
        f"study {space.study}, {space.what}, {count(len(space.parameters), 'parameter')}, "
        f"{title(space.sampler)}, pruner {title(space.pruner)}, "
        f"{count(len(space.baselines), 'baseline')}, at most {most}"
    )


if __name__ == "__main__":
    main.run()
