"""What a launch will do, resolved once: command line over file over default."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
import sqlalchemy as sa

from search.launch.forms import choose_form, gpu_finder
from search.runs.provenance import Provenance
from search.trials.proposals import IMPOSSIBLE, Proposer
from search.trials.sampling import propose
from search.workers.ray_session import Slots, slots_for
from space import RunConfig, Space, SpaceFile
from space.errors import (
    CheckpointError,
    NoStudiesError,
    SpaceError,
    StudyNotFoundError,
    UserError,
)
from space.terminal.command import FULL_DISK
from storage import NewLaunch, StudyRecord, open_store
from storage.commands.kit import default_storage
from storage.connect.engine import parse_url
from trainables.closed_form import CLOSED_FORM
from trainables.data.counts import default_n_pairs
from trainables.resolve import resolve_config

if TYPE_CHECKING:
    from trainables.data.image_set import ImageSet

__all__ = [
    "DATA_VARIABLE",
    "Plan",
    "checkpoint_directory",
    "make_plan",
    "require_writable",
]

logger = logging.getLogger(__name__)

DATA_VARIABLE = "SEARCH_DATA_ROOT"
N_PROBES = 64
"""Random points that are looked at before the first trial."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything a launch needs to know.

    Attributes:
        space: The space file with the command line laid over it and its data source settled.
        form: What to say of the space file's form; None where it has but one.
        images: The training images, or None where the model needs none.
        storage: The store's URL.
        checkpoints: The directory for the state of runs that are not finished.
        command: The command line, as it may be shown and stored.
        provenance: Code, libraries and machine.
        ray_address: The cluster to join, or None for a Ray of our own.
        verbose: Let the libraries' own messages through.
    """

    space: Space
    form: str | None = None
    images: ImageSet | None
    storage: str = field(repr=False)
    checkpoints: Path
    command: str
    provenance: Provenance
    ray_address: str | None = None
    verbose: bool = False

    @property
    def data_source(self) -> str:
        """The data set that every run of the launch sees."""
        return "none" if self.images is None else self.images.source

    @property
    def data_fingerprint(self) -> str:
        """What the training images hash to."""
        return "none" if self.images is None else self.images.fingerprint

    @property
    def max_trials(self) -> int | None:
        """Trials that the study may hold in all, over all launches."""
        trials = self.space.budget.trials
        if self.space.sampler.name != "grid":
            return trials
        # A grid has nothing more to propose once every point has been tried; a baseline is one.
        n_points = self.space.n_grid_points
        return n_points if trials is None else min(trials, n_points)

    def resolve(self, params: Mapping[str, Any]) -> RunConfig:
        """The complete config of a trial with these parameters."""
        return resolve_config(self.space.resolve(params))

    def examples(self) -> list[RunConfig]:
        """Configs that can be trained: the baselines', then those of random points."""
        found = []
        for params in [*self.space.baseline_params(), *self.random_points()]:
            with contextlib.suppress(*IMPOSSIBLE):
                found.append(self.resolve(params))
        return found

    def random_points(self) -> list[dict[str, Any]]:
        """Some points of the space, parameter -> value, different where it has as many."""
        sampler = Proposer(self.space, optuna.samplers.RandomSampler(seed=0), seed=0)
        study = optuna.create_study(sampler=sampler)
        return [propose(study.ask(), self.space) for _ in range(N_PROBES)]

    def checkpoint_path(self, uid: str) -> Path:
        """Where a run's state lies until it is finished."""
        return self.checkpoints / self.space.study / f"{uid}.pt"

    def slots(self) -> Slots:
        """How many trials the Ray that is running takes at once.

        Raises:
            ClusterError: If not even one fits.
            TrainingError: If trials get no GPU but a setting needs one.
        """
        space = self.space
        return slots_for(space.resources, space.concurrency, space.training)

    def identity(self) -> dict[str, Any]:
        """The terms that may not change within the study."""
        return self.space.identity()

    def differences(self, record: StudyRecord) -> list[str]:
        """How the study's terms in the store differ from this plan's, a phrase each."""
        lines = self.space.difference(record.identity)
        if record.data_fingerprint != self.data_fingerprint:
            lines.append(
                f"data: {record.data_source} with fingerprint {record.data_fingerprint}, "
                f"now {self.data_source} with {self.data_fingerprint}"
            )
        return lines

    def new_launch(self, study_id: int, changes: list[str]) -> NewLaunch:
        """The launch's record for the store."""
        return self.provenance.new_launch(
            study_id=study_id,
            command=self.command,
            config=self.space.model_dump(mode="json"),
            changes=changes,
            data_source=self.data_source,
            data_fingerprint=self.data_fingerprint,
        )


def checkpoint_directory(url: sa.URL, option: str | None = None) -> Path:
    """Where the state of unfinished runs lies.

    Args:
        url: The store.
        option: What ``--checkpoints`` says: a directory that all machines of a cluster share.

    Returns:
        That, else a directory beside an SQLite file, else one under ``results/``.
    """
    if option is not None:
        return Path(os.path.expanduser(option)).resolve()
    if url.get_backend_name() == "sqlite":
        return Path(str(url.database)).parent / "checkpoints"
    return Path("results/checkpoints").resolve()


