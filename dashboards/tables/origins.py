"""How configs arose and what was known by then, in words and as a sheet."""

from __future__ import annotations

from collections.abc import Iterable

from dashboards.numbers.origins import Origin, Reads, SharedSeeds, StudyLaunch
from dashboards.numbers.tables import BenchmarkTable
from dashboards.tables.drawing import Sheet
from dashboards.words import show_changes
from space.words import NOTHING, count, show_seeds

__all__ = ["known_words", "origin_notes", "study_launches_sheet"]


def origin_notes(table: BenchmarkTable) -> list[str]:
    """A sentence or two on each config that no publication gave, as far as the store knows."""
    notes: list[str] = []
    for row in table.rows:
        if row.result.origin is not None:
            notes.append(f"{row.name} {_arose(row.result.origin)}")
            notes += [f"{row.name}: {_shared(each)}" for each in row.result.origin.shared]
    return notes


def study_launches_sheet(launches: Iterable[StudyLaunch]) -> Sheet:
    """When studies were begun or changed, and how often the test split had been read by then."""
    return Sheet(
        columns=("study", "launch", "begun (UTC)", "what was new", "test results known by then"),
        left=frozenset({0, 2, 3, 4}),
        rows=[
            (
                each.study,
                str(each.launch.launch_id),
                f"{each.launch.started_at:%Y-%m-%d %H:%M}",
                show_changes(each.launch.changes) if each.n_earlier else "the study itself",
                f"{_runs(each.reads)}, seeds {show_seeds(each.reads.seeds)}"
                if each.reads.n_runs
                else NOTHING,
            )
            for each in launches
        ],
    )


def _arose(origin: Origin) -> str:
    when = f"{origin.settled_at:%Y-%m-%d %H:%M} UTC, launch {origin.launch_id}"
    if origin.study is None:
        how = "has settings that were first trained by a benchmark, not by a study of this store"
    elif origin.was_added:
        how = f"was added by hand to the baselines of study '{origin.study}'"
    elif origin.warm_start is not None:
        how = (
            f"was first trained by study '{origin.study}', as a warm start from {origin.warm_start}"
        )
    elif origin.was_given:
        how = f"was first trained by study '{origin.study}', with settings that were given by hand"
    else:
        how = f"was proposed by the sampler of study '{origin.study}'"
    return f"{how} ({when}); before that, {known_words(origin.reads)}"


def known_words(reads: Reads) -> str:
    """What was known of the test split of a benchmark's seeds."""
    if not reads.n_runs:
        return "the store had no test result of these seeds"
    return f"the test split of the seeds {show_seeds(reads.seeds)} had been read by {_runs(reads)}"


def _runs(reads: Reads) -> str:
    return f"{count(reads.n_runs, 'run')} of {count(reads.n_configs, 'config')}"


def _shared(shared: SharedSeeds) -> str:
    parts = [
        f"{what} of the seeds {show_seeds(seeds)}"
        for what, seeds in (
            ("the training samples", shared.data),
            ("the initialisations", shared.training),
        )
        if seeds
    ]
    return (
        f"{' and '.join(parts)} are not fresh: study '{shared.study}', which chose among configs "
        "by them, holds this one too, so its values and verdicts here may be too good"
    )
