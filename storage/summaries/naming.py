"""Which study or benchmark a command means: their names are apart, so one may name both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from space.errors import StorageError, UsageError, nearest
from storage.benchmarks import load_benchmarks
from storage.store import Store
from storage.summaries.study import study_names
from storage.tables.records import BenchmarkRecord

__all__ = ["Named", "find_named", "the_only"]


@dataclass(frozen=True, kw_only=True)
class Named:
    """A study or a benchmark.

    Attributes:
        name: What it is called.
        number: Optuna's number of the study, or the benchmark's own.
        benchmark: The benchmark; None for a study.
    """

    name: str
    number: int
    benchmark: BenchmarkRecord | None = None

    @property
    def kind(self) -> str:
        """``"study"`` or ``"benchmark"``."""
        return "study" if self.benchmark is None else "benchmark"

    def __str__(self) -> str:
        """What it is, in words."""
        if self.benchmark is None:
            return "a study"
        return f"a benchmark on {self.benchmark.data_source} {self.benchmark.data_fingerprint}"


def find_named(
    store: Store, name: str, *, kind: str | None = None, data: str | None = None
) -> list[Named]:
    """What a store has under a name.

    Args:
        store: The store.
        name: The name.
        kind: ``"study"``, ``"benchmark"``, or None for both.
        data: The source or the fingerprint of a benchmark's data, or None for any. Studies, of
            which there is one a name, need none.

    Returns:
        The study, if there is one, then the benchmarks in the order they were first asked for; at
        least one of them.

    Raises:
        StorageError: If there is none, or the store cannot be read.
    """
    held: list[Named] = []
    if kind != "benchmark" and data is None:
        held += [Named(name=each, number=number) for number, each in study_names(store).items()]
    if kind != "study":
        held += [
            Named(name=each.name, number=number, benchmark=each)
            for each in load_benchmarks(store)
            if data in (None, each.data_source, each.data_fingerprint)
            and (number := each.benchmark_id) is not None
        ]
    found = [each for each in held if each.name == name]
    if not found:
        wanted = kind or ("study or benchmark" if data is None else "benchmark")
        on_data = "" if data is None else f" on data '{data}'"
        names = sorted({each.name for each in held})
        raise StorageError(
            f"storage {store.name}: no {wanted} '{name}'{on_data}; it holds "
            f"{', '.join(names) or 'none'}{nearest(name, names)}"
        )
    return found


def the_only(found: Sequence[Named]) -> Named:
    """The one thing that a name means.

    Raises:
        UsageError: If it means several.
    """
    if len(found) > 1:
        raise UsageError(
            f"'{found[0].name}' is the name of {' and of '.join(map(str, found))}; say which with "
            "--kind study, --kind benchmark, or --data and a benchmark's data."
        )
    return found[0]
