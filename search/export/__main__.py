"""Write a study's best config: ``python -m search.export --study NAME --output best/NAME.yaml``.

The file is complete in itself: no setting is left to a default that may change, and its provenance
says which selection it rests on. A config that was confirmed on fresh seeds goes before one that
was merely best in the search.
"""

from __future__ import annotations

import argparse
from argparse import Namespace

from space.terminal.command import OneOf, Option, count_of, local_path
from space.terminal.printing import say, say_command, say_json, say_whole
from storage.commands.kit import (
    CHECKPOINTS,
    OUTPUT,
    STORAGE,
    STUDY,
    VERBOSE,
    StoreCommand,
    format_of,
)

__all__ = ["main"]


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise argparse.ArgumentTypeError(f"'{text}' is not the number of a trial")
    return int(text)


@StoreCommand.of(
    "search.export",
    "Write the best config of a study, complete and with its provenance.",
    STUDY,
    OUTPUT.but(help="the config file to write"),
    STORAGE,
    OneOf(
        count_of(
            "--top",
            "the K best distinct configs; default: 1, or the whole front of several objectives",
            metavar="K",
        ),
        Option("--trial", type=_number, metavar="N", help="this trial; default: the best"),
    ),
    Option(
        "--baseline", action="store_true", help="the study's baseline first: to compare with it"
    ),
    Option(
        "--weights",
        type=local_path,
        metavar="FILE",
        help="write the weights of the best config's best run, too, as safetensors; default: none",
    ),
    CHECKPOINTS.but(help="where they were kept; default: where the study's launches kept them"),
    format_of("what stdout says"),
    VERBOSE,
    examples=(
        "--study mlp --output best/mlp.yaml",
        "--study mlp --baseline --top 3 --output best/three.yaml",
    ),
)
def main(options: Namespace) -> None:
    """Write the file, and say what is in it."""
    from search.export.write import shown_values, write_best

    written = write_best(options)
    file, note, output = written.file, written.note, options.output
    if options.format == "json":
        found = {
            "study": options.study,
            "output": output,
            "configs": [{"name": each.name, **each.provenance} for each in file.configs],
            "note": note,
            "weights": written.weights,
            "next": written.benchmark,
        }
        say_json(found)
    else:
        for each in file.configs:
            say(f"{each.name}: {shown_values(each)} ({each.provenance['selection']})")
        if note is not None:
            say(note)
        say_whole(f"written to:    {output}")
        if written.weights is not None:
            say_whole(f"weights:       {options.weights} ({written.weights})")
        say_command("benchmark it:  ", written.benchmark)


if __name__ == "__main__":
    main.run()
