# PYTHON_ARGCOMPLETE_OK
"""All commands by one name: ``search launch``, ``search serve`` and so on."""

from __future__ import annotations

import argparse
import os
from importlib import import_module
from importlib.metadata import version
from typing import Any, NoReturn

from space.errors import UsageError, nearest
from space.terminal.command import EXIT_DONE, Command, run_process
from space.terminal.printing import write
from space.terminal.program import PROGRAM

__all__ = ["COMMANDS", "main", "run"]

DISTRIBUTION = "digit-pair-search"

COMMANDS = {
    "init": ("search.init", "write a search-space file to begin with"),
    "launch": ("search.launch.__main__", "search hyperparameters, or go on with a search"),
    "export": ("search.export.__main__", "write a study's best config as a file"),
    "benchmark": ("search.benchmark.__main__", "train configs on several seeds and compare them"),
    "verdict": ("search.verdict.__main__", "compare configs by runs from elsewhere, in a CSV"),
    "submit": ("search.service.submit", "put a launch or a benchmark into the queue"),
    "agent": ("search.agent.__main__", "run what waits in the queue"),
    "queue": ("search.service.queue", "show what waits and runs"),
    "stop": ("search.service.stop", "end a submission, a launch or a trial"),
    "pause": ("search.service.pause", "set a submission aside"),
    "resume": ("search.service.resume", "put a submission back into the queue"),
    "priority": ("search.service.priority", "give a submission another priority"),
    "add-budget": ("search.service.add_budget", "give a launch that runs more trials or time"),
    "queue-trial": ("search.queue_trial", "put a trial into a study's queue"),
    "note": ("search.service.note", "write a note or a tag on a study or a trial"),
    "actions": ("search.service.actions", "show who asked for what, and what became of it"),
    "predict": ("search.predict", "apply the winner's network to new inputs"),
    "serve": (
        "search.serve.__main__",
        "show studies and benchmarks in the browser; the HTTP API",
    ),
    "tokens": ("search.tokens", "make, list and revoke the API's tokens"),
    "report": ("dashboards.report", "write studies and benchmarks as one HTML file"),
    "publish": ("dashboards.publish", "put a study's figures into Optuna Dashboard"),
    "simulate": ("search.simulate.__main__", "replay searches over recorded curves"),
    "grid-report": ("search.grid_report", "print a grid search's curves"),
    "storage": ("storage.__main__", "list, show, check, copy and remove what a store holds"),
    "space": ("space.__main__", "check search-space files, print their schema"),
    "trainables": ("trainables.__main__", "list what can be trained, try out one's own"),
}
"""What one types -> the module and what it does. Only what is asked for is loaded."""

_USAGE = f"""\
usage: {PROGRAM} COMMAND [OPTIONS]

Hyperparameter search and benchmarks: Ray Tune, Optuna and SQL.

commands:
{"".join(f"  {name:<12}  {text}" + chr(10) for name, (_, text) in COMMANDS.items())}
`{PROGRAM} COMMAND --help` says what a command takes, `{PROGRAM} --version` which release this is.
"""


def command(name: str) -> Command:
    """The command that one types so.

    Raises:
        UsageError: If there is none.
    """
    if name not in COMMANDS:
        raise UsageError(
            f"{PROGRAM}: there is no command '{name}'{nearest(name, COMMANDS)}; see --help."
        )
    found: Command = import_module(COMMANDS[name][0]).main
    return found


def main(argv: list[str]) -> int:
    """Do what some arguments say, and return the exit status."""
    if argv[:1] in ([], ["-h"], ["--help"]):
        write(_USAGE)
        return EXIT_DONE
    if argv == ["--version"]:
        write(f"{PROGRAM} {version(DISTRIBUTION)}\n")
        return EXIT_DONE
    return command(argv[0])(argv[1:])


def _complete() -> None:
    """Answer the shell, which asks how a line may go on, and leave."""
    import argcomplete

    typed = os.environ["COMP_LINE"].split()[1:2]
    parser = argparse.ArgumentParser(prog=PROGRAM)
    parts = parser.add_subparsers(parser_class=_of_command)  # type: ignore[call-overload]
    for name in COMMANDS:
        if typed == [name]:
            parts.add_parser(name, of=name)
        else:
            parts.add_parser(name)
    argcomplete.autocomplete(parser)


def _of_command(of: str | None = None, **_: Any) -> argparse.ArgumentParser:
    """The parser of a command; an empty one where only the command's name is wanted."""
    return argparse.ArgumentParser() if of is None else command(of).build_parser()


def run() -> NoReturn:
    """The program ``search``."""
    if "_ARGCOMPLETE" in os.environ:
        _complete()
    run_process(main)


if __name__ == "__main__":
    run()
