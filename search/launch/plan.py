"""What a launch will do, resolved once: command line over file over default.

Of a space file it searches what the file says, or the form of it for trials without a GPU.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from search.callbacks.find import makers
from search.runs.provenance import Provenance, gpu_names
from search.trials.feasible import IMPOSSIBLE, require_feasible, resolved
from search.trials.population import check_states
from search.trials.sampling import N_PROBES, random_points, require_own
from search.workers.ray_session import has_gpus, ray_session
from search.workers.workplace import Workplace, require_tasks
from space import Space, SpaceFile
from space.errors import SpaceError, StudyNotFoundError, UserError
from space.files.load import WHOLE
from space.messages import listed
from space.study.identity import WITHOUT_GPU
from storage import Store, StudyRecord
from trainables.contract.run_data import RunData
from trainables.finding.find import trainable_of

__all__ = [
    "DATA_VARIABLE",
    "Plan",
    "choose_form",
    "gpu_finder",
    "known_study",
    "make_plan",
    "settle_data",
]

logger = logging.getLogger(__name__)

DATA_VARIABLE = "SEARCH_DATA_ROOT"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The settings of a launch.

    Attributes:
        space: The space file with the command line laid over it and its data source settled.
        form: What to say of the space file's form; None where it has but one.
        place: Where runs are to be trained, and on which data.
        command: The command line, as it may be shown and stored.
        provenance: Code, libraries and machine.
    """

    space: Space
    form: str | None = None
    place: Workplace
    command: str
    provenance: Provenance


def known_study(store: Store | None, name: str) -> StudyRecord | None:
    """The terms that a study was begun under; None where it is a new one."""
    if store is None:
        return None
    try:
        return store.study_records().get(store.study_id(name))
    except StudyNotFoundError:
        return None


def make_plan(
    file: SpaceFile,
    record: StudyRecord | None,
    place: Workplace,
    *,
    command: str,
    provenance: Provenance,
) -> Plan:
    """Settle everything that a launch depends on.

    Args:
        file: The space file with the command line laid over it.
        record: The terms that its study was begun under; None where it is a new one.
        place: Where runs are to be trained; its checkpoints are those of all studies.
        command: The command line, for the record.
        provenance: Code, libraries and machine, for the record.

    Returns:
        The plan.

    Raises:
        UserError: If the model, the data, a callback or a new study's seed is wrong, or the space
            proposes what no run can be trained with.
    """
    space, form = choose_form(file, record, gpu_finder(place.ray_address, verbose=place.verbose))
    if record is not None:
        space = space.keep_seeds(record.identity)
    problem = space.seed_problem()
    if problem and record is None:
        raise SpaceError(f"{file.name}: {problem}")
    if problem:
        logger.warning("the study goes on with the seeds it was begun with, %s", problem)
    makers(space.callbacks)
    require_own(space)
    require_tasks(space.resources, space.config)
    space, data = settle_data(space, record)
    _probe(space, file.name)
    return Plan(
        space=space,
        form=form,
        place=replace(
            place,
            resources=space.resources,
            concurrency=space.concurrency,
            training=space.training,
            data=data,
            checkpoints=place.checkpoints / space.study,
            keep_weights=space.keep_weights,
            limits=space.limits,
        ),
        command=command,
        provenance=provenance,
    )


def settle_data(space: Space, record: StudyRecord | None) -> tuple[Space, RunData]:
    """Load the data; the space says what they were found to be.

    From here on ``auto`` means the same also when the study goes on elsewhere, where other data can
    be had.
    """
    source = None if record is None else record.data_source
    config, data = trainable_of(space.config).settle(space.config, source=source)
    return space.with_config(config), data


def _probe(space: Space, path: str) -> None:
    """Resolve some points of the space, so that what cannot be trained is known before any trial.

    Raises:
        SpaceError: If a baseline cannot be trained, or no point that was tried.
    """
    for index, params in enumerate(space.baseline_params()):
        try:
            config = resolved(space, params)
            require_feasible(space, config)
        except IMPOSSIBLE as error:
            raise SpaceError(
                f"{path}: baselines.{index}: with {_shown(params)}: {error}"
            ) from error
    points = random_points(space)
    failures: list[tuple[dict[str, Any], UserError]] = []
    for params in points:
        try:
            config = resolved(space, params)
            if space.constraints:
                require_feasible(space, config)
        except IMPOSSIBLE as error:
            failures.append((params, error))
    if space.sampler.name == "pbt":
        failed = [params for params, _ in failures]
        check_states(space, [params for params in points if params not in failed])
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


def choose_form(
    file: SpaceFile, record: StudyRecord | None, find_gpu: Callable[[], bool]
) -> tuple[Space, str | None]:
    """The form that a study was begun in, else the one that fits what trials get here.

    Args:
        file: The space file with the command line laid over it.
        record: The terms that the study was begun under; None where it is a new one.
        find_gpu: Whether there is a GPU; asked only where it matters.

    Returns:
        The space, and what is to be said of it; None where the file has but one form.

    Raises:
        SpaceError: If that form is wrong.
    """
    if file.part is None:
        return file.space(without_gpu=False), None
    if record is not None:
        laid, why = WITHOUT_GPU in record.identity, "the study was begun so"
    else:
        laid, why = not find_gpu(), "trials get no GPU"
        if not laid:
            asked = file.space(without_gpu=False)
            laid = asked.resources.gpus == 0 or asked.training.device == "cpu"
    space = file.space(without_gpu=laid)
    if not laid:
        why = why if record is not None else "trials get a GPU"
        return space, f"{file.name}: its {WITHOUT_GPU} is left out, since {why}"
    said = ", ".join(_settings(file.part, space.model_dump(mode="json")))
    return space, f"{file.name}: its {WITHOUT_GPU} holds, since {why}: {said}"


def _settings(part: Mapping[str, Any], dump: Mapping[str, Any]) -> Iterator[str]:
    """What the part sets, as it came out once the command line was laid over it."""
    for section, value in part.items():
        keys = [section] if section in WHOLE or not isinstance(value, dict) else list(value)
        for key in keys:
            found = dump[section] if key == section else dump[section].get(key)
            path = section if key == section else f"{section}.{key}"
            yield path if isinstance(found, dict | list) else f"{path} {listed([found])}"


def gpu_finder(address: str | None, *, verbose: bool) -> Callable[[], bool]:
    """Looks for a GPU on the cluster of ``--ray-address``, or on this machine."""

    def find() -> bool:
        if address is None:
            return bool(gpu_names())
        with ray_session(address, verbose=verbose):
            return has_gpus()

    return find
