"""A user's own trainable: found by its file or module, known by its text."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from space.errors import SpaceError, nearest
from trainables.trainable import Trainable

__all__ = ["OwnCode", "load_own"]


@dataclass(frozen=True)
class OwnCode:
    """The text of a user's trainable, for processes that may not have its files.

    Attributes:
        name: What space files call it, ``file.py:Name``.
        files: Path below the file's folder -> text: the file and the modules beside it that it
            imports.
    """

    name: str
    files: dict[str, str]

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits of all of its text."""
        digest = hashlib.sha256()
        for path, text in sorted(self.files.items()):
            digest.update(f"{path}\0{text}\0".encode())
        return digest.hexdigest()[:16]

    def write(self, folder: Path) -> None:
        """Write the files into a folder, from which the trainable can be loaded."""
        for path, text in self.files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")


def load_own(name: str, folder: Path | None = None) -> Trainable[Any]:
    """Load what a user wrote.

    Args:
        name: ``file.py:Name``, or ``package.module:Name`` of what is installed.
        folder: Where the file is; default: the working directory.

    Raises:
        SpaceError: If there is no such file, it cannot be loaded, or what it names is no trainable.
    """
    where, _, attribute = name.partition(":")
    if where.endswith(".py"):
        module, code = _from_file(where, name, folder or Path.cwd())
    else:
        module, code = _from_module(where), OwnCode(name, {})
    found = vars(module).get(attribute)
    if found is None:
        own = [key for key, value in vars(module).items() if _is_own(value, module)]
        raise SpaceError(
            f"{where} has no '{attribute}'; it defines {', '.join(own) or 'nothing'}"
            f"{nearest(attribute, own)}"
        )
    trainable = _wrapped(found, name)
    trainable.name = name
    trainable.own = code if code.files else None
    return trainable


def _is_own(value: Any, module: ModuleType) -> bool:
    is_defined = inspect.isclass(value) or inspect.isfunction(value)
    return is_defined and value.__module__ == module.__name__


def _from_module(where: str) -> ModuleType:
    try:
        return importlib.import_module(where)
    except ModuleNotFoundError as error:
        if error.name is None or not where.startswith(error.name):
            raise _broken(where, error) from error
        raise SpaceError(
            f"no module is named '{where}': install it, or name a file, as in mine.py:Name"
        ) from error
    except Exception as error:  # whatever its code does
        raise _broken(where, error) from error


def _from_file(where: str, name: str, folder: Path) -> tuple[ModuleType, OwnCode]:
    path = (folder / where).resolve()
    if not path.is_file():
        raise SpaceError(
            f"there is no file {where} in {folder}: run the command where it is, or give its path"
        )
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # Behind all else: what lies there hides nothing.
    spec = importlib.util.spec_from_file_location(f"_own_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise SpaceError(f"{where} cannot be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever its code does
        del sys.modules[module.__name__]
        raise _broken(where, error) from error
    return module, OwnCode(name, _texts(path, where))


def _texts(path: Path, where: str) -> dict[str, str]:
    """The texts of the file and of the modules beside it that are loaded by now."""
    files = {where if not Path(where).is_absolute() else path.name: path}
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or not file.endswith(".py") or not Path(file).is_absolute():
            continue  # Some of PyTorch's modules have made-up files.
        beside = Path(file).resolve()
        if beside == path or not beside.is_relative_to(path.parent) or not beside.is_file():
            continue
        relative = beside.relative_to(path.parent)
        if not any(part.startswith(".") or part == "site-packages" for part in relative.parts):
            files[str(relative)] = beside
    return {name: file.read_text(encoding="utf-8") for name, file in files.items()}


def _broken(where: str, error: Exception) -> SpaceError:
    """What a file's own code did wrong, and in which line."""
    said = " ".join(str(error).split())
    if isinstance(error, SyntaxError):
        return SpaceError(f"{where}, line {error.lineno}: not valid Python: {error.msg}")
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename).name == Path(where).name]
    place = f"{where}, line {lines[-1]}" if lines else where
    return SpaceError(f"{place}: {type(error).__name__}: {said}")


def _wrapped(found: Any, name: str) -> Trainable[Any]:
    """A trainable of what a user's file defines."""
    if inspect.isclass(found) and issubclass(found, Trainable):
        return found()
    if inspect.isclass(found) and "trainables.task" in sys.modules:
        from trainables.of_task import TaskTrainable
        from trainables.task import Task

        if issubclass(found, Task):
            return TaskTrainable(found, name)
    raise SpaceError(
        f"{name} is a {type(found).__name__}; expected a class that derives from trainables.Task "
        "or trainables.Trainable"
    )
