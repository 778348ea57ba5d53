"""Search-space files: read, overridden, checked, with one sentence for a mistake."""

from __future__ import annotations

import copy
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

from pydantic import BaseModel, ValidationError

from space.errors import SpaceError
from space.files.overrides import Override, apply_overrides, parse_override
from space.files.reader import Lines, file_name, read_yaml
from space.files.shipped import located
from space.messages import Mistake, dotted, mistakes
from space.study.identity import WITHOUT_GPU
from space.study.space import Space
from space.trainable import FilePart
from space.words import describe

__all__ = [
    "WHOLE",
    "SpaceFile",
    "is_config_file",
    "is_space_file",
    "load_space",
    "load_tree",
    "parse_space",
    "parse_tree",
    "read_space_file",
]

M = TypeVar("M", bound=BaseModel)
_Path = tuple[str | int, ...]

WHOLE = ("sampler", "pruner", "objective")
"""Mappings whose keys depend on one another: ``without_gpu`` replaces them as a whole."""


class Said(NamedTuple):
    """Where a value was said."""

    line: int | None = None
    """Its line in the file, from 1."""
    label: str | None = None
    """What the user wrote, where an override said it."""
    of_part: bool = False
    """Whether the file's ``without_gpu`` said it, under the same keys below that one."""


class FileTree(dict[str, Any]):
    """A file's values, which know where they were said.

    Attributes:
        said: Keys and list indices that lead to a value -> where it was said. What says nothing of
            itself was said where the nearest value around it was.
    """

    def __init__(self, values: Mapping[str, Any], said: Mapping[_Path, Said]) -> None:
        """Keep both."""
        super().__init__(values)
        self.said = dict(said)

    def laid(self, path: _Path, said: Said) -> None:
        """A value was laid over whatever was at a path."""
        self.said = {each: at for each, at in self.said.items() if each[: len(path)] != path}
        self.said[path] = said

    def where(self, path: _Path) -> tuple[_Path, Said]:
        """The nearest value at or around a path that was said somewhere, and where it was."""
        around = (path[:n] for n in range(len(path), 0, -1))
        return next(((at, self.said[at]) for at in around if at in self.said), ((), Said()))


@dataclass(frozen=True, kw_only=True)
class SpaceFile:
    """A search-space file as it was read: it has two forms where it says ``without_gpu``."""

    name: str
    tree: FileTree
    part: Mapping[str, Any] | None
    """What differs where trials get no GPU; None where nothing does."""
    overrides: tuple[Override, ...]

    @classmethod
    def of(cls, tree: Mapping[str, Any], name: str, overrides: Sequence[str | Override]) -> Self:
        """The file with the overrides of its ``without_gpu`` laid over that.

        Raises:
            SpaceError: If it is no mapping, or has what cannot differ.
        """
        changed = copy.deepcopy(dict(tree))
        parsed = [parse_override(each) if isinstance(each, str) else each for each in overrides]
        of_part = [each for each in parsed if each.key.split(".")[0] == WITHOUT_GPU]
        apply_overrides(changed, of_part)
        part = changed.pop(WITHOUT_GPU, None)
        if part is not None and not isinstance(part, dict):
            raise SpaceError(
                f"{name}: {WITHOUT_GPU}: found {describe(part)}; expected a mapping of settings"
            )
        for key in ("study", WITHOUT_GPU):
            if key in (part or ()):
                raise SpaceError(
                    f"{name}: {WITHOUT_GPU}.{key}: it cannot differ where trials get no GPU"
                )
        return cls(
            name=name,
            tree=FileTree(changed, tree.said if isinstance(tree, FileTree) else {}),
            part=part,
            overrides=tuple(each for each in parsed if each not in of_part),
        )

    def forms(self) -> list[Space]:
        """Those of its forms that are right, that with a GPU first.

        Raises:
            SpaceError: If none is: what is wrong with the first.
        """
        found, wrong = list[Space](), list[SpaceError]()
        for without_gpu in (False,) if self.part is None else (False, True):
            try:
                found.append(self.space(without_gpu=without_gpu))
            except SpaceError as error:
                wrong.append(error)
        if not found:
            raise wrong[0]
        return found

    def space(self, *, without_gpu: bool) -> Space:
        """One of its forms.

        Args:
            without_gpu: That for trials that get no GPU.

        Raises:
            SpaceError: As in `load_space`.
        """
        if self.part is None:
            return parse_space(self.tree, self.name, self.overrides)
        tree = FileTree(self.tree, self.tree.said)
        for key, value in self.part.items() if without_gpu else ():
            there = tree.get(key)
            laid: list[_Path] = [(key,)]
            if isinstance(value, dict) and isinstance(there, dict) and key not in WHOLE:
                laid, value = [(key, name) for name in value], {**there, **value}
            tree[key] = value
            for path in laid:
                tree.laid(path, Said(of_part=True))
        tree[WITHOUT_GPU] = without_gpu
        return parse_tree(Space, tree, self.name, self.overrides)


