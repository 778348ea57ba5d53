"""What a benchmark's command line asks for, read and checked."""

from __future__ import annotations

import math
import time
from argparse import Namespace
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from space import Override, Resources, load_configs, parse_duration
from space.config import BENCHMARK_SEEDS
from space.errors import SpaceError, UsageError
from storage.benchmark_names import benchmark_name, config_changes

__all__ = ["Request", "read_request"]

_RESOURCES = {
    "cpus": "a number of CPUs: more than 0, and above 1 a whole one",
    "gpus": "auto or a number of GPUs: at least 0, and above 1 a whole one",
    "runs_per_trainable": "auto or a whole number of at least 1",
}
"""The options of what a worker occupies, and what each takes."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the command line asks for, read and checked.

    Attributes:
        options: Its options.
        command: All of it, as it may be shown and stored.
        changes: What it changes in every config.
        name: What the benchmark is called.
        title: What heads its table: that of the one file, if it is of one as it stands.
        resources: What a worker occupies.
        deadline: When to stop, in seconds of `time.monotonic`; infinite without a limit.
    """

    options: Namespace
    command: str
    changes: list[Override]
    name: str
    title: str
    resources: Resources
    deadline: float


def read_request(options: Namespace) -> Request:
    """Read and check what the command line asks for.

    Raises:
        UserError: If an option or a file is wrong.
    """
    resources, deadline = _resources(options), _deadline(options)
    if options.seeds > len(BENCHMARK_SEEDS):
        raise UsageError(
            f"--seeds: found {options.seeds}; expected at most {len(BENCHMARK_SEEDS)}, since the "
            f"seeds from {BENCHMARK_SEEDS.stop} on are for searches."
        )
    changes = config_changes(options.set, epochs=options.epochs, augment=options.augment)
    files = [load_configs(path) for path in options.config]
    return Request(
        options=options,
        command=options.typed,
        changes=changes,
        name=benchmark_name([file.name for file in files], changes),
        title=files[0].title if len(files) == 1 and not changes else "",
        resources=resources,
        deadline=deadline,
    )


def _resources(options: Namespace) -> Resources:
    """What a worker occupies, as the command line says it."""
    given: dict[str, Any] = {}
    for key, wanted in _RESOURCES.items():
        text = getattr(options, key)
        value: Any = text
        for kind in (float, int):  # A whole number is an integer.
            with suppress(ValueError):
                value = kind(text)
        try:
            Resources.model_validate({key: value})
        except ValidationError as error:
            option = "--" + key.replace("_", "-")
            raise UsageError(f"{option}: '{text}' is not {wanted}.") from error
        given[key] = value
    return Resources.model_validate(given)


def _deadline(options: Namespace) -> float:
    """When to stop, in seconds of `time.monotonic`."""
    if options.time_limit is None:
        return math.inf
    try:
        return time.monotonic() + parse_duration(options.time_limit)
    except SpaceError as error:
        raise UsageError(f"--time-limit: {error}") from error
