"""What the store holds of ours, as plain records."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from space.epochs import Epoch
from space.metrics import Measured

if TYPE_CHECKING:
    from space import Reported, RunConfig

__all__ = [
    "BenchmarkConfig",
    "BenchmarkRecord",
    "CourseRecord",
    "LaunchRecord",
    "NewLaunch",
    "NewRun",
    "NewStudy",
    "Registration",
    "ResultRecord",
    "RunEpoch",
    "RunRecord",
    "StudyRecord",
    "TrialStep",
    "WorkerRecord",
]


@dataclass(frozen=True, kw_only=True)
class NewStudy:
    """The terms that all launches of a study share.

    Attributes:
        study_id: Optuna's number of the study.
        identity: The terms that may not change within the study.
        metrics: The objectives' metrics in order.
        measured: What is measured of its runs.
        data_source: Which data set its runs see.
        data_fingerprint: What that data set's content hashes to.
    """

    study_id: int
    identity: dict[str, Any]
    metrics: list[str]
    measured: Measured
    data_source: str
    data_fingerprint: str


@dataclass(frozen=True, kw_only=True)
class StudyRecord(NewStudy):
    """The terms of a study, and when its first launch recorded them."""

    created_at: datetime.datetime


@dataclass(frozen=True, kw_only=True)
class NewLaunch:
    """What is known of a launch when it begins: who, where, with which config, code and data."""

    study_id: int | None
    command: str
    config: dict[str, Any]
    changes: list[str]
    git_commit: str | None
    git_dirty: bool | None
    versions: dict[str, str]
    hardware: dict[str, Any]
    data_source: str
    data_fingerprint: str
    host: str
    pid: int
    process: str | None = None
    """`storage.leases.process_mark` of it, where the system can tell."""


@dataclass(frozen=True, kw_only=True)
class LaunchRecord(NewLaunch):
    """One launch of a command; nothing had been heard of it for `silence` seconds when this was
    read, by the store's own clock. `told` is the message that was sent of its end, if one was;
    `last_trial` is the number of the trial that it took up last."""

    launch_id: int
    status: str
    started_at: datetime.datetime
    heartbeat_at: datetime.datetime
    ended_at: datetime.datetime | None
    silence: float = field(compare=False, repr=False)
    told: str | None = None
    last_trial: int | None = None


@dataclass(frozen=True, kw_only=True)
class WorkerRecord:
    """What a worker of a running launch does.

    Attributes:
        name: Where it is, e.g. ``"host pid device"``; None until it has reported.
        runs: The runs that it has.
        silence: Seconds since it last reported, or since it was given its first run.
        cpu: CPUs that it used between its last two reports, 1.0 is one of them; None until then.
        memory: Resident bytes.
        gpu_memory: Bytes that PyTorch has set aside for it on its GPU.
        gpu_total: Bytes of that GPU.
    """

    name: str | None
    runs: tuple[int, ...]
    silence: float
    cpu: float | None = None
    memory: int | None = None
    gpu_memory: int | None = None
    gpu_total: int | None = None


@dataclass(frozen=True, kw_only=True)
class CourseRecord:
    """What a launch says of itself with a heartbeat; after its end it is what it said last.

    Attributes:
        purpose: What its runs are for now, as a `NewRun` has it.
        n_epochs: Epochs that it has recorded for that purpose.
        seconds: Since the first of its workers was asked for.
        seconds_left: Until its time limit; None without one.
        n_planned: Epochs that it recorded and has yet to, where that is known from the beginning.
        workers: Its workers.
        lines: What it said last on stderr, oldest first.
        warnings: The warnings that it has given, oldest first.
    """

    purpose: str
    n_epochs: int
    seconds: float
    seconds_left: float | None
    n_planned: int | None
    workers: tuple[WorkerRecord, ...]
    lines: tuple[str, ...]
    warnings: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """As plain types."""
        return asdict(self)

    @classmethod
    def of_json(cls, tree: dict[str, Any]) -> CourseRecord:
        """From plain types."""
        workers = [
            WorkerRecord(**{**each, "runs": tuple(each["runs"])}) for each in tree["workers"]
        ]
        said = {name: tuple(tree[name]) for name in ("lines", "warnings")}
        return cls(**{**tree, "workers": tuple(workers), **said})


@dataclass(frozen=True, kw_only=True)
class NewRun:
    """What is known of a training run when it begins.

    Attributes:
        launch_id: The launch that trains it, or trained it last.
        study_id: Its study, if any.
        trial_id: Optuna's number of its trial, if any.
        purpose: ``"search"``, ``"confirm"`` or ``"benchmark"``.
        replicate: Which of the trial's runs for that purpose it is, from 0.
        config_hash: `RunConfig.config_hash()`.
        config: The whole `RunConfig`.
        n_parameters: Trainable parameters of its network, where they are known.
    """

    launch_id: int
    study_id: int | None
    trial_id: int | None
    purpose: str
    replicate: int
    config_hash: str
    config: dict[str, Any]
    n_parameters: int | None = None

    @property
    def selection(self) -> str:
        """By what the state that it keeps is chosen: see `space.config.RunConfig.selection`."""
        return str(self.config.get("training", {}).get("selection", "metric"))


@dataclass(frozen=True, kw_only=True)
class RunRecord(NewRun):
    """One training run; `n_epochs` of its epochs are in the store, taking `train_seconds`.

    Where an exception ended it, `traceback` is what its user is to see of that.
    Its state of `best_epoch` is kept; under the other selection it were that of `other_epoch`.
    Its `uid` belongs to no other run of any store, and names its checkpoint.
    """

    run_id: int
    uid: str
    state: str
    reason: str | None
    worker: str | None
    started_at: datetime.datetime
    ended_at: datetime.datetime | None
    n_epochs: int
    best_epoch: int | None
    train_seconds: float
    traceback: str | None = None
    other_epoch: int | None = None


@dataclass(frozen=True, kw_only=True)
class RunEpoch:
    """An epoch that a worker reported.

    Attributes:
        run_id: Its run.
        epoch: Its metrics.
        best_epoch: The epoch whose state the run keeps so far.
        worker: Where it was trained, e.g. ``"host pid device"``.
        other_epoch: The epoch whose state the other selection would keep so far, if there is one.
    """

    run_id: int
    epoch: Epoch
    best_epoch: int
    worker: str
    other_epoch: int | None = None


@dataclass(frozen=True, kw_only=True)
class TrialStep:
    """A value that a trial reports to Optuna; its pruners judge by it.

    Attributes:
        trial_id: Optuna's number of the trial.
        step: The step, from 1.
        value: The objective's value; need not be finite.
    """

    trial_id: int
    step: int
    value: float


@dataclass(frozen=True, kw_only=True)
class ResultRecord:
    """What a benchmark run ended in: the metrics of the state it kept, those on the test split too.

    `other` has those of the state that the other selection would keep, or nothing where there is
    none or it is not known. `data_fingerprint` is of the training and the test split together.
    """

    run_id: int
    metrics: Mapping[str, float]
    data_fingerprint: str
    other: Mapping[str, float] = field(default_factory=dict)

    def __getitem__(self, name: str) -> float:
        """A metric's value; NaN where it was not measured, or was not finite."""
        return self.metrics.get(name, math.nan)