def load_space(
    path: str | Path, overrides: Sequence[str | Override] = (), *, without_gpu: bool = False
) -> Space:
    """Read a search-space file in one of its forms.

    Args:
        path: A YAML file, or the name of a shipped one.
        overrides: Settings to lay over the file's before it is checked: ``KEY=VALUE`` as in
            ``--set``, or `Override`. Later ones prevail.
        without_gpu: Lay the file's ``without_gpu``, if it has one, over the rest before that.

    Returns:
        The space, consistent throughout.

    Raises:
        SpaceError: If the file cannot be read, or it or an override is wrong: a sentence, or where
            there are several mistakes a line for each with its line in the file.
    """
    return read_space_file(path, overrides).space(without_gpu=without_gpu)


def read_space_file(path: str | Path, overrides: Sequence[str | Override] = ()) -> SpaceFile:
    """Read a search-space file whose form is not settled yet.

    Args:
        path: A YAML file, or the name of a shipped one.
        overrides: As in `load_space`.

    Raises:
        SpaceError: If the file cannot be read, or its ``without_gpu`` or an override is none.
    """
    tree, name = load_tree(path), file_name(path)
    if is_config_file(tree):
        raise SpaceError(
            f"{name}: a config file, whose configs are compared as they are; run it with "
            f"`python -m search.benchmark --config {shlex.quote(name)}`, or name a search-space "
            "file, which has 'study' and 'parameters'"
        )
    return SpaceFile.of(tree, name, overrides)


def is_config_file(tree: Mapping[str, Any]) -> bool:
    """Whether a file's values are meant for `space.load_configs`."""
    return "configs" in tree and "parameters" not in tree


def is_space_file(tree: Mapping[str, Any]) -> bool:
    """Whether a file's values are meant for `load_space`."""
    return "configs" not in tree and ("parameters" in tree or "study" in tree)


def parse_space(
    tree: Mapping[str, Any], source: str, overrides: Sequence[str | Override] = ()
) -> Space:
    """A space from plain values, such as ``Space.model_dump(mode="json")`` gives.

    Args:
        tree: The values; left as they are.
        source: What to call them in an error, e.g. the file's name.
        overrides: As in `load_space`.

    Raises:
        SpaceError: As in `load_space`.
    """
    return parse_tree(Space, tree, source, overrides)


def load_tree(path: str | Path) -> FileTree:
    """Read a YAML file that holds a mapping.

    Args:
        path: Its path, or the name of a shipped file.

    Raises:
        SpaceError: If it cannot be read, is not valid YAML or holds something else.
    """
    lines: Lines = {}
    tree = read_yaml(located(path), lines)
    if tree is None:
        raise SpaceError(f"{file_name(path)}: empty; expected a mapping of settings")
    if not isinstance(tree, dict):
        raise SpaceError(
            f"{file_name(path)}: found {describe(tree)}; expected a mapping of settings"
        )
    return FileTree(tree, {path: Said(line=line) for path, line in lines.items()})


def parse_tree(
    model: type[M],
    tree: Mapping[str, Any],
    source: str,
    overrides: Sequence[str | Override] = (),
) -> M:
    """Check plain values against a type.

    Args:
        model: The type.
        tree: The values; left as they are.
        source: What to call them in an error.
        overrides: As in `load_space`.

    Raises:
        SpaceError: As in `load_space`.
    """
    plain = copy.deepcopy(dict(tree))
    placed = apply_overrides(
        plain, [parse_override(each) if isinstance(each, str) else each for each in overrides]
    )
    changed = FileTree(plain, tree.said if isinstance(tree, FileTree) else {})
    for path, override in placed:
        changed.laid(path, Said(label=override.label))
    typed: type[M] = model
    if issubclass(model, FilePart):
        try:
            typed = model.of(plain)
        except SpaceError as error:
            raise SpaceError(*(f"{source}: trainable: {line}" for line in error.lines)) from error
    try:
        return typed.model_validate(plain)
    except ValidationError as error:
        found = mistakes(error, typed, plain)
        said = (_sentence(each, source, changed, with_line=len(found) > 1) for each in found)
        raise SpaceError(*said) from error


def _sentence(mistake: Mistake, source: str, tree: FileTree, *, with_line: bool) -> str:
    """A mistake after the file and the key path, or the override that brought it in."""
    at, said = tree.where(mistake.path)
    path = dotted(mistake.path)
    if said.label is not None:
        where = said.label if mistake.path == at else f"{said.label}: {path}"
    elif said.of_part:
        where = f"{source}: {WITHOUT_GPU}.{path}"
        said = tree.where((WITHOUT_GPU, *mistake.path))[1]
    else:
        if any(each.of_part for each in tree.said.values()):
            source = f"{source} with its {WITHOUT_GPU}"
        where = f"{source}: {path}" if path else source
    line = f" (line {said.line})" if with_line and said.line is not None else ""
    return f"{where}: {mistake.problem}{line}"
