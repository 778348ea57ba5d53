"""What a study aims at and what it may cost: objectives, budget, resources."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from space.amounts import Duration, Size
from space.config import FrozenModel, later
from space.messages import refusal
from space.words import describe

__all__ = ["Budget", "Confirm", "Limits", "Objective", "Resources", "StudyName", "WarmStart"]

_Positive = Annotated[int, Field(ge=1)]
_STUDY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


def _study_name(name: str) -> str:
    if not _STUDY.fullmatch(name):
        raise refusal(
            f"found {describe(name)}; expected 1 to 100 letters, digits, '.', '_' or '-', "
            "the first a letter, a digit or '_'"
        )
    return name


StudyName = Annotated[
    str, AfterValidator(_study_name), Field(json_schema_extra={"pattern": f"^{_STUDY.pattern}$"})
]


def _schedulable(amount: float | str) -> float | str:
    if not isinstance(amount, str) and amount > 1 and amount != int(amount):
        raise refusal(f"found {describe(amount)}; expected a whole number or less than 1")
    return amount


class Objective(FrozenModel):
    """A metric that the search makes small or large."""

    metric: str = "val_error"
    """What is measured; val_ and train_ name the split, a search never reads the test split."""
    direction: Literal["minimize", "maximize"] = "minimize"
    """Which values are better."""


class Budget(FrozenModel):
    """When a study ends: at whichever limit is reached first."""

    trials: _Positive | None = None
    """Trials in all, baselines and failures included, over all launches."""
    time_limit: Duration | None = None
    """Wall time of one launch: 90s, 10m, 1h30m, 2h or seconds. What its confirmation takes is part
    of it: the search ends so much earlier, but has half the time at the least."""
    epochs: _Positive | None = None
    """Epochs trained, over all trials and launches."""

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.trials is None and self.time_limit is None and self.epochs is None:
            raise refusal("a study must end; expected one of trials, time_limit and epochs")
        return self


class WarmStart(FrozenModel):
    """The best of an earlier study as the first trials of this one, after the baselines: its
    complete trials that the parameters allow, of the same names, conditions and objective."""

    study: StudyName
    """The earlier study, in the same store."""
    top: _Positive = 5
    """So many distinct points at the most; what this study has already is not tried again."""


class Confirm(FrozenModel):
    """Training the best configs again on fresh seeds, once a launch's search has ended: its budget
    is spent, or its time limit leaves no more than this will take."""

    top: Annotated[int, Field(ge=0)] = 0
    """So many distinct configs, and the baselines beside them; 0: none."""
    seeds: Annotated[int, Field(ge=2)] = 5
    """Fresh seeds for each: other draws, splits and initialisations than the search saw."""


class Limits(FrozenModel):
    """When a search or a trial that leads nowhere ends."""

    trial_time: Annotated[Duration | None, Field(exclude_if=lambda given: given is None)] = None
    """Wall time that a worker may take for a trial, or for a run of a confirmation, in one launch:
    90s, 10m, 1h30m, 2h or seconds. Then the worker is killed and the trial is FAIL; where it was
    trained together with others, each goes on alone and has the time once more."""
    trial_memory: Annotated[Size | None, Field(exclude_if=lambda given: given is None)] = None
    """Resident memory that a worker's process may take up: 500MiB, 4GiB, 4GB or bytes. Over it the
    worker is killed and the trial is FAIL; where that process trained others as well, together or
    before, each that it had goes on alone in a new one and has the memory once more."""
    plateau: Annotated[_Positive | None, Field(exclude_if=lambda given: given is None)] = None
    """So many trials, complete or pruned, after the best one without a better: then no further
    trial is begun, those that were begun come to their end, and the launch ends so; one objective
    only."""
    failures_in_a_row: _Positive = 30
    """A search of which so many trials in a row have failed stops: nothing of it works."""


class Resources(FrozenModel):
    """What a worker occupies, which trains one run or several together."""

    cpus: Annotated[float, Field(gt=0), AfterValidator(_schedulable)] = 1.0
    """CPU cores; the worker's threads follow. Several processes have equal shares."""
    gpus: Annotated[
        Literal["auto"] | Annotated[float, Field(ge=0)], AfterValidator(_schedulable)
    ] = "auto"
    """GPUs; 0.25 lets four workers share one; auto: one where there are any, else none."""
    runs_per_trainable: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"
    """Runs of one architecture that a worker trains together as one model, each computing what it
    would alone but for rounding, which many epochs make visible in its errors (measured in
    docs/performance.md). auto: as many as were measured to pay on this device and fit its
    memory, yet no more than leaves every worker its share, and under a sampler that learns from
    results no more than a tenth of the trials at once; 1: numbers to the bit."""
    strategy: Literal["ddp"] | None = later(None)
    """ddp: several processes of one machine train a run, each on its part of every batch, and it
    computes what it would in one but for rounding: one process for each of gpus, or with gpus 0 as
    many as processes says. Of tasks alone; such runs are not trained many as one model."""
    processes: Annotated[int, Field(ge=2)] | None = later(None)
    """With strategy ddp and gpus 0: how many processes train a run."""

    @property
    def n_processes(self) -> int:
        """How many processes train a run."""
        if self.strategy is None or self.gpus == "auto":
            return 1
        return self.processes or int(self.gpus)

    @property
    def n_threads(self) -> int:
        """Threads of each process that trains: its CPUs, and one at the least."""
        return max(1, int(self.cpus / self.n_processes))

    @property
    def together(self) -> Literal["auto"] | int:
        """How many runs a worker trains as one model, as far as it is settled."""
        return self.runs_per_trainable if self.n_processes == 1 else 1

    @model_validator(mode="after")
    def _team(self) -> Self:
        if self.strategy is None:
            if self.processes is not None:
                raise refusal(
                    "only strategy: ddp has several; add it, or leave this out", "processes"
                )
            return self
        if self.gpus == "auto" or 0 < self.gpus < 2 or (not self.gpus and self.processes is None):
            raise refusal(
                "ddp has a process for each GPU; expected gpus: 2 or more, or gpus: 0 and "
                "processes: 2 or more",
                "strategy",
            )
        if self.processes not in (None, self.gpus or self.processes):
            raise refusal(
                f"found {self.processes}; with gpus: {self.gpus:g} each has one, leave this out",
                "processes",
            )
        if self.runs_per_trainable not in ("auto", 1):
            raise refusal(
                "runs that several processes train are not trained many as one model; expected "
                "auto or 1",
                "runs_per_trainable",
            )
        share = self.cpus / self.n_processes
        if share > 1 and share != int(share):
            raise refusal(
                f"found {self.cpus:g} for {self.n_processes} processes; expected a multiple of "
                f"their number, or less than one each",
                "cpus",
            )
        return self
