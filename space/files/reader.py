"""Text to plain values: the part of YAML that files of settings need, without its surprises.

Read are mappings, lists and scalars, typed by YAML 1.2's core rules: ``1e-3`` is a number, ``no``
and ``on`` are text, ``010`` is ten. Refused are duplicate keys, anchors, aliases and tags, and
what is too large or nested too deeply; nothing in a file can run code or exhaust memory.

Source: YAML 1.2.2, section 10.3.2, tag resolution.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import yaml

from space.errors import SpaceError
from space.files.shipped import shipped_files
from space.words import describe

__all__ = ["DEEPEST", "LARGEST", "Lines", "file_name", "parse_yaml", "read_yaml"]

LARGEST = 100_000
"""Bytes that a file may have."""
DEEPEST = 20
"""Levels of nesting that a file may have."""

_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **{
        sign + word: float(f"{sign}inf")
        for sign in ("", "+", "-")
        for word in (".inf", ".Inf", ".INF")
    },
}
Lines = dict[tuple[str | int, ...], int]
"""Keys and list indices that lead to a value -> its line, from 1."""
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")


def read_yaml(path: Path, lines: Lines | None = None) -> Any:
    """Read a file.

    Args:
        path: A YAML file in UTF-8.
        lines: Where to put the line of each value.

    Returns:
        Its value: dicts with text keys, lists, scalars.

    Raises:
        SpaceError: If the file cannot be read or is not valid.
    """
    content, name = read_file(path, LARGEST), file_name(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpaceError(f"{name}: byte {error.start + 1} is not UTF-8 text") from error
    return parse_yaml(text, name, lines)


def read_file(path: Path, largest: int) -> bytes:
    """What is in a file.

    Args:
        path: The file.
        largest: Bytes that it may have.

    Raises:
        SpaceError: If it cannot be read, or has more.
    """
    name = file_name(path)
    try:
        with path.open("rb") as file:
            content = file.read(largest + 1)
    except FileNotFoundError as error:
        raise SpaceError(f"{name}: no such file{_sibling(path)}") from error
    except IsADirectoryError as error:
        raise SpaceError(f"{name}: a directory; expected a file") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SpaceError(f"{name}: cannot be read: {reason}") from error
    if len(content) > largest:
        raise SpaceError(f"{name}: too large; at most {largest:,} bytes")
    return content


def file_name(path: str | Path) -> str:
    """A path as it may stand in a sentence."""
    text = str(path)
    return text if text.isprintable() and len(text) <= 250 else describe(text)


def parse_yaml(text: str, source: str, lines: Lines | None = None) -> Any:
    """Read one YAML document.

    Args:
        text: The document; an empty one is null.
        source: What to call it in an error.
        lines: Where to put the line of each value.

    Returns:
        Its value: dicts with text keys, lists, scalars.

    Raises:
        SpaceError: If the text is not valid.
    """
    try:
        events = yaml.parse(text, Loader=yaml.SafeLoader)
        return _Builder(events, source, {} if lines is None else lines).document()
    except yaml.MarkedYAMLError as error:
        problem = " ".join(part for part in (error.context, error.problem) if part)
        mark = error.problem_mark or error.context_mark
        raise SpaceError(f"{source}: {_place(mark)}not valid YAML: {problem}") from error
    except yaml.reader.ReaderError as error:
        raise SpaceError(
            f"{source}: not valid YAML: character {error.position + 1} is not printable"
        ) from error
    except (ValueError, OverflowError) as error:
        raise SpaceError(f"{source}: not valid YAML: {error}") from error


class _Builder:
    """Values from the parser's events."""

    def __init__(self, events: Iterator[yaml.Event], source: str, lines: Lines) -> None:
        self._events = events
        self._source = source
        self._lines = lines

    def document(self) -> Any:
        next(self._events)
        first = next(self._events)
        if isinstance(first, yaml.StreamEndEvent):
            return None
        value = self._value(next(self._events), ())
        next(self._events)
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            self._refuse(after, "a second document; expected one")
        return value

    def _value(self, event: yaml.Event, path: tuple[str | int, ...]) -> Any:
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            self._refuse(event, "anchors and aliases are not supported; repeat the value")
        tag = getattr(event, "tag", None)
        if tag is not None:
            self._refuse(event, f"found the tag {describe(tag)}; tags are not supported")
        if len(path) >= DEEPEST:
            self._refuse(event, f"nested more than {DEEPEST} levels deep")
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._list(path)
        return self._scalar(event)

    def _mapping(self, path: tuple[str | int, ...]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                self._refuse(event, "expected a plain key")
            self._value(event, path)
            if event.value in found:
                self._refuse(event, f"the key {describe(event.value)} a second time")
            found[event.value] = None
            inner = (*path, event.value)
            self._note(inner, event)
            found[event.value] = self._value(next(self._events), inner)
        return found

    def _list(self, path: tuple[str | int, ...]) -> list[Any]:
        found: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            inner = (*path, len(found))
            self._note(inner, event)
            found.append(self._value(event, inner))
        return found

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        if any("\ud800" <= character <= "\udfff" for character in text):
            self._refuse(event, "half a surrogate is no character")
        if event.style is not None:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INT.fullmatch(text):
            if len(text) > 20:
                self._refuse(event, f"the integer {describe(text)} is too large")
            return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
        return float(text) if _FLOAT.fullmatch(text) else text

    def _note(self, path: tuple[str | int, ...], event: yaml.Event) -> None:
        if event.start_mark is not None:
            self._lines[path] = event.start_mark.line + 1

    def _refuse(self, event: yaml.Event, problem: str) -> NoReturn:
        raise SpaceError(f"{self._source}: {_place(event.start_mark)}{problem}")


def _place(mark: Any) -> str:
    return "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "


def _sibling(path: Path) -> str:
    try:
        others = [other for other in path.parent.iterdir() if other.suffix in (".yaml", ".yml")]
    except OSError:
        return ""
    stems = {other.stem: other for other in others}
    if len(path.parts) == 1 and not path.suffix:
        stems = {name: Path(name) for name in shipped_files()} | stems
    close = difflib.get_close_matches(path.stem, stems, n=1)
    return f"; did you mean '{file_name(stems[close[0]])}'?" if close else ""
