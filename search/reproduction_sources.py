"""Where the reproduction's numbers come from: machines, code, libraries, data, seeds, dates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from dashboards.numbers.tables import BenchmarkTable
from dashboards.tables.drawing import NOTHING, Sheet, draw
from dashboards.tables.formats import show_seeds
from search.reproduction_grid import grid_runs
from storage import LaunchRecord, RunRecord, Store

__all__ = ["provenance_section"]

_OPENING = """\
## Where the numbers come from

A row's runs by launch; the launches' machines, code and data are below. A run that was stopped and
went on counts for the launch that finished it. Dates are UTC. The data's fingerprint is of the
training and the test images for a benchmark's launch, of the training images for a search's.
"""


def provenance_section(store: Store, tables: Mapping[str, BenchmarkTable]) -> str:
    """Trace every number of some tables to the launches that trained it.

    Args:
        store: The store that the tables are from.
        tables: The report's number of a table -> the table.

    Returns:
        The section, in Markdown.
    """
    runs = [
        (f"Table {number}", row.name, found.run)
        for number, table in tables.items()
        for row in table.rows
        for found in row.result.seeds.values()
    ]
    runs += [
        (study, run.config["model"]["name"], run)
        for study, complete in grid_runs(store).items()
        for run in complete
    ]
    if not runs:
        return f"{_OPENING}\nNo run has finished yet.\n"
    by_row: dict[tuple[str, str, int], list[RunRecord]] = {}
    used: Counter[int] = Counter()
    for where, model, run in runs:
        by_row.setdefault((where, model, run.launch_id), []).append(run)
        used[run.launch_id] += 1
    runs_sheet = Sheet(
        columns=("where", "model", "seeds", "launch", "trained"),
        left=frozenset({0, 1, 2, 4}),
        rows=[
            (where, model, _seeds(of_row), str(launch_id), _dates(of_row))
            for (where, model, launch_id), of_row in by_row.items()
        ],
    )
    launches = [launch for launch in store.launches() if launch.launch_id in used]
    versions = list(dict.fromkeys(_versions(launch) for launch in launches))
    launch_sheet = Sheet(
        columns=("launch", "runs", "begun", "machine", "code", "libraries", "data"),
        left=frozenset({2, 3, 4, 6}),
        rows=[
            (
                str(launch.launch_id),
                str(used[launch.launch_id]),
                launch.started_at.date().isoformat(),
                _machine(launch.hardware),
                _code(launch),
                str(versions.index(_versions(launch)) + 1),
                f"{launch.data_source}, {launch.data_fingerprint}",
            )
            for launch in launches
        ],
    )
    versions_sheet = Sheet(
        columns=("libraries", "versions"),
        left=frozenset({0, 1}),
        rows=[(str(number), text) for number, text in enumerate(versions, start=1)],
    )
    sheets = (runs_sheet, launch_sheet, versions_sheet)
    return "\n".join([_OPENING, *(draw(sheet, "markdown") for sheet in sheets)])


def _seeds(runs: Sequence[RunRecord]) -> str:
    return show_seeds(sorted({run.config["training"]["training_seed"] for run in runs}))


def _dates(runs: Sequence[RunRecord]) -> str:
    times = [time for run in runs for time in (run.started_at, run.ended_at) if time is not None]
    first, last = min(times).date(), max(times).date()
    return first.isoformat() if first == last else f"{first.isoformat()} to {last.isoformat()}"


def _machine(hardware: Mapping[str, Any]) -> str:
    gpus = hardware.get("gpus") or []
    named = [f"{gpus.count(gpu)} x {gpu}" for gpu in dict.fromkeys(gpus)]
    memory = hardware.get("memory_bytes")
    parts = [
        hardware.get("processor") or "processor unknown",
        f"{hardware.get('cpus') or 'unknown number of'} CPUs",
        *([] if memory is None else [f"{memory / 2**30:.0f} GiB"]),
        f"GPUs: {', '.join(named) or 'none'}",
    ]
    return ", ".join(parts)


def _code(launch: LaunchRecord) -> str:
    if launch.git_commit is None:
        return "no git checkout"
    dirty = " with uncommitted changes" if launch.git_dirty else ""
    return launch.git_commit[:12] + dirty


def _versions(launch: LaunchRecord) -> str:
    versions = sorted(launch.versions.items())
    return ", ".join(f"{library} {version}" for library, version in versions) or NOTHING
