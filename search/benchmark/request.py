"""What a benchmark's command line asks for, read and checked."""

from __future__ import annotations

import math
import time
from argparse import Namespace
from dataclasses import dataclass

from search.callbacks.find import Maker, makers
from space import Override, Resources, load_configs, parse_duration, parse_tree
from space.config import BENCHMARK_SEEDS
from space.errors import SpaceError, UsageError
from space.files.reader import parse_yaml
from space.study.callbacks import CallbackList
from storage.benchmarks import benchmark_name, config_changes

__all__ = ["Request", "read_request"]

N_SEEDS, MAX_SEEDS = 10, 30
"""The seeds of a benchmark, and the most of a race, where nothing is said."""
_RESOURCES = ("cpus", "gpus", "runs_per_trainable", "strategy", "processes")
"""The options of what a worker occupies."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the command line asks for, read and checked.

    Attributes:
        options: Its options.
        command: All of it, as it may be shown and stored.
        changes: What it changes in every config.
        name: What the benchmark is called.
        n_seeds: How many seeds are asked for at the most.
        is_raced: Whether they are added until every config has a verdict.
        title: What heads its table: that of the one file, if it is of one as it stands.
        callbacks: Who is told of its runs beside the store.
        resources: What a worker occupies.
        deadline: When to stop, in seconds of `time.monotonic`; infinite without a limit.
    """

    options: Namespace
    command: str
    changes: list[Override]
    name: str
    n_seeds: int
    is_raced: bool
    title: str
    callbacks: list[Maker]
    resources: Resources
    deadline: float


def read_request(options: Namespace) -> Request:
    """Read and check what the command line asks for.

    Raises:
        UserError: If an option or a file is wrong.
    """
    resources, deadline = _resources(options), _deadline(options)
    n_seeds = _n_seeds(options)
    if options.margin is not None and not 0 < options.margin < math.inf:
        raise UsageError(f"--margin: found {options.margin:g}; expected a number above 0.")
    told = {"callbacks": [parse_yaml(each, "--callbacks") for each in options.callbacks]}
    changes = config_changes(options.set, epochs=options.epochs, augment=options.augment)
    files = [load_configs(path) for path in options.config]
    return Request(
        options=options,
        command=options.typed,
        changes=changes,
        name=benchmark_name([file.name for file in files], changes, fresh=options.fresh_seeds),
        n_seeds=n_seeds,
        is_raced=options.until_decided,
        title=files[0].title if len(files) == 1 and not changes else "",
        callbacks=makers(parse_tree(CallbackList, told, "--callbacks").callbacks),
        resources=resources,
        deadline=deadline,
    )


def _n_seeds(options: Namespace) -> int:
    """The most seeds of a config."""
    if options.until_decided:
        if options.seeds is not None:
            raise UsageError(
                "--seeds: --until-decided settles how many there are; give the most that there may "
                "be with --max-seeds."
            )
        if options.only is not None:
            raise UsageError(
                "--only: the verdicts of a race count all configs of its files; leave it out, or "
                "race a file of these configs alone."
            )
        if options.vary is not None:
            raise UsageError(
                "--vary: a race trains each config on seeds of its own number; vary a source in a "
                "benchmark of so many --seeds."
            )
        option, n_seeds = "--max-seeds", options.max_seeds or MAX_SEEDS
    elif options.max_seeds is not None:
        raise UsageError("--max-seeds: only a race has it; add --until-decided, or give --seeds.")
    else:
        option, n_seeds = "--seeds", options.seeds or N_SEEDS
    if n_seeds > len(BENCHMARK_SEEDS):
        raise UsageError(
            f"{option}: found {n_seeds}; expected at most {len(BENCHMARK_SEEDS)}, since the "
            f"seeds from {BENCHMARK_SEEDS.stop} on are for searches."
        )
    return int(n_seeds)


def _resources(options: Namespace) -> Resources:
    """What a worker occupies, as the command line says it."""
    said = []
    for key in _RESOURCES:
        text = getattr(options, key)
        if text is None:
            continue
        label = f"--{key.replace('_', '-')} {text}"
        said.append(Override(key=key, value=parse_yaml(text, label), label=label))
    return parse_tree(Resources, {}, "the command line", said)


def _deadline(options: Namespace) -> float:
    """When to stop, in seconds of `time.monotonic`."""
    if options.time_limit is None:
        return math.inf
    try:
        return time.monotonic() + parse_duration(options.time_limit)
    except SpaceError as error:
        raise UsageError(f"--time-limit: {error}") from error
