"""Which document an address is of, and when there is a newer one."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request

from dashboards.pages.benchmark_page import benchmark_document
from dashboards.pages.documents import Document
from dashboards.pages.study_page import study_document
from dashboards.pages.trained.compare import FEWEST, MOST, compared_configs, compared_trials
from dashboards.pages.trained.run import run_document
from dashboards.pages.trained.trial import trial_document
from storage import BenchmarkRecord, Store
from storage.benchmarks import load_benchmarks
from storage.leases import is_alive, latest_status
from storage.on_studies import actions_version
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
        is_followed: Whether /now and the path say what is being trained of it at this moment.
    """

    title: str
    version: Callable[[], str]
    make: Callable[[], Document]
    optuna: str = "/dashboard"
    is_followed: bool = False


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
        version=lambda: f"{study_version(store, number)}-{actions_version(store, name)}",
        make=lambda: study_document(store, name),
        optuna=f"/dashboard/studies/{number}",
        is_followed=True,
    )


def _benchmark(store: Store, request: Request) -> Shown:
    record = find_benchmark(store, request)
    return Shown(
        title=record.name,
        version=lambda: benchmark_version(store, record),
        make=lambda: benchmark_document(store, record),
        is_followed=True,
    )


def _trial(store: Store, request: Request) -> Shown:
    study_id, name = find_study(store, request)
    wanted = request.path_params["trial"]
    try:
        with store.guarded():
            store.optuna_storage.get_trial_id_from_study_id_trial_number(study_id, wanted)
    except KeyError as error:
        raise HTTPException(404, f"The study has no trial {wanted}.") from error
    return Shown(
        title=f"Trial {wanted} of {name}",
        version=lambda: f"{study_version(store, study_id)}-{actions_version(store, name)}",
        make=lambda: trial_document(store, study_id, name, wanted),
        optuna=f"/dashboard/studies/{study_id}/trials?numbers={wanted}",
    )


def _run(store: Store, request: Request) -> Shown:
    run = store.run(request.path_params["number"])
    if run is None:
        raise HTTPException(404, "The store has no run of this number.")

    def version() -> str:
        launches = [each for each in store.launches() if each.launch_id == run.launch_id]
        lives = any(map(is_alive, launches))
        return f"{run.uid}-{run.state}-{run.n_epochs}-{run.launch_id}-{lives}"

    return Shown(title=f"Run {run.run_id}", version=version, make=lambda: run_document(store, run))


def _compare_trials(store: Store, request: Request) -> Shown:
    study_id, name = find_study(store, request)
    given = ",".join(request.query_params.getlist("trial")).replace(" ", "").split(",")
    wanted = list(dict.fromkeys(int(each) for each in given if re.fullmatch("[0-9]{1,9}", each)))
    _require_some(len(wanted), "trials")
    with store.guarded():
        trials = store.optuna_storage.get_all_trials(study_id, deepcopy=False)
    if missing := set(wanted) - {trial.number for trial in trials}:
        raise HTTPException(404, f"The study has no trial {min(missing)}.")
    return Shown(
        title=f"Trials of {name} compared",
        version=lambda: study_version(store, study_id),
        make=lambda: compared_trials(
            store,
            study_id,
            name,
            wanted,
            is_running=latest_status(store.launches(study_id)) == "running",
        ),
        optuna=f"/dashboard/studies/{study_id}/trials?numbers={','.join(map(str, wanted))}",
    )


def _compare_configs(store: Store, request: Request) -> Shown:
    record = find_benchmark(store, request)
    wanted = list(dict.fromkeys(request.query_params.getlist("config")))
    _require_some(len(wanted), "configs")
    if missing := set(wanted) - {config.name for config in record.configs}:
        raise HTTPException(404, f"The benchmark has no config “{min(missing)}”.")
    return Shown(
        title=f"Configs of {record.name} compared",
        version=lambda: benchmark_version(store, record),
        make=lambda: compared_configs(store, record, wanted),
    )


def _require_some(n: int, what: str) -> None:
    if not FEWEST <= n <= MOST:
        raise HTTPException(
            400, f"So many {what} cannot be compared: {n}. Tick {FEWEST} to {MOST} of them."
        )


STUDY = "/study/{number:id}"

ADDRESSES: dict[str, Callable[[Store, Request], Shown]] = {
    STUDY: _study,
    "/study/{number:id}/trial/{trial:id}": _trial,
    "/study/{number:id}/compare": _compare_trials,
    "/benchmark/{number:id}": _benchmark,
    "/benchmark/{number:id}/compare": _compare_configs,
    "/run/{number:id}": _run,
}
"""Path -> what it shows; at /data and the path is the document itself."""
