"""Where runs are trained: a Ray, what each worker on it occupies, and the data that runs see."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from search.workers.ray_session import Slots, ray_session, slots_for
from space import Resources, RunConfig, TrainingConfig
from space.config import AnyTraining
from space.errors import TrainingError
from space.files.places import Place
from space.study.terms import Limits
from storage.commands.checkpoints import weights_of
from trainables.contract.run_data import RunData
from trainables.finding.find import trainable_of

__all__ = ["OpenWorkplace", "RunFiles", "Workplace", "require_tasks"]


def require_tasks(resources: Resources, config: RunConfig) -> None:
    """Refuse several processes a run where the run is none whose batches can be shared out.

    Raises:
        TrainingError: If it is none.
    """
    if resources.n_processes > 1 and not trainable_of(config).batched:
        raise TrainingError(
            f"resources.strategy: '{config.trainable}' trains itself, and ddp shares out the "
            "batches of tasks alone; leave resources.strategy out, and it has all of a trial's "
            "CPUs and GPUs."
        )


@dataclass(frozen=True, kw_only=True)
class RunFiles:
    """Where a run's files lie.

    Attributes:
        checkpoint: Its state, until it is finished.
        weights: Its weights, once it is finished; None where they are not kept.
    """

    checkpoint: Place
    weights: Place | None


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """Where runs are trained, as it was asked for.

    Attributes:
        resources: What a worker occupies, and how many runs it trains together.
        concurrency: The most workers at once, or as many as fit.
        training: The settings of training, some of which need a GPU.
        data: What runs are trained on; it goes to the workers as it is.
        checkpoints: The directory for the state of unfinished runs; all machines share it.
        keep_weights: Whether the weights of finished runs are kept, below that directory.
        limits: What a worker may take for an assignment.
        ray_address: The cluster to join, or None for a Ray of our own.
        verbose: Let the libraries' own messages through.
        up: The scratch directory of a Ray that is up already; None: one is started or joined.
    """

    resources: Resources = field(default_factory=Resources)
    concurrency: int | Literal["auto"] = "auto"
    training: AnyTraining = field(default_factory=TrainingConfig)
    data: RunData = field(default_factory=RunData)
    checkpoints: Place
    keep_weights: bool = False
    limits: Limits = field(default_factory=Limits)
    ray_address: str | None = None
    verbose: bool = False
    up: Path | None = None

    def files(self, uid: str) -> RunFiles:
        """Where a run's files lie."""
        return RunFiles(
            checkpoint=self.checkpoints / f"{uid}.pt",
            weights=weights_of(self.checkpoints, uid) if self.keep_weights else None,
        )

    def find_slots(self) -> Slots:
        """How many workers the Ray that is up takes at once.

        Raises:
            ClusterError: If not even one fits.
            TrainingError: If workers get no GPU but a setting needs one.
        """
        return slots_for(self.resources, self.concurrency, self.training)

    def opened(self, slots: Slots, scratch: Path) -> OpenWorkplace:
        """The workplace on the Ray that is up."""
        return OpenWorkplace(**vars(self), slots=slots, scratch=scratch)

    @contextmanager
    def open(self) -> Iterator[OpenWorkplace]:
        """Start Ray or join it, for as long as the block lasts, unless it is up already.

        Raises:
            ClusterError: If Ray cannot be started or reached, or not even one worker fits.
            TrainingError: If workers get no GPU but a setting needs one.
        """
        with ExitStack() as stack:
            scratch = self.up
            if scratch is None:
                session = ray_session(self.ray_address, verbose=self.verbose)
                scratch = stack.enter_context(session)
            yield self.opened(self.find_slots(), scratch)


@dataclass(frozen=True, kw_only=True)
class OpenWorkplace(Workplace):
    """A workplace on the Ray that is up.

    Attributes:
        slots: Where workers run, and how many at once.
        scratch: A directory for what Tune insists on writing.
    """

    slots: Slots
    scratch: Path

    def below(self, folder: str) -> OpenWorkplace:
        """The same place with its checkpoints in a folder of their own."""
        return replace(self, checkpoints=self.checkpoints / folder)
