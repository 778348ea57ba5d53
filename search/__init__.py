"""Hyperparameter search: `launch`, `benchmark`, `export`, `verdict`, `submit`, `open_study`.

A command is a package that ``python -m`` runs, and a function as well: ``search.launch(...)``.
"""

import runpy
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

runpy.run_path(
    str(Path(__file__).parents[1] / "space" / "hidden.py"),
    init_globals={"NEEDED": ("space", "trainables", "storage", "dashboards")},
)

if TYPE_CHECKING:
    from search.api import (
        AskedTrial,
        Benchmark,
        Study,
        Verdict,
        benchmark,
        export,
        launch,
        open_study,
        submit,
        verdict,
    )
    from space.errors import UserError

__all__ = [
    "AskedTrial",
    "Benchmark",
    "Study",
    "UserError",
    "Verdict",
    "benchmark",
    "export",
    "launch",
    "open_study",
    "submit",
    "verdict",
]


class CallablePackage(ModuleType):
    """A command's package that is called as the function of its name."""

    @property
    def __wrapped__(self) -> Any:
        """The function: its signature is that of the package."""
        return getattr(import_module("search.api"), self.__name__.rpartition(".")[2])

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it."""
        return self.__wrapped__(*args, **kwargs)

    @classmethod
    def make_of(cls, name: str) -> None:
        """Make a package callable that is being imported."""
        sys.modules[name].__class__ = cls


def __getattr__(name: str) -> Any:
    if name in ("launch", "benchmark", "export", "verdict"):
        return import_module(f"search.{name}")
    if name == "UserError":
        return import_module("space.errors").UserError
    if name in __all__:
        return getattr(import_module("search.api"), name)
    raise AttributeError(f"module 'search' has no attribute '{name}'")
