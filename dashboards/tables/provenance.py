"""Where numbers come from, as sheets: runs by launch, the launches' machines, code and data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dashboards.tables.drawing import Sheet
from dashboards.words import show_changes, show_code, show_data
from space.words import NOTHING, count, show_seeds
from storage import LaunchRecord, RunRecord
from storage.leases import status_of

__all__ = ["launches_sheet", "provenance_sheets", "runs_sheet", "versions_sheet"]

Traced = tuple[str, str, RunRecord]
"""Which table or study a run counts in, under which name, and the run."""


def provenance_sheets(
    launches: Sequence[LaunchRecord], traced: Sequence[Traced] = ()
) -> list[Sheet]:
    """Where everything on a page comes from; nothing where no launch is known.

    Args:
        launches: The launches, oldest first.
        traced: The runs that are counted, each of one of the launches.
    """
    if not launches:
        return []
    sheets = [commands_sheet(launches), launches_sheet(launches, traced), versions_sheet(launches)]
    return [*sheets, runs_sheet(traced)] if traced else sheets


def runs_sheet(traced: Iterable[Traced]) -> Sheet:
    """A row a name and launch: which seeds were trained there, and when."""
    by_row: dict[tuple[str, str, int], list[RunRecord]] = {}
    for where, name, run in traced:
        by_row.setdefault((where, name, run.launch_id), []).append(run)
    return Sheet(
        columns=("where", "config", "seeds", "launch", "trained"),
        left=frozenset({0, 1, 2, 4}),
        rows=[
            (where, name, _seeds(of_row), str(launch_id), _dates(of_row))
            for (where, name, launch_id), of_row in by_row.items()
        ],
    )


def launches_sheet(launches: Sequence[LaunchRecord], traced: Iterable[Traced]) -> Sheet:
    """A row a launch: its machine, code and data, the libraries by their row of `versions_sheet`.

    Args:
        launches: The launches, oldest first.
        traced: The runs that are counted, each of one of the launches; without any, none are.
    """
    # A run may count in several tables and benchmarks.
    used = Counter({run.run_id: run.launch_id for *_, run in traced}.values())
    versions = _distinct_versions(launches)
    return Sheet(
        columns=(
            *("launch", *(["runs"] if used else []), "begun"),
            *("machine", "code", "libraries", "data"),
        ),
        left=frozenset(bool(used) + place for place in (1, 2, 3, 5)),
        rows=[
            (
                str(launch.launch_id),
                *([str(used[launch.launch_id] or NOTHING)] if used else []),
                launch.started_at.date().isoformat(),
                show_machine(launch.hardware),
                show_code(launch.git_commit, launch.git_dirty),
                str(versions.index(_versions(launch)) + 1),
                show_data(launch.data_source, launch.data_fingerprint),
            )
            for launch in launches
        ],
    )


def versions_sheet(launches: Sequence[LaunchRecord]) -> Sheet:
    """The libraries of some launches, a row for each distinct set of versions."""
    return Sheet(
        columns=("libraries", "versions"),
        left=frozenset({0, 1}),
        rows=[
            (str(number), text) for number, text in enumerate(_distinct_versions(launches), start=1)
        ],
    )


def commands_sheet(launches: Sequence[LaunchRecord]) -> Sheet:
    """How each launch was started and how it ended, for who wants to do it again."""
    return Sheet(
        columns=("launch", "status", "begun (UTC)", "ended (UTC)", "host", "command"),
        left=frozenset({1, 2, 3, 4, 5}),
        rows=[
            (
                str(launch.launch_id),
                status_of(launch),
                f"{launch.started_at:%Y-%m-%d %H:%M}",
                NOTHING if launch.ended_at is None else f"{launch.ended_at:%Y-%m-%d %H:%M}",
                launch.host,
                launch.command,
            )
            for launch in launches
        ],
        notes=[
            f"launch {launch.launch_id} changed {show_changes(launch.changes)}"
            for launch in launches
            if launch.changes
        ],
    )


def show_machine(hardware: Mapping[str, Any]) -> str:
    """A machine in words: processor, CPUs, memory, GPUs."""
    gpus = hardware.get("gpus") or []
    named = [f"{gpus.count(gpu)} x {gpu}" for gpu in dict.fromkeys(gpus)]
    memory, cpus = hardware.get("memory_bytes"), hardware.get("cpus")
    parts = [
        hardware.get("processor") or "processor unknown",
        count(cpus, "CPU") if cpus else "unknown number of CPUs",
        *([] if memory is None else [f"{memory / 2**30:.0f} GiB"]),
        f"GPUs: {', '.join(named) or 'none'}",
    ]
    return ", ".join(parts)


def _seeds(runs: Sequence[RunRecord]) -> str:
    return show_seeds(sorted({run.config["training"]["training_seed"] for run in runs}))


def _dates(runs: Sequence[RunRecord]) -> str:
    times = [time for run in runs for time in (run.started_at, run.ended_at) if time is not None]
    first, last = min(times).date(), max(times).date()
    return first.isoformat() if first == last else f"{first.isoformat()} to {last.isoformat()}"


def _distinct_versions(launches: Sequence[LaunchRecord]) -> list[str]:
    return list(dict.fromkeys(_versions(launch) for launch in launches))


def _versions(launch: LaunchRecord) -> str:
    versions = sorted(launch.versions.items())
    return ", ".join(f"{library} {version}" for library, version in versions) or NOTHING
