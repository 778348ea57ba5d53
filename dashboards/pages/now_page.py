"""What is being trained now, as the part of a page that is asked for every few seconds."""

from __future__ import annotations

import datetime

from starlette.requests import Request

from dashboards.numbers.now import LaunchNow, RunNow, read_now
from dashboards.pages.acting.form import user_of
from dashboards.pages.addresses import find_benchmark, find_study
from dashboards.pages.benchmark_page import launches_of
from dashboards.pages.documents import Document, render
from dashboards.pages.study_page import trial_address
from storage import Store

__all__ = ["benchmark_now", "study_now"]

PURPOSES = {
    "search": "Searching now",
    "confirm": "Confirming now, on fresh seeds",
    "benchmark": "Training the benchmark's runs now",
}
MOST_RUNS = 8
"""So many runs of a worker are named."""


def study_now(store: Store, request: Request) -> Document:
    """What launches of a study do now.

    Args:
        store: The store.
        request: Its address names the study.
    """
    study_id, _ = find_study(store, request)
    return _now(read_now(store, store.launches(study_id)), request)


def benchmark_now(store: Store, request: Request) -> Document:
    """What launches of a benchmark do now.

    Args:
        store: The store.
        request: Its address names the benchmark.
    """
    record = find_benchmark(store, request)
    return _now(read_now(store, launches_of(store, record)), request)


def _now(launches: list[LaunchNow], request: Request) -> Document:
    now = datetime.datetime.now(datetime.UTC)
    html = render(
        "now.html",
        launches=launches,
        user=user_of(request),
        PURPOSES=PURPOSES,
        MOST_RUNS=MOST_RUNS,
        address=_address,
        called=_called,
        any_gpu=_any_gpu,
        ends_at=lambda seconds: now + datetime.timedelta(seconds=seconds),
    )
    return Document(title="Now", is_running=bool(launches), summary=html)


def _address(each: RunNow) -> str:
    if each.trial is None or each.run.study_id is None:
        return f"/run/{each.run.run_id}"
    return trial_address(each.run.study_id, each.trial)


def _called(each: RunNow) -> str:
    if each.trial is None:
        return f"run {each.run.run_id}"
    fresh = f", fresh seed {each.run.replicate}" if each.run.purpose == "confirm" else ""
    replicate = f", replicate {each.run.replicate}" if each.run.replicate and not fresh else ""
    return f"trial {each.trial}{fresh}{replicate}"


def _any_gpu(now: LaunchNow) -> bool:
    return any(each.said and each.said.gpu_memory is not None for each in now.workers)
