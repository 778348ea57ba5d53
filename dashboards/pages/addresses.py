"""Which document an address is of, and when there is a newer one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request

from dashboards.pages.benchmark_page import benchmark_document
from dashboards.pages.documents import Document
from dashboards.pages.study_page import study_document
from storage import BenchmarkRecord, Store
from storage.benchmarks import load_benchmarks
from storage.summaries.study import benchmark_version, study_names, study_version

__all__ = ["ADDRESSES", "STUDY", "Shown", "find_benchmark", "find_study"]


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What an address shows.

    Attributes:
        title: The page's.
        version: A short text that changes when the document does; asking for it costs little.
        make: Makes the document.
        optuna: Where Optuna Dashboard shows the same.
    """

    title: str
    version: Callable[[], str]
    make: Callable[[], Document]
    optuna: str = "/dashboard"


def find_study(store: Store, request: Request) -> tuple[int, str]:
    """The number and the name of the study that an address names.

    Raises:
        HTTPException: If there is none; to be sent on where it is the name of one.
    """
    names, wanted = study_names(store), request.path_params["number"]
    if wanted in names:
        return wanted, names[wanted]
    for number, name in names.items():
        if name == str(wanted):
            raise HTTPException(302, headers={"Location": f"/study/{number}"})
    raise HTTPException(404, f"The store has no study “{wanted}”.")


def find_benchmark(store: Store, request: Request) -> BenchmarkRecord:
    """The benchmark that an address names."""
    for record in load_benchmarks(store):
        if record.benchmark_id == request.path_params["number"]:
            return record
    raise HTTPException(404, "The store has no benchmark of this number.")


def _study(store: Store, request: Request) -> Shown:
    number, name = find_study(store, request)
    return Shown(
        title=name,
        version=lambda: study_version(store, number),
        make=lambda: study_document(store, name),
        optuna=f"/dashboard/studies/{number}",
    )


def _benchmark(store: Store, request: Request) -> Shown:
    record = find_benchmark(store, request)
    return Shown(
        title=record.name,
        version=lambda: benchmark_version(store, record),
        make=lambda: benchmark_document(store, record),
    )


STUDY = "/study/{number:id}"

ADDRESSES: dict[str, Callable[[Store, Request], Shown]] = {
    STUDY: _study,
    "/benchmark/{number:id}": _benchmark,
}
"""Path -> what it shows; at /data and the path is the document itself."""
