"""What the pages of a trial and of a run have in common."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from dashboards.figures.panel import Panel
from dashboards.numbers.trained import Trained, differences
from dashboards.pages.documents import Document, drawn, render
from dashboards.tables.drawing import Sheet
from dashboards.tables.provenance import provenance_sheets
from space.config import SEED_KEYS
from space.errors import CheckpointError
from space.messages import listed
from space.words import NOTHING, number
from storage import LaunchRecord, RunRecord, Store
from storage.commands.checkpoints import weights_of_run
from storage.tables.service import ActionRecord

__all__ = [
    "Tile",
    "TrainedPage",
    "differences_sheet",
    "kept_weights",
    "show_setting",
    "trained_document",
]


class Tile(NamedTuple):
    """A number that is shown large."""

    what: str
    value: str
    more: str = ""


@dataclass(frozen=True, kw_only=True)
class TrainedPage:
    """What is shown of a trial or a run; plain text all of it.

    Attributes:
        up: What it is of: addresses and their words.
        badges: Words that stand out.
        state: The trial's state, or the run's.
        ending: What decided its end.
        tiles: Its numbers.
        settings: Its settings by dotted path.
        params: The searched ones of them.
        differences: Where they are others than those of what it is compared with.
        against: What that is, in words.
        compare: The address of that comparison.
        runs: Its runs.
        weights: Where weights lie that were kept of it.
        commands: What for -> a command.
        tracebacks: Of the errors that it failed by.
        launches: Those that trained it.
        act: The address of the page on which it is acted upon.
        notes: What people wrote of it, newest first.
    """

    up: Sequence[tuple[str, str]]
    badges: Sequence[str] = ()
    state: str
    ending: str
    tiles: Sequence[Tile]
    settings: Mapping[str, Any]
    params: Sheet | None = None
    differences: Sheet | None = None
    against: str = "the baseline"
    compare: str | None = None
    runs: Sequence[RunRecord]
    weights: Sequence[str] = ()
    commands: Mapping[str, str] = field(default_factory=dict)
    tracebacks: Sequence[str] = ()
    launches: Sequence[LaunchRecord] = ()
    act: str | None = None
    notes: Sequence[ActionRecord] = ()

    @property
    def n_epochs(self) -> int:
        """Epochs of all its runs."""
        return sum(run.n_epochs for run in self.runs)

    @property
    def seconds(self) -> float:
        """What they took."""
        return sum(run.train_seconds for run in self.runs)


def trained_document(
    page: TrainedPage, *, title: str, kind: str, is_running: bool, panels: Sequence[Panel]
) -> Document:
    """Fill the templates of a trial's or a run's page."""
    section, name = SEED_KEYS[1].split(".")
    settings = Sheet(
        columns=("setting", "value"),
        left=frozenset({0, 1}),
        rows=[(path, show_setting(value)) for path, value in page.settings.items()],
    )
    context = {
        "page": page,
        "seeds": {run.run_id: run.config.get(section, {}).get(name) for run in page.runs},
        "params": drawn([page.params] if page.params and not page.differences else []),
        "differences": drawn([page.differences] if page.differences else []),
        "settings": drawn([settings] if page.settings else []),
        "provenance": drawn(provenance_sheets(page.launches)),
    }
    return Document(
        title=title,
        kind=kind,
        is_running=is_running,
        outcome=page.ending,
        summary=render("trained/summary.html", **context),
        details=render("trained/details.html", **context),
        panels=panels,
    )


def kept_weights(store: Store, study: str, run: RunRecord, command: str) -> list[str]:
    """Where a run's weights lie on this machine; elsewhere nobody looks for a page's sake.

    Args:
        store: The store.
        study: The study's name.
        run: One of its runs.
        command: That of the launch which trained it.
    """
    try:
        path = weights_of_run(store.url, study, run, command)
    except CheckpointError:
        return []  # Of a kind that only the machines of the search can reach.
    # Of a name that no file could have, it says no.
    return [str(path)] if isinstance(path, Path) and os.path.exists(path) else []


def differences_sheet(compared: Sequence[Trained]) -> Sheet:
    """Where the settings of some configs are not the same, a column a config."""
    found = differences([each.settings for each in compared])
    names = [each.name for each in compared]
    return Sheet(
        columns=("setting", *names),
        left=frozenset(range(len(names) + 1)),
        rows=[(path, *map(show_setting, values)) for path, values in found.items()],
        notes=[] if found else ["the settings are the same"],
    )


def show_setting(value: Any) -> str:
    """A setting as people read it."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None or isinstance(value, int | float | str):
        return NOTHING if value is None else number(value)
    return listed([value])
