"""Write a search-space file to begin with: ``search init NAME``."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError, Namespace
from pathlib import Path

from space import read_space_file
from space.config import DEFAULT_TRAINABLE
from space.errors import UsageError, nearest
from space.files.schema import json_schema_text
from space.files.shipped import shipped_files
from space.files.writing import write_output
from space.terminal.command import Command, Option
from space.terminal.printing import say, say_command
from space.terminal.program import words_of

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
    Option("--like", default=LIKE, metavar="NAME",
           help=f"the shipped file that it begins as; default: {LIKE}"),
    examples=("", "wide --like convnet"),
)  # fmt: skip
def main(options: Namespace) -> None:
    """Write the files, and say what to do with them."""
    name: str = options.name
    text = _text(options.like, name)
    file, schema = Path(f"{name}.yaml"), Path(f"{name}.schema.json")
    for path in (file, schema):
        if path.exists():
            raise UsageError(f"{path}: is there already; choose another name.")
    write_output("NAME", file, text)
    trainable = str(read_space_file(file).tree.get("trainable", DEFAULT_TRAINABLE))
    write_output("NAME", schema, json_schema_text(trainable))
    say(f"{file} is a search space to change as you like; editors complete it by {schema}")
    say_command("check it with:   ", " ".join([*words_of("space"), "check", str(file)]))
    say_command("search it with:  ", " ".join([*words_of("search.launch"), "--space", str(file)]))


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
