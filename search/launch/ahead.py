"""Ray, started before the driver loads its libraries: the workers load theirs meanwhile."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from search.workers.own_ray import Prestarted
from search.workers.ray_session import ray_session
from space import Space, SpaceFile
from space.errors import NoStudiesError, StorageError, StudyNotFoundError
from storage import open_store
from storage.commands.kit import default_storage
from trainables.finding.find import trainable_of

__all__ = ["ray_ahead"]


@contextmanager
def ray_ahead(file: SpaceFile, options: Namespace) -> Iterator[Path | None]:
    """A Ray of our own, up for as long as the block lasts, where a launch begins a study.

    One that goes on may have nothing left to train, and then needs none.

    Args:
        file: The space file with the command line laid over it.
        options: The command line's.

    Yields:
        The scratch directory of that Ray; None where none was started.

    Raises:
        ClusterError: If Ray cannot be started.
        SpaceError: If there is no such trainable.
    """
    space = file.forms()[-1]
    if options.dry_run or options.ray_address is not None or _is_begun(options, space.study):
        yield None
        return
    with ray_session(None, verbose=options.verbose, prestarted=_workers(space)) as scratch:
        yield scratch


def _is_begun(options: Namespace, study: str) -> bool:
    """Whether the store has the study, or cannot say."""
    try:
        with closing(open_store(default_storage(options.storage), look=True)) as store:
            store.study_id(study)
    except (NoStudiesError, StudyNotFoundError):
        return False
    except StorageError:
        return True
    return True


def _workers(space: Space) -> Prestarted | None:
    """The workers that the study will begin with; None where they are teams."""
    resources = space.resources
    if resources.n_processes > 1:
        return None
    most = [each for each in (space.concurrency, space.max_trials) if isinstance(each, int)]
    modules = ["trainables.worker.ray_trainable"]
    if trainable_of(space.config).batched:
        modules += ["trainables.loop.batch", "trainables.loop.training"]
    return Prestarted(cpus=resources.cpus, most=min(most, default=None), modules=tuple(modules))
