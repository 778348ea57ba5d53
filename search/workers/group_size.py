"""How many runs a worker trains together: what was asked for, or what pays on this device."""

from __future__ import annotations

import json
import logging
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from search.workers.ray_session import Slots
from search.workers.workers import GroupSize
from search.workers.workplace import OpenWorkplace
from space import RunConfig, Space
from space.errors import TrainingError
from space.study.samplers import PBTSampler
from space.words import joined
from trainables.contract.run_data import RunData
from trainables.failures import TrialFailure
from trainables.finding.find import install, read_config, trainable_of
from trainables.tracebacks import mistakes_told

if TYPE_CHECKING:
    from trainables.contract.group_speed import GroupSpeed

__all__ = ["group_size_of_queue", "group_size_of_study"]

logger = logging.getLogger(__name__)

MOST = 32
"""The largest group that ``auto`` makes."""
LEARNING_SHARE = 0.1
"""The share of a study's trials that may be under way at once under a sampler that learns: each of
them was proposed without knowing how the others end."""
USUAL_TRIALS = 100
"""The trials that a study without a budget of them is taken to have."""
_INDIFFERENT = ("random", "grid", "qmc")
"""Samplers whose proposals do not depend on results."""


def group_size_of_study(
    space: Space, place: OpenWorkplace, examples: Callable[[], Sequence[RunConfig]]
) -> GroupSize:
    """How many runs of a study a worker trains together.

    Args:
        space: The search space.
        place: Where runs are trained.
        examples: Makes configs of the space, by which it is seen how they differ.

    Returns:
        The number, for any config of the study.
    """
    asked = space.resources.together
    if space.pruner.name == "wilcoxon":  # Its replicates are trained one after another.
        return lambda config: 1
    if asked != "auto":
        return lambda config: asked
    n_runs = space.replicates * _trials_at_once(space, place.slots)
    if n_runs == 1 or not trainable_of(space.config).batched:
        return lambda config: 1
    kinds = {_kind_of(config): config for config in reversed(examples())}
    # Runs of several kinds are shared out among as many batches.
    if n_runs < 2 * len(kinds):
        if n_runs > space.replicates:
            logger.info(
                "trials are trained one by one: they differ in %s, and only runs alike in it make "
                "a batch", joined(_differing(kinds)),
            )  # fmt: skip
        n_runs = space.replicates
    # What takes the most memory gains the least.
    largest = max(kinds.values(), key=lambda each: trainable_of(each).weight(each))
    in_all = (space.max_trials or math.inf) * space.replicates / place.slots.concurrency
    found = _measured_where_it_pays(largest, n_runs, in_all, place)
    if isinstance(found, int):
        return lambda config: found
    size = min(found.n_runs, n_runs)
    _announce(largest, found, size, place, _differing(kinds))
    return lambda config: size


def group_size_of_queue(configs: Sequence[RunConfig], place: OpenWorkplace) -> GroupSize:
    """How many of some runs, all of them to be trained, a worker trains together.

    Args:
        configs: The runs' configs.
        place: Where runs are trained.

    Returns:
        The number for each config; no more than leaves every worker its share.
    """
    asked = place.resources.together
    if asked != "auto":
        return lambda config: asked
    counts = Counter(_kind_of(config) for config in configs)
    sizes: dict[str, int] = {}
    for config in configs:
        kind = _kind_of(config)
        if kind in sizes:
            continue
        share = math.ceil(counts[kind] / place.slots.concurrency)
        found = _measured_where_it_pays(config, share, share, place)
        sizes[kind] = found if isinstance(found, int) else found.n_runs_of(share)
        if not isinstance(found, int):
            _announce(config, found, sizes[kind], place)
    return lambda config: sizes[_kind_of(config)]


def _kind_of(config: RunConfig) -> str:
    return json.dumps(config.kind(), sort_keys=True)