def require_writable(directory: Path) -> None:
    """Make the directory of unfinished runs' state, or refuse a place that cannot be one.

    A full disk is let pass: whatever has no checkpoint is trained all the same.

    Raises:
        CheckpointError: If it is no directory, cannot be made or cannot be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=directory).close()
    except OSError as error:
        if error.errno not in FULL_DISK:
            raise CheckpointError(
                f"checkpoints {directory}: cannot be written ({error.strerror}); name another "
                "directory with --checkpoints, or make this one writable."
            ) from error


def make_plan(
    file: SpaceFile,
    *,
    storage: str | None = None,
    command: str,
    provenance: Provenance,
    ray_address: str | None = None,
    checkpoints: str | None = None,
    verbose: bool = False,
) -> Plan:
    """Settle everything that a launch depends on.

    Args:
        file: The space file with the command line laid over it.
        storage: ``--storage``, if given.
        command: The command line, for the record.
        provenance: Code, libraries and machine, for the record.
        ray_address: ``--ray-address``, if given.
        checkpoints: ``--checkpoints``, if given.
        verbose: ``-v``.

    Returns:
        The plan.

    Raises:
        UserError: If the model, the data, the storage URL or a new study's seed is wrong, or the
            space proposes what no run can be trained with.
    """
    url = parse_url(default_storage(storage))
    record = _known_study(file.forms()[0].study, url)
    space, form = choose_form(file, record, gpu_finder(ray_address, verbose=verbose))
    if record is not None:
        space = space.keep_seeds(record.identity)
    problem = space.seed_problem()
    if problem and record is None:
        raise SpaceError(f"{file.name}: {problem}")
    if problem:
        logger.warning("the study goes on with the seeds it was begun with, %s", problem)
    images = None
    if space.model.name != CLOSED_FORM:  # Without data there is no wait for PyTorch.
        from trainables.data.pairs import draw_train_validation
        from trainables.data.sources import load_source

        space = _keep_source(space, record)
        images = load_source(space.data, "train")
        space = _settle_data(space, images)
        draw_train_validation(images, space.data)  # Too few images are found out before any trial.
    plan = Plan(
        space=space,
        form=form,
        images=images,
        storage=url.render_as_string(hide_password=False),
        checkpoints=checkpoint_directory(url, checkpoints),
        command=command,
        provenance=provenance,
        ray_address=ray_address,
        verbose=verbose,
    )
    _probe(plan, file.name)
    return plan


def _known_study(study: str, url: sa.URL) -> StudyRecord | None:
    """The terms that a study was begun under; None where it is a new one.

    Raises:
        StorageError: If the store is there, but cannot be read or is not of this release.
    """
    try:
        store = open_store(url.render_as_string(hide_password=False), look=True)
    except NoStudiesError:
        return None
    try:
        return store.study_records().get(store.study_id(study))
    except StudyNotFoundError:
        return None
    finally:
        store.close()


def _keep_source(space: Space, record: StudyRecord | None) -> Space:
    """The space with the data source that its study was begun with, where it says ``auto``.

    A study that began on the digits goes on with them also once MNIST can be had.
    """
    if space.data.source != "auto" or record is None:
        return space
    if record.data_source not in ("mnist", "digits"):
        return space
    return space.model_copy(
        update={"data": space.data.model_copy(update={"source": record.data_source})}
    )


def _settle_data(space: Space, images: ImageSet) -> Space:
    """The space with its data source and numbers of pairs as they were found to be.

    From here on ``auto`` means the same also when the study goes on elsewhere.
    """
    found = {
        "source": images.source,
        "n_train_pairs": space.data.n_train_pairs or default_n_pairs(images.source, "train"),
        "n_test_pairs": space.data.n_test_pairs or default_n_pairs(images.source, "test"),
    }
    return space.model_copy(update={"data": space.data.model_copy(update=found)})


def _probe(plan: Plan, path: str) -> None:
    """Resolve some points of the space, so that what cannot be trained is known before any trial.

    Raises:
        SpaceError: If a baseline cannot be trained, or no point that was tried.
    """
    for index, params in enumerate(plan.space.baseline_params()):
        try:
            plan.resolve(params)
        except IMPOSSIBLE as error:
            raise SpaceError(
                f"{path}: baselines.{index}: with {_shown(params)}: {error}"
            ) from error
    failures: list[tuple[dict[str, Any], UserError]] = []
    for params in plan.random_points():
        try:
            plan.resolve(params)
        except IMPOSSIBLE as error:
            failures.append((params, error))
    if not failures:
        return
    params, first = failures[0]
    if len(failures) == N_PROBES:
        raise SpaceError(f"{path}: with {_shown(params)}: {first}") from first
    logger.warning(
        "%d of %d random points of %s cannot be trained, such as %s: %s; trials like these fail, "
        "and the search goes on",
        len(failures), N_PROBES, path, _shown(params), first,
    )  # fmt: skip


def _shown(params: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in params.items())
