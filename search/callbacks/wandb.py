"""Offline runs of Weights & Biases."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from search.callbacks.callback import Callback, ToldEpoch, ToldRun

os.environ.setdefault("WANDB_ERROR_REPORTING", "false")

import wandb

__all__ = ["Wandb"]

_TOLD = "told.json"
"""A file of ours in the folder of a run that was told to an end: how many epochs, which state."""


class Wandb(Callback):
    """Writes an offline run for each run, under its uid.

    An offline run cannot go on, and what is sent of two of one name does not add up. So a run that
    goes on is written anew from its first epoch, in the place of what there was of it: each folder
    is a whole one.
    """

    catches_up = True

    def __init__(self, folder: str, project: str | None) -> None:
        """
        Args:
            folder: Where the folder ``wandb`` lies.
            project: The project's name; None: the group's.
        """
        self._folder = Path(folder).resolve()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._project = project
        self._runs: dict[str, Any] = {}

    def has(self, run: ToldRun) -> bool:
        """See `Callback`."""
        wanted = [run.n_epochs, run.state]
        return any(
            (place / _TOLD).exists() and json.loads((place / _TOLD).read_text()) == wanted
            for place in self._places(run)
        )

    def begin(self, run: ToldRun) -> int:
        """See `Callback`."""
        for place in self._places(run):
            shutil.rmtree(place)
        self._runs[run.uid] = wandb.init(
            dir=self._folder,
            project=self._project or run.group,
            group=run.group,
            job_type=run.purpose,
            id=run.uid,
            name=run.name,
            config={**run.config, **run.params, "provenance": dict(run.provenance)},
            reinit="create_new",
            settings=wandb.Settings(
                mode="offline",
                silent=True,
                console="off",
                disable_git=True,
                disable_code=True,
                # No command line, no machine, no load: what it is to know stands in the store.
                x_disable_meta=True,
                x_disable_machine_info=True,
                x_disable_stats=True,
            ),
        )
        return 0

    def epochs(self, run: ToldRun, epochs: Sequence[ToldEpoch]) -> None:
        """See `Callback`."""
        for each in epochs:
            values = {**each.metrics, "_timestamp": each.reported_at.timestamp()}
            self._runs[run.uid].log(values, step=each.epoch)

    def end(self, run: ToldRun) -> None:
        """See `Callback`."""
        told = self._runs.pop(run.uid)
        told.summary.update({f"kept/{name}": value for name, value in run.kept.items()})
        told.summary.update({"state": run.state, "reason": run.reason or ""})
        told.tags = (run.state,)
        told.finish(exit_code=1 if run.state == "FAIL" else 0)
        text = json.dumps([run.n_epochs, run.state])
        (Path(told.dir).parent / _TOLD).write_text(text, encoding="utf-8")

    def close(self) -> None:
        """See `Callback`."""
        while self._runs:
            self._runs.popitem()[1].finish()

    def _places(self, run: ToldRun) -> list[Path]:
        return sorted((self._folder / "wandb").glob(f"offline-run-*-{run.uid}"))
