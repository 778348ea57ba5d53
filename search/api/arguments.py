"""Keyword arguments as the options of a command: the same words, checks and sentences."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from storage.commands.kit import StoreCommand

__all__ = ["Callbacks", "Paths", "Settings", "options_of"]

Settings = Mapping[str, Any]
"""Dotted path -> value, as ``--set`` takes them one by one."""
Callbacks = Iterable[str | Mapping[str, Any]]
"""Names, or mappings with a name and options."""
Paths = str | Path | Iterable[str | Path]
"""A file, or several."""


def options_of(command: StoreCommand, **given: Any) -> Namespace:
    """What a command would have read from its command line.

    Args:
        command: The command.
        given: Its options: None and False leave one out, True is a switch, a mapping gives
            ``KEY=VALUE`` for each key, another collection the option once for each element, with a
            mapping among these as JSON.

    Returns:
        Its options, with ``typed`` as the command line that does the same.

    Raises:
        UsageError: If a value is not one that the option takes.
    """
    return command.options([word for name, value in given.items() for word in _words(name, value)])


def _words(name: str, value: Any) -> Iterator[str]:
    option = "--" + name.replace("_", "-")
    if value is None or value is False:
        return
    if value is True:
        yield option
        return
    if isinstance(value, Mapping):
        values = [f"{key}={json.dumps(each)}" for key, each in value.items()]
    elif isinstance(value, str | os.PathLike | int | float):
        values = [str(value)]
    else:
        values = [json.dumps(each) if isinstance(each, Mapping) else str(each) for each in value]
    for each in values:
        # A value that begins with a dash would be taken for an option.
        yield from [f"{option}={each}"] if each.startswith("-") else [option, each]