def _trials_at_once(space: Space, slots: Slots) -> int:
    """The most trials that each worker may have under way."""
    n_trials = space.max_trials or USUAL_TRIALS
    if isinstance(space.sampler, PBTSampler):
        return math.ceil(space.sampler.population / slots.concurrency)
    if space.sampler.name not in _INDIFFERENT:
        return max(1, int(LEARNING_SHARE * n_trials / slots.concurrency))
    return math.ceil(n_trials / slots.concurrency)


def _differing(kinds: Iterable[str]) -> list[str]:
    """The keys of `RunConfig.kind` that kinds differ in."""
    values: defaultdict[str, set[str]] = defaultdict(set)
    for kind in kinds:
        for key, value in json.loads(kind).items():
            values[key].add(json.dumps(value))
    return sorted(key for key, seen in values.items() if len(seen) > 1)


def _measured_where_it_pays(
    config: RunConfig, most: int, n_runs: float, place: OpenWorkplace
) -> GroupSpeed | int:
    """What was measured of runs like this one, or the number where there is nothing to measure."""
    most = min(most, MOST)
    if most == 1 or not trainable_of(config).batched:
        return 1
    try:
        return _measure(config, most, n_runs, place)
    except (TrialFailure, TrainingError):
        return 1  # Not even one goes, for want of memory, say; its trial will tell.


def _measure(config: RunConfig, most: int, n_runs: float, place: OpenWorkplace) -> GroupSpeed:
    """Measure on a worker, or here where a worker would find the same."""
    gpus = place.slots.gpus_per_trial
    device: Literal["cuda", "cpu"] = "cuda" if gpus else "cpu"
    arguments = (
        config.model_dump(mode="json"),
        place.data,
        most,
        n_runs,
        place.resources.n_threads,
        device,
    )
    if place.slots.nodes == 1 and not gpus:
        import torch

        before = torch.get_num_threads()
        try:
            return _measured(*arguments)
        finally:
            torch.set_num_threads(before)
    import ray

    # A worker sees the GPUs that it was given.
    remote: Any = ray.remote(num_cpus=place.resources.cpus, num_gpus=gpus)(_measured)
    try:
        result: GroupSpeed = ray.get(remote.remote(*arguments))
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, TrialFailure | TrainingError):
            raise error.cause from error
        raise
    return result


def _measured(
    tree: dict[str, Any],
    data: RunData,
    most: int,
    n_runs: float,
    n_threads: int,
    device: Literal["cuda", "cpu"],
) -> GroupSpeed:
    import torch

    install(data.own)
    config = read_config(tree)
    torch.set_num_threads(n_threads)
    config = config.with_values({"training.device": device})
    with mistakes_told(TrainingError):
        return trainable_of(config).measure_together(config, data, most=most, n_runs=n_runs)


def _announce(
    config: RunConfig,
    found: GroupSpeed,
    size: int,
    place: OpenWorkplace,
    differing: Sequence[str] = (),
) -> None:
    """Say what was measured: what pays, and where the memory ends."""
    device = "GPU" if place.slots.gpus_per_trial else "CPU"
    if size > 1 and differing:
        text = (
            f"a worker trains {size} runs at a time, those alike in {joined(differing)} "
            f"together: {size} alike are {found.speedup(size):.1f} times faster a run than alone "
            f"on this {device}"
        )
    elif size > 1:
        text = (
            f"{size} runs are trained together, {found.speedup(size):.1f} times faster a run than "
            f"alone on this {device}"
        )
    elif found.in_all is not None:
        text = (
            f"runs are trained alone: all those of a worker take about {found.in_all:.2g} s, less "
            "than to see whether they were faster together"
        )
    elif found.refused:
        text = f"runs are trained alone, since they cannot be trained as one: {found.refused}"
    elif len(found.seconds) > 1:
        text = f"runs are trained alone, no slower than together on this {device}"
    elif found.too_many:
        text = f"runs are trained alone on this {device}"
    else:
        text = (
            f"runs are trained alone: a step of one takes {found.seconds[1]:.2g} s on this "
            f"{device}, too long to gain from others beside it"
        )
    if found.too_many:
        text += f"; {found.too_many} do not fit in its memory"
    logger.info("%s: %s", config.what, text)
