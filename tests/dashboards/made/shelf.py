"""Studies and benchmarks that tests only look at, each made once in a session."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from dashboards.figures.benchmark.panels import benchmark_panels
from dashboards.figures.panel import Panel
from dashboards.figures.study.panels import study_panels
from dashboards.numbers.benchmark import BenchmarkView, read_benchmark
from dashboards.numbers.study.view import StudyView, read_study
from storage import Store, open_store
from tests.dashboards.made.bulk_rows import HOSTILE
from tests.dashboards.made.bulk_study import add_study
from tests.dashboards.made.reported_benchmark import made_benchmark

__all__ = ["Shelf"]

T = TypeVar("T")
Errors = Mapping[str, Mapping[int, float]]


class Shelf:
    """Stores that hold one study or benchmark each, their numbers and their figures.

    Whoever asks first has them made, whoever asks again gets the same; nobody changes them.
    """

    def __init__(self, directory: Path, empty_file: Path) -> None:
        self._directory = directory
        self._empty = empty_file
        self._made: dict[str, Any] = {}
        self._stores: list[Store] = []

    def store(self, **how: Any) -> Store:
        """A store with the study that `add_study` makes of the arguments."""

        def make() -> Store:
            store = self._new()
            add_study(store, **how)
            return store

        return self._once(f"store {how}", make)

    def study(self, **how: Any) -> StudyView:
        """That study's numbers."""
        name = HOSTILE if how.get("hostile") else "made"
        return self._once(f"study {how}", lambda: read_study(self.store(**how), name))

    def panels(self, **how: Any) -> dict[str, Panel]:
        """Its figures by key."""
        view = self.study(**how)
        return self._once(
            f"panels {how}", lambda: {panel.key: panel for panel in study_panels(view)}
        )

    def benchmark(self, errors: Errors, **how: Any) -> BenchmarkView:
        """The numbers of the benchmark that `made_benchmark` makes of the arguments."""

        def make() -> BenchmarkView:
            store = self._new()
            return read_benchmark(store, made_benchmark(store, errors, **how))

        return self._once(f"benchmark {errors} {how}", make)

    def benchmark_panels(self, errors: Errors, **how: Any) -> dict[str, Panel]:
        """Its figures by key."""
        view = self.benchmark(errors, **how)
        return self._once(
            f"benchmark panels {errors} {how}",
            lambda: {panel.key: panel for panel in benchmark_panels(view)},
        )

    def close(self) -> None:
        """Give every database connection back."""
        for store in self._stores:
            store.close()

    def _new(self) -> Store:
        path = self._directory / f"{len(self._stores)}.db"
        shutil.copyfile(self._empty, path)
        self._stores.append(open_store(str(path)))
        return self._stores[-1]

    def _once(self, key: str, make: Callable[[], T]) -> T:
        if key not in self._made:
            self._made[key] = make()
        made: T = self._made[key]
        return made