@dataclass(frozen=True, kw_only=True)
class BenchmarkConfig:
    """One config of a benchmark.

    Attributes:
        name: What tables call it.
        config: The config, complete, with the first of its seeds.
        config_hashes: `RunConfig.config_hash()` of the run on each seed.
        n_parameters: Trainable parameters.
        reported: What a publication reports for it, if anything.
        seeds: The seeds, one a hash; left out, 0, 1, ...
    """

    name: str
    config: RunConfig
    config_hashes: tuple[str, ...]
    n_parameters: int
    reported: Reported | None
    seeds: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Number the seeds."""
        if not self.seeds:
            object.__setattr__(self, "seeds", tuple(range(len(self.config_hashes))))

    @property
    def by_seed(self) -> dict[int, str]:
        """Seed -> hash of the config of the run on it."""
        return dict(zip(self.seeds, self.config_hashes, strict=True))


@dataclass(frozen=True, kw_only=True)
class Registration:
    """What a benchmark wrote down before it read a test sample, or what was added to that later.

    Attributes:
        registered_at: When, by the store's clock; None before it is in a store.
        configs: Name -> `RunConfig.config_hash()` of its run on each of the seeds; of an addition
            all that the benchmark had by then.
        seeds: The seeds, likewise.
        reference: The config that each of the others is compared with.
        metric: What they are compared by.
        margin: Of practical equivalence, in the metric's unit; None where nobody named one.
        max_seeds: Where seeds are added until the verdicts are decided: the most there may be;
            None where all seeds are trained.
        git_commit: Of the code, if it is known.
        git_dirty: Whether the code differed from that.
        versions: Of Python and of each library.
    """

    registered_at: datetime.datetime | None = None
    configs: Mapping[str, tuple[str, ...]]
    seeds: tuple[int, ...]
    reference: str
    metric: str
    margin: float | None
    max_seeds: int | None
    git_commit: str | None
    git_dirty: bool | None
    versions: Mapping[str, str]

    @property
    def hashes(self) -> frozenset[str]:
        """Of every run that is planned."""
        return frozenset(each for hashes in self.configs.values() for each in hashes)


@dataclass(frozen=True, kw_only=True)
class BenchmarkRecord:
    """What a benchmark compares, on one data set; its results are those of its configs' runs.

    Attributes:
        benchmark_id: Its number; None before it is in a store.
        name: What it is called: one row a name and data set.
        data_source: The data's source.
        data_fingerprint: Of the training and the test split together.
        title: What its table is headed with; may be empty.
        reference: The config that the others are compared with.
        n_seeds: How many seeds were asked for.
        measured: What is measured of its runs.
        configs: The configs, in the table's order.
        updated_at: When it was last asked for.
        registrations: What was written down before a test sample was read, and what was added
            since, in order; empty in a benchmark of a release that registered none.
    """

    benchmark_id: int | None = None
    name: str
    data_source: str
    data_fingerprint: str
    title: str
    reference: str
    n_seeds: int
    measured: Measured
    configs: tuple[BenchmarkConfig, ...]
    updated_at: datetime.datetime | None = None
    registrations: tuple[Registration, ...] = ()

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of its configs, ascending."""
        return tuple(sorted({seed for config in self.configs for seed in config.seeds}))

    @property
    def margin(self) -> float | None:
        """The registered margin of practical equivalence."""
        return self.registrations[0].margin if self.registrations else None

    @property
    def max_seeds(self) -> int | None:
        """Where seeds are added until its verdicts are decided: the most there may be."""
        return self.registrations[-1].max_seeds if self.registrations else None
