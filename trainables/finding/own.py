"""A user's own trainable: found by its file or module, known by its text."""

from __future__ import annotations

import ast
import contextlib
import importlib
import importlib.util
import inspect
import linecache
import sys
import tempfile
import traceback
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from space.errors import SpaceError, nearest
from trainables.contract.function import loop_of_function
from trainables.contract.loop import Loop
from trainables.contract.loop_trainable import LoopTrainable
from trainables.contract.own_code import OwnCode
from trainables.contract.trainable import Trainable
from trainables.tracebacks import OURS, SENT_TEXT

__all__ = ["load_own", "load_text", "module_of_file", "wrapped"]


def load_text(own: OwnCode) -> Trainable[Any]:
    """The trainable of a text, from that alone."""
    with tempfile.TemporaryDirectory(prefix=SENT_TEXT) as folder:
        for path, text in own.files.items():
            (Path(folder) / path).parent.mkdir(parents=True, exist_ok=True)
            file = Path(folder) / path
            file.write_text(text, encoding="utf-8")
            # For tracebacks, once the folder is gone; without a time it counts as never changed.
            linecache.cache[str(file)] = len(text), None, text.splitlines(keepends=True), str(file)
        name = Path(own.name.partition(":")[0]).name
        with _first_on_path(folder):
            found = _loaded(own.name, Path(folder) / name, own)
            for path in own.files:  # What a function imports later would be gone by then.
                module = path.removesuffix(".py").removesuffix("/__init__")
                if path != name:
                    with contextlib.suppress(ImportError):
                        importlib.import_module(module.replace("/", "."))
    return found


def load_own(name: str) -> Trainable[Any]:
    """Load what a user wrote.

    Args:
        name: ``file.py:Name``, the file seen from the working directory, or ``package.module:Name``
            of what is installed.

    Raises:
        SpaceError: If there is no such file, it cannot be loaded, or what it names is no trainable.
    """
    where = name.partition(":")[0]
    if not where.endswith(".py"):
        return _loaded(name, None, None)
    path = Path(where).resolve()
    if not path.is_file():
        raise SpaceError(
            f"there is no file {where} in {Path.cwd()}: run the command where it is, or give its "
            "path"
        )
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # For what its functions import.
    with _first_on_path(str(path.parent)):
        return _loaded(name, path, OwnCode(name, _texts(path)))


def _loaded(name: str, path: Path | None, own: OwnCode | None) -> Trainable[Any]:
    """The trainable of a file, or of a module where there is none."""
    where, _, attribute = name.partition(":")
    try:
        module = importlib.import_module(where) if path is None else module_of_file(path)
        found = vars(module).get(attribute)
    except SpaceError:
        raise
    except Exception as error:  # whatever its code does
        raise _broken(where, error) from error
    if found is not None:
        try:
            trainable = wrapped(found, attribute)
        except SpaceError as error:
            line = _line_of(found)
            place = f"{where}, line {line}" if line else where
            raise SpaceError(f"{place}: {error}") from error
        trainable.name, trainable.own = name, own
        return trainable
    defined = [key for key, value in vars(module).items() if _is_own(value, module)]
    raise SpaceError(
        f"{where} has no '{attribute}'; it defines {', '.join(defined) or 'nothing'}"
        f"{nearest(attribute, defined)}"
    )


@contextlib.contextmanager
def _first_on_path(folder: str) -> Iterator[None]:
    """While a file is loaded, what it imports is looked for beside it first, as in a script."""
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def _is_own(value: Any, module: ModuleType) -> bool:
    is_defined = inspect.isclass(value) or inspect.isfunction(value)
    return is_defined and value.__module__ == module.__name__


class _AsItIs(SourceFileLoader):
    """Loads a file by its text alone.

    What Python keeps of it compiled counts as the file's for as long as its second of change and
    its length are the same: of two texts within a second the first would run.
    """

    def path_stats(self, path: str) -> NoReturn:
        """Keep Python from reading or keeping anything compiled."""
        raise OSError


def module_of_file(path: Path, prefix: str = "_own_") -> ModuleType:
    """The module that a user's file makes.

    Args:
        path: The file.
        prefix: What its name begins with, so that it is no other module's.

    Raises:
        ImportError: If it cannot be loaded as Python.
        Exception: What its code raises.
    """
    name = f"{prefix}{path.stem}"
    spec = importlib.util.spec_from_file_location(name, loader=_AsItIs(name, str(path)))
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)
    return module


def _texts(path: Path) -> dict[str, str]:
    """The text of a file and of all beside it that it imports, one from the other."""
    folder, found, waiting = path.parent, dict[str, str](), [path]
    while waiting:
        file = waiting.pop()
        relative = file.relative_to(folder).as_posix()
        if relative not in found:
            found[relative] = file.read_text(encoding="utf-8", errors="replace")
            waiting += _beside(found[relative], folder)
    return found


def _beside(text: str, folder: Path) -> Iterator[Path]:
    """The files below a folder that a text imports."""
    try:
        tree = ast.parse(text)
    except SyntaxError:  # It is said once the file is loaded.
        return
    for node in ast.walk(tree):
        names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
        for name in names:
            parts = name.split(".")
            if parts[0] in OURS:
                continue
            for n in range(1, len(parts) + 1):
                module = folder.joinpath(*parts[:n])
                files = (module.with_suffix(".py"), module / "__init__.py")
                yield from (file for file in files if file.is_file())


def _broken(where: str, error: Exception) -> SpaceError:
    """What a file's own code did wrong, and in which line."""
    said = " ".join(str(error).split())
    if isinstance(error, SyntaxError):
        return SpaceError(f"{where}, line {error.lineno}: not valid Python: {error.msg}")
    if isinstance(error, ModuleNotFoundError) and error.name and where.startswith(error.name):
        return SpaceError(
            f"no module is named '{where}': install it, or name a file, as in mine.py:Name"
        )
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename).name == Path(where).name]
    place = f"{where}, line {lines[-1]}" if lines else where
    return SpaceError(f"{place}: {type(error).__name__}: {said}")


def wrapped(found: Any, name: str) -> Trainable[Any]:
    """The trainable of a class or a function.

    Args:
        found: A `Task`, a `Loop` or a generator function.
        name: What files call it.

    Raises:
        SpaceError: If it is none of these, or not complete.
    """
    if inspect.isclass(found) and issubclass(found, Trainable):
        trainable: Trainable[Any] = found()
        return _described(trainable, found)
    if inspect.isclass(found) and issubclass(found, Loop):
        return _described(LoopTrainable(found, name), found)
    if inspect.isfunction(found):
        return _described(LoopTrainable(loop_of_function(found, name), name), found)
    if inspect.isclass(found) and "trainables.contract.task" in sys.modules:
        from trainables.contract.task import Task
        from trainables.loop.task_trainable import TaskTrainable

        if issubclass(found, Task):
            return _described(TaskTrainable(found, name), found)
    raise SpaceError(
        f"{name} is a {type(found).__name__}; expected a class that derives from trainables.Task "
        "or trainables.Loop, or a function that yields each epoch's metrics"
    )


def _described(trainable: Trainable[Any], found: Any) -> Trainable[Any]:
    trainable.about = (inspect.getdoc(found) or "").partition("\n")[0]
    return trainable


def _line_of(found: Any) -> int | None:
    """Where a file defines it."""
    try:
        return inspect.getsourcelines(found)[1]
    except (OSError, TypeError):
        return None
