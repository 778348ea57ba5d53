"""Which form of a space file a launch searches: what it says, or that for trials without a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from search.runs.provenance import gpu_names
from search.workers.ray_session import has_gpus, ray_session
from space import Space, SpaceFile
from space.files.load import WHOLE
from space.messages import listed
from space.study.identity import WITHOUT_GPU
from storage import StudyRecord

__all__ = ["choose_form", "gpu_finder"]


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
