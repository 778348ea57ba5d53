"""Write a search-space file to begin with: ``search init NAME``."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError, Namespace
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from space import read_space_file
from space.config import DEFAULT_TRAINABLE
from space.errors import UsageError, nearest
from space.files.schema import json_schema_text
from space.files.shipped import shipped_files
from space.files.writing import write_output
from space.terminal.command import Command, Option
from space.terminal.printing import say, say_command
from space.terminal.program import words_of
from trainables.finding.find import SHIPPED, TO_COPY

__all__ = ["main"]

LIKE = "mlp"
"""The shipped file that a new one is like where none is named: the quickest to search."""


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,59}", text):
        raise ArgumentTypeError(
            f"'{text}' is no name: a letter, then letters, digits, '-' and '_', at most 60"
        )
    return text


@Command.of(
    "search.init",
    "Write a commented search-space file, and the schema by which editors complete it.",
    Option("name", type=_name, nargs="?", default="mine", metavar="NAME",
           help="of the study and the files; default: mine"),
    Option("--like", metavar="NAME",
           help=f"the shipped file that it begins as; default: {LIKE}, with --task {TO_COPY}"),
    Option("--task", action="store_true",
           help="write a file with a network and data of your own to change, too"),
    examples=("", "wide --like convnet", "flowers --task"),
)  # fmt: skip
def main(options: Namespace) -> None:
    """Write the files, and say what to do with them."""
    name: str = options.name
    like = options.like or (TO_COPY if options.task else LIKE)
    text, code = _text(like, name), _code(like) if options.task else None
    file, schema, task = (Path(f"{name}{suffix}") for suffix in (".yaml", ".schema.json", ".py"))
    for path in (file, schema, *((task,) if code else ())):
        if path.exists():
            raise UsageError(f"{path}: is there already; choose another name.")
    if code is not None:
        text = re.sub(rf"(?m)^trainable: {like}$", f"trainable: {task}:{code.attribute}", text)
        write_output("NAME", task, code.text)
    write_output("NAME", file, text)
    trainable = str(read_space_file(file).tree.get("trainable", DEFAULT_TRAINABLE))
    write_output("NAME", schema, json_schema_text(trainable))
    say(f"{file} is a search space to change as you like; editors complete it by {schema}")
    if code is not None:
        say(f"{task} is what it trains: put your network and your data in it")
        check = [*words_of("trainables"), "check", f"{task}:{code.attribute}"]
        say_command("try it with:     ", " ".join(check))
    say_command("check it with:   ", " ".join([*words_of("space"), "check", str(file)]))
    say_command("search it with:  ", " ".join([*words_of("search.launch"), "--space", str(file)]))


class _Code(NamedTuple):
    """A shipped trainable's file."""

    text: str
    attribute: str
    """What it defines."""


def _code(like: str) -> _Code:
    """The file of the trainable of a shipped search space.

    Raises:
        UsageError: If it is not whole in one file.
    """
    module, _, attribute = SHIPPED.get(like, "").partition(":")
    found = find_spec(module) if module else None
    text = "" if found is None else Path(str(found.origin)).read_text(encoding="utf-8")
    if not text or "trainables." in text:
        raise UsageError(
            f"--task: what '{like}' trains is not in one file of its own; leave --like out, for "
            f"{TO_COPY}."
        )
    return _Code(text, attribute)


def _text(like: str, name: str) -> str:
    """The text of a shipped file as one of another study.

    Raises:
        UsageError: If there is no such file.
    """
    shipped = {key: path for key, path in shipped_files().items() if path.parent.name != "paper"}
    if like not in shipped:
        raise UsageError(
            f"--like: no search-space file '{like}' is shipped; there are {', '.join(shipped)}"
            f"{nearest(like, shipped)}"
        )
    lines = shipped[like].read_text(encoding="utf-8").splitlines()
    lines[0] = f"# yaml-language-server: $schema={name}.schema.json"
    return "\n".join(re.sub(r"^study: .*", f"study: {name}", line) for line in lines) + "\n"


if __name__ == "__main__":
    main.run()
