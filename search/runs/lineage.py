"""Which trials of a population a trial goes on from, and whose ends are kept for others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial

from space import Sampler
from space.study.samplers import PBTSampler
from storage import RunRecord, Store
from storage.tables.attributes import PARENT

__all__ = ["Lineage", "ancestors", "lineage_of", "needed_uids"]


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """Where a trial of a population goes on.

    Attributes:
        before: For each trial before it, in order, replicate -> its run: the trial goes on from the
            end of the last; empty where it begins a lineage.
        outlived: The uids of runs from whose end no trial will go on any more.
    """

    before: Sequence[Mapping[int, RunRecord]]
    outlived: Sequence[str]


def ancestors(trials: Sequence[FrozenTrial], number: int) -> list[FrozenTrial]:
    """The trials that a trial goes on from, the first of its lineage first.

    Args:
        trials: A study's trials.
        number: The number of one that has been proposed.
    """
    by_number = {trial.number: trial for trial in trials}
    found: list[FrozenTrial] = []
    parent = by_number[number].user_attrs.get(PARENT)
    while parent in by_number:
        found.insert(0, by_number[parent])
        parent = found[0].user_attrs.get(PARENT)
    return found


def lineage_of(
    store: Store, sampler: Sampler, trials: Sequence[FrozenTrial], number: int
) -> Lineage:
    """Where a trial of a population goes on.

    Args:
        store: The store.
        sampler: The study's.
        trials: Its trials.
        number: The trial's number.
    """
    before = ancestors(trials, number)
    last = number - 2 * sampler.population if isinstance(sampler, PBTSampler) else None
    outlived = [trial for trial in trials if trial.number == last]
    runs = _runs(store, [*before, *outlived])
    return Lineage(
        before=[runs[trial.number] for trial in before],
        outlived=[run.uid for trial in outlived for run in runs[trial.number].values()],
    )


def needed_uids(store: Store, sampler: Sampler, trials: Sequence[FrozenTrial]) -> set[str]:
    """The uids of the runs from whose end trials may still go on: of the last round that ended.

    Args:
        store: The store.
        sampler: The study's.
        trials: Its trials.
    """
    if not isinstance(sampler, PBTSampler):
        return set()
    size = sampler.population
    unfinished = (trial.number for trial in trials if not trial.state.is_finished())
    first = (min(unfinished, default=len(trials)) // size - 1) * size
    needed = [trial for trial in trials if trial.number >= first]
    return {run.uid for runs in _runs(store, needed).values() for run in runs.values()}


def _runs(store: Store, trials: Sequence[FrozenTrial]) -> dict[int, dict[int, RunRecord]]:
    """A trial's number -> replicate -> its run."""
    numbers: dict[int | None, int] = {trial._trial_id: trial.number for trial in trials}
    found: dict[int, dict[int, RunRecord]] = {number: {} for number in numbers.values()}
    ids = [trial._trial_id for trial in trials]
    for run in store.runs(purpose="search", trial_ids=ids):
        found[numbers[run.trial_id]][run.replicate] = run
    return found
