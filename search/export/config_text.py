"""Config files as text: YAML for people, which `space.load_configs` reads back unchanged."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from space import ConfigFile, load_configs
from space.config import DEFAULT_TRAINABLE
from space.errors import SpaceError, UsageError
from space.files.reader import LARGEST, file_name, parse_yaml
from space.files.writing import write_output

__all__ = ["check_output", "config_text", "write_configs"]

_NEVER_FOLDED = 1_000_000


def config_text(file: ConfigFile, comment: str = "") -> str:
    """A config file's text, every setting spelled out.

    Args:
        file: The configs.
        comment: What stands above them, a line or more.

    Returns:
        YAML. A data root belongs to one machine, so it is null; what `reported` and `provenance` do
        not have is left out.
    """
    tree: dict[str, Any] = {"name": file.name}
    if file.title:
        tree["title"] = file.title
    if file.trainable != DEFAULT_TRAINABLE:
        tree["trainable"] = file.trainable
    tree["configs"] = []
    for named in file.configs:
        dumped = named.with_config(named.config.without_place()).model_dump()
        dumped.pop("trainable", None)  # It is that of the whole file.
        for key in ("reported", "provenance"):
            if not dumped[key]:
                del dumped[key]
        tree["configs"].append(dumped)
    text = yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_NEVER_FOLDED)
    return "".join(f"# {line}".rstrip() + "\n" for line in comment.splitlines()) + text


def check_output(path: Path) -> None:
    """Refuse to write over what is no config file.

    Raises:
        UsageError: If something else is there.
    """
    if not os.path.lexists(path):
        return
    try:
        load_configs(path)
    except SpaceError as error:
        raise UsageError(
            f"--output {file_name(path)}: there already, and no config file that could be "
            "replaced; name another file."
        ) from error


def write_configs(path: Path, text: str) -> None:
    """Write a config file whole or not at all; its directory is made.

    Args:
        path: Where to.
        text: From `config_text`.

    Raises:
        UsageError: If something else is there, the text is more than a config file may have, or the
            file cannot be written.
    """
    check_output(path)
    if len(text.encode()) > LARGEST:
        raise UsageError(
            f"--output {file_name(path)}: more than the {LARGEST:,} bytes that a config file may "
            "have; export fewer configs with --top."
        )
    write_output("--output", path, text)


class _Dumper(yaml.SafeDumper):
    """Writes what `space.files.reader` reads back unchanged."""

    def ignore_aliases(self, data: Any) -> bool:
        """Always: the reader takes no anchors."""
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    # The library types by YAML 1.1, the reader by 1.2: a commit such as 1234e56 is a number there.
    try:
        is_plain = parse_yaml(value, "") == value
    except SpaceError:
        is_plain = False
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if is_plain else '"')


def _list(dumper: yaml.SafeDumper, values: list[Any]) -> yaml.Node:
    is_flat = not any(isinstance(value, dict | list) for value in values)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=is_flat)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(list, _list)
