"""Which samplers and pruners are tried over recorded curves."""

from __future__ import annotations

import logging
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from search.simulate.cost import Way, space_for
from search.simulate.curves_file import LearningCurves
from search.trials.warm_start import best_of
from space import Pruner, Sampler
from space.errors import SpaceError, UsageError
from space.files.reader import parse_yaml
from space.study.terms import WarmStart
from storage.commands.kit import opened

__all__ = ["PRUNERS", "SAMPLERS", "check_tolerance", "choose_ways", "warm_too"]

logger = logging.getLogger(__name__)

IN_TURN = "wilcoxon"
"""The pruner that trains a trial's replicates one after another, which is not replayed."""
ON_STATES = "pbt"
"""The sampler whose trials go on from one another, which is not replayed either."""

SAMPLERS = (
    "random",
    "qmc",
    "tpe",
    "{name: tpe, multivariate: false}",
    "{name: tpe, n_startup_trials: 5}",
    "{name: tpe, n_startup_trials: 20}",
    "cmaes",
)
PRUNERS = (
    "none",
    "{name: asha, min_resource: 1}",
    "{name: asha, min_resource: 3}",
    "{name: asha, min_resource: 3, reduction_factor: 2}",
    "{name: asha, min_resource: 5, reduction_factor: 2}",
    "{name: hyperband, min_resource: 3}",
    "{name: median, n_warmup_steps: 3}",
    "{name: percentile, percentile: 25, n_warmup_steps: 3}",
)


def check_tolerance(curves: LearningCurves, tolerance: float) -> None:
    """Refuse a tolerance that any trial of some curves meets.

    Raises:
        UsageError: If it is so large.
    """
    worth_P = curves.true_values()
    if (worth_P <= worth_P.min() + tolerance).all():
        raise UsageError(
            f"--tolerance {tolerance:g}: all {len(worth_P)} points are within it of the best, so "
            "any trial is good enough; give a smaller one."
        )


def choose_ways(
    curves: LearningCurves,
    samplers: Sequence[str] = (),
    pruners: Sequence[str] = (),
    *,
    replicates: int = 1,
) -> list[Way]:
    """The ways to try; the first two are every point and random search, both without a pruner.

    Args:
        curves: The curves; their space has the pruner and the sampler that go without saying.
        samplers: Samplers as a space file has them.
        pruners: Pruners likewise.
        replicates: Recorded seeds that a trial is trained on.

    Returns:
        All samplers with all pruners; without either, `SAMPLERS` with the space's own pruner and
        `PRUNERS` with its own sampler, as far as they go with the space.

    Raises:
        UserError: If a given one is wrong, or does not go with the space.
    """
    own_pruner = _own(curves.space.pruner, {IN_TURN: "none"})
    own_sampler = _own(curves.space.sampler, {"grid": "tpe"})  # A grid is every point.
    tried: list[tuple[Mapping[str, Any] | None, Mapping[str, Any]]] = [
        (None, {"name": "none"}),
        ({"name": "random"}, {"name": "none"}),
    ]
    if samplers or pruners:
        for sampler in _settings("sampler", samplers) or [own_sampler]:
            for pruner in _settings("pruner", pruners) or [own_pruner]:
                _check(curves, sampler, pruner)
                tried.append((sampler, pruner))
    else:
        standard = [(own_sampler, own_pruner)]
        standard += [(each, own_pruner) for each in _settings("sampler", SAMPLERS)]
        standard += [(own_sampler, each) for each in _settings("pruner", PRUNERS)]
        for sampler, pruner in standard:
            try:
                _check(curves, sampler, pruner)
            except SpaceError as error:
                logger.info("left out of the standard list: %s", error)
            else:
                tried.append((sampler, pruner))
    ways = [Way(sampler=each, pruner=pruner, replicates=replicates) for each, pruner in tried]
    return _distinct(curves, ways)


def warm_too(curves: LearningCurves, ways: Sequence[Way], options: Namespace) -> list[Way]:
    """Every way that searches a second time, warm-started.

    Args:
        curves: The curves.
        ways: The ways.
        options: The command line's.

    Raises:
        UserError: If the study of the warm start is that of the curves, or cannot be read.
    """
    name = options.warm_start
    if name == curves.space.study:
        raise UsageError(
            f"--warm-start {name}: the curves are of this study, which knows the answers; name "
            "another."
        )
    given = {"study": name} if options.top is None else {"study": name, "top": options.top}
    with opened(options.storage) as store:
        earlier = tuple(best_of(store, curves.space, WarmStart(**given)))
    return [
        each
        for way in ways
        for each in ([way] if way.sampler is None else [way, replace(way, earlier=(earlier,))])
    ]


def _own(config: Sampler | Pruner, instead: Mapping[str, str]) -> dict[str, Any]:
    """A space's own sampler or pruner as a space file has it, or what stands in for it."""
    if config.name in instead:
        return {"name": instead[config.name]}
    said = config.model_dump(mode="json", exclude_defaults=True, exclude={"seed"})
    return {**said, "name": config.name}


def _settings(kind: str, texts: Sequence[str]) -> list[dict[str, Any]]:
    found = []
    for text in texts:
        value = parse_yaml(text, f"--{kind}")
        if isinstance(value, str):
            value = {"name": value}
        if not isinstance(value, dict):
            raise UsageError(f"--{kind} {text}: expected a name, or {{name: ..., ...}}.")
        found.append(value)
    return found


def _check(curves: LearningCurves, sampler: Mapping[str, Any], pruner: Mapping[str, Any]) -> None:
    if pruner.get("name") == IN_TURN:
        raise UsageError(
            f"--pruner {IN_TURN}: trains replicates in turn, which is not replayed; name another."
        )
    if sampler.get("name") == ON_STATES:
        raise UsageError(
            f"--sampler {ON_STATES}: trials go on with one another's networks, of which curves "
            "have none; name another."
        )
    try:
        space_for(curves, Way(sampler=sampler, pruner=pruner), seed=0, study="checked")
    except SpaceError as error:
        said = str(error).removeprefix("simulated: ")
        raise SpaceError(f"--sampler, --pruner: {said}") from error


def _distinct(curves: LearningCurves, ways: Sequence[Way]) -> list[Way]:
    """The ways without repetitions, e.g. of a default that is spelled out."""
    found: dict[str, Way] = {}
    for way in ways:
        space = space_for(curves, way, seed=0, study="s")
        key = space.model_dump_json(include={"sampler", "pruner"})
        found.setdefault(f"{way.sampler is None} {key}", way)
    return list(found.values())
