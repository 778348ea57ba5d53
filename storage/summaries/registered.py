"""What was registered of a benchmark before a test sample was read, and who had looked by then.

A look is one run evaluated on the test split of a data set. Whoever has seen test results may
choose configs by them, so what was known when a benchmark was registered is part of what it shows.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from space.metrics import Metric
from space.words import count, joined, show_seeds
from storage.store import Store
from storage.tables import schema
from storage.tables.records import BenchmarkRecord, Registration

__all__ = ["Registered", "Step", "as_json", "looks_sentence", "read_registered", "registered_lines"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """What was registered at a time, and what was known by then.

    Attributes:
        registration: The plan as it was from then on.
        n_looks: Runs that had been evaluated on this test split, in this store.
        n_known: Those of them that were runs of what this step registers.
        news: What it adds to what was registered before, in words; empty for the first.
    """

    registration: Registration
    n_looks: int
    n_known: int
    news: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Registered:
    """What was registered of a benchmark, and the looks at its test split.

    Attributes:
        metric: What its configs are compared by.
        steps: What was registered first, and what was added later; none where nothing was.
        n_looks: Runs that have been evaluated on this test split so far, in this store.
        n_removed: Those of them that were removed since: what was seen of them stays seen.
    """

    metric: Metric
    steps: tuple[Step, ...]
    n_looks: int
    n_removed: int


def read_registered(store: Store, record: BenchmarkRecord) -> Registered:
    """What was registered of a benchmark.

    Args:
        store: The store.
        record: One of `load_benchmarks(store)`.

    Raises:
        StorageError: If the store cannot be read.
    """
    table, runs = schema.looks.c, schema.runs.c
    query = sa.select(table.config_hash, table.looked_at, runs.run_id).select_from(
        schema.looks.outerjoin(schema.runs, runs.uid == table.uid)
    )
    looks = store.rows(query.where(table.data_fingerprint == record.data_fingerprint))
    steps: list[Step] = []
    before: Registration | None = None
    for registration in record.registrations:
        by_then = [
            look["config_hash"] for look in looks if look["looked_at"] < registration.registered_at
        ]
        new = registration.hashes - (before.hashes if before else frozenset())
        steps.append(
            Step(
                registration=registration,
                n_looks=len(by_then),
                n_known=len(new.intersection(by_then)),
                news=() if before is None else tuple(_news(before, registration)),
            )
        )
        before = _together(before, registration)
    return Registered(
        metric=record.measured.judged_by,
        steps=tuple(steps),
        n_looks=len(looks),
        n_removed=sum(look["run_id"] is None for look in looks),
    )


def _together(before: Registration | None, after: Registration) -> Registration:
    """A registration with all configs and seeds of those before it: a file may have left some out
    and named them again."""
    if before is None:
        return after
    hashes = {
        name: (*before.configs.get(name, ()), *after.configs.get(name, ()))
        for name in {**before.configs, **after.configs}
    }
    return replace(after, configs=hashes, seeds=(*before.seeds, *after.seeds))


def _news(before: Registration, after: Registration) -> Iterator[str]:
    """What one registration has beyond the one before, in words."""
    changed = [
        name
        for name, hashes in after.configs.items()
        if not set(before.configs.get(name, ())) & set(hashes)
    ]
    if changed:
        yield f"{count(len(changed), 'config')} ({', '.join(changed)})"
    if more := set(after.seeds) - set(before.seeds):
        yield f"seeds {show_seeds(sorted(more))}"
    if after.reference != before.reference:
        yield f"the reference {after.reference} instead of {before.reference}"
    if after.max_seeds != before.max_seeds:
        yield f"at most {count(after.max_seeds or len(after.seeds), 'seed')}"


def registered_lines(registered: Registered) -> list[str]:
    """What was registered, when, and after how many looks: a paragraph each."""
    lines = []
    for step in registered.steps:
        when = _when(step.registration.registered_at)
        known = f"by then, {count(step.n_looks, 'run')} had been evaluated on this test split"
        if step.n_known:
            known += f", {step.n_known} of them runs of what was registered here"
        if step.news:
            lines.append(f"Added later, on {when}: {joined(step.news)}; {known}. Exploratory.")
            continue
        first = "after a" if step.n_known else "before any"
        plan = _plan(step.registration, registered.metric)
        lines.append(f"Registered on {when}, {first} test sample was read for it: {plan}; {known}.")
    if not lines:
        lines.append("Not registered: nothing was written down before its test samples were read.")
    return [*lines, looks_sentence(registered)]


def looks_sentence(registered: Registered) -> str:
    """How often the test split has been looked at."""
    has = "has" if registered.n_looks == 1 else "have"
    removed = ""
    if registered.n_removed:
        removed = f", {registered.n_removed} of them removed since"
    return (
        f"Looks at this test split: {count(registered.n_looks, 'run')} of this store {has} been "
        f"evaluated on it so far{removed}."
    )


def _when(moment: datetime.datetime | None) -> str:
    return "-" if moment is None else f"{moment:%Y-%m-%d %H:%M} UTC"


def _plan(plan: Registration, metric: Metric) -> str:
    others = [name for name in plan.configs if name != plan.reference]
    compared = f", each compared with {plan.reference} by {metric.words}" if others else ""
    margin = "no margin" if plan.margin is None else f"a margin of {_margin(plan.margin, metric)}"
    most = "" if plan.max_seeds is None else f", until decided, at most {plan.max_seeds}"
    dirty = " with uncommitted changes" if plan.git_dirty else ""
    code = f"{plan.git_commit[:12]}{dirty}" if plan.git_commit else "no git checkout"
    torch = plan.versions.get("torch")
    return (
        f"{count(len(plan.configs), 'config')} ({', '.join(plan.configs)}) on the seeds "
        f"{show_seeds(plan.seeds)}{most}{compared}, {margin} of practical equivalence; code {code}"
        + (f", torch {torch}" if torch else "")
    )


def _margin(margin: float, metric: Metric) -> str:
    notation = metric.notation([margin])
    return f"{notation.value(margin)}{notation.of_difference}"


def as_json(registered: Registered) -> dict[str, Any]:
    """All of it, for programs."""
    return {
        "looks": registered.n_looks,
        "looks_removed": registered.n_removed,
        "steps": [
            {
                **vars(step.registration),
                "registered_at": None
                if step.registration.registered_at is None
                else step.registration.registered_at.isoformat(timespec="seconds"),
                "looks_before": step.n_looks,
                "known_before": step.n_known,
                "added": list(step.news),
            }
            for step in registered.steps
        ],
    }
