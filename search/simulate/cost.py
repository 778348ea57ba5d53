"""What samplers and pruners find over the same curves, and after how many epochs.

A search picks its winner by the runs on the recorded seeds that it is given. What the winner is
worth is read off the other seeds, so that a lucky run does not count as a good setting.
"""

from __future__ import annotations

import logging
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import numpy as np

from search.simulate import BUDGET_TRIALS
from search.simulate.curves_file import LearningCurves
from search.simulate.replay import Replay, SimulatedSearch
from search.trials.warm_start import EarlierTrial
from space import Space, parse_space
from storage.memory import MemoryStore

__all__ = ["EVERY_POINT", "CostTable", "Row", "Way", "measure", "space_for"]

logger = logging.getLogger(__name__)

EVERY_POINT = "every point"
"""The sampler's name of a full grid search."""
BUDGET_SHARE = 3
"""A search has the full grid's epochs by this, unless the user says otherwise."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """A sampler and a pruner, as a space file has them; a sampler of None tries every point.

    A trial is trained on as many recorded seeds as there are replicates, and judged by their mean.
    With earlier trials a search is warm-started: search i from number i of them, counted round.
    """

    sampler: Mapping[str, Any] | None
    pruner: Mapping[str, Any]
    replicates: int = 1
    earlier: tuple[tuple[EarlierTrial, ...], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Row:
    """What a way found.

    Attributes:
        sampler: The sampler's settings that are no defaults, with its name, and how many trials it
            was warm-started with.
        pruner: Likewise.
        replicates: Recorded seeds that a trial is trained on.
        good_share: Share of the searches whose winner at the end was good.
        behind: How much worse than the best point the winners at the end were, mean over the
            searches; None where one had none.
        quarter_by: Epochs of all trials after which a quarter of the searches had a winner that was
            good and stayed so to the end; None where fewer did.
        half_by: Likewise of half of them.
        trials: Trials a search, by state, mean over the searches.
        epochs_by_seed: Of each search the epochs after which its winner was good to the end, None
            where it was not. Search i of one way goes with search i of another, on the same
            recorded runs.
    """

    sampler: str
    pruner: str
    replicates: int
    good_share: float
    behind: float | None
    quarter_by: int | None
    half_by: int | None
    trials: dict[str, float]
    epochs_by_seed: tuple[int | None, ...]


@dataclass(frozen=True, kw_only=True)
class CostTable:
    """All ways over the same curves.

    Attributes:
        n_points: Recorded points.
        n_recorded_seeds: Runs of each.
        grid_epochs: Epochs of a full grid on one seed: every point once, to its end.
        n_scored_seeds: Of these the runs that a winner is judged by: those that its search did not
            see, or all where it saw all.
        best: The objective of the best point, the mean over all seeds.
        n_within: Points that are within the tolerance of it, the best included.
        tolerance: How much worse than the best point a good winner may be.
        n_seeds: Simulated searches of each way.
        n_workers: Trials at a time.
        max_epochs: The budget of a search; a full grid has its own.
        rows: The ways.
    """

    n_points: int
    n_recorded_seeds: int
    n_scored_seeds: int
    grid_epochs: int
    best: float
    n_within: int
    tolerance: float
    n_seeds: int
    n_workers: int
    max_epochs: int
    rows: tuple[Row, ...]


def measure(
    curves: LearningCurves,
    ways: Sequence[Way],
    *,
    n_seeds: int,
    n_workers: int,
    max_epochs: int | None = None,
    tolerance: float,
) -> CostTable:
    """Simulate searches, and log each way that is done.

    Args:
        curves: The recorded curves.
        ways: What to try.
        n_seeds: Searches of each way. Search i has sampler seed i, and sees of every point the run
            on recorded seed i, counted round; further replicates see the next ones.
        n_workers: Trials at a time.
        max_epochs: Epochs of a search; default: see `BUDGET_SHARE` and `BUDGET_TRIALS`.
        tolerance: How much worse than the best point a good winner may be.

    Returns:
        A row for each way.

    Raises:
        SpaceError: If a way does not go with the curves' space.
    """
    worth_P = curves.true_values()
    best = float(worth_P.min())
    grid_epochs = len(curves.points) * curves.epochs
    max_epochs = max_epochs or _budget(curves, max(way.replicates for way in ways))
    replay = Replay(curves, n_workers=n_workers)
    rows = []
    for number, way in enumerate(ways):
        searches = []
        for seed in range(n_seeds):
            searches.append(
                replay.run(
                    space_for(curves, way, seed=seed, study=f"way-{number}-seed-{seed}"),
                    MemoryStore(),
                    recorded_seed=seed % curves.n_seeds,
                    max_epochs=(
                        grid_epochs * way.replicates if way.sampler is None else max_epochs
                    ),
                    earlier=way.earlier[seed % len(way.earlier)] if way.earlier else (),
                )
            )
        rows.append(_row(curves, way, searches, tolerance))
        sampler = EVERY_POINT if way.sampler is None else dict(way.sampler)
        logger.info("%d searches done: %s, %s", n_seeds, sampler, dict(way.pruner))
    return CostTable(
        n_points=len(curves.points),
        n_recorded_seeds=curves.n_seeds,
        n_scored_seeds=len(_left_out(curves, 0, ways[0].replicates)),
        grid_epochs=grid_epochs,
        best=curves.metric.rank(best),
        n_within=int((worth_P <= best + tolerance).sum()),
        tolerance=tolerance,
        n_seeds=n_seeds,
        n_workers=n_workers,
        max_epochs=max_epochs,
        rows=tuple(rows),
    )


def _budget(curves: LearningCurves, replicates: int) -> int:
    """Epochs of a search, unless the user says otherwise."""
    of_trial = curves.epochs * replicates
    share = max(1, len(curves.points) * of_trial // BUDGET_SHARE)
    return max(share, BUDGET_TRIALS * of_trial) if curves.n_stopped else share


def space_for(curves: LearningCurves, way: Way, *, seed: int, study: str) -> Space:
    """The curves' space as a way searches it: without its own first trials and confirmation.

    Args:
        curves: The curves.
        way: The sampler and the pruner. A sampler of None gets every point as a baseline, in an
            order that the seed decides.
        seed: The sampler's seed.
        study: The study's name. It enters Hyperband's choice of a trial's bracket.

    Raises:
        SpaceError: If the sampler or the pruner is wrong, or does not go with the space.
    """
    tree = curves.space.model_dump(mode="json", exclude={"baselines", "confirm", "warm_start"})
    tree |= {"study": study, "replicates": way.replicates, "budget": {"epochs": 1}}
    tree["pruner"] = dict(way.pruner)
    if way.sampler is None:
        order = np.random.default_rng(seed).permutation(len(curves.points))
        tree["baselines"] = [dict(curves.points[index].params) for index in order]
        tree["sampler"] = {"name": "random", "seed": seed}
        tree["budget"] = {"trials": len(curves.points)}
    else:
        tree["sampler"] = {**way.sampler, "seed": seed}
    return parse_space(tree, "simulated")


def _left_out(curves: LearningCurves, seed: int, replicates: int) -> list[int]:
    """The recorded seeds that a search did not see; all, where it saw all."""
    seen = {(seed + each) % curves.n_seeds for each in range(replicates)}
    return [each for each in range(curves.n_seeds) if each not in seen] or list(seen)


def _row(
    curves: LearningCurves, way: Way, searches: Sequence[SimulatedSearch], tolerance: float
) -> Row:
    space = space_for(curves, way, seed=0, study="s")
    behind: list[float] = []
    good_from: list[int | None] = []
    for seed, search in enumerate(searches):
        worth_P = curves.true_values(_left_out(curves, seed, way.replicates))
        behind_P = worth_P - worth_P.min()
        if search.incumbents:
            behind.append(float(behind_P[search.incumbents[-1].point]))
        stayed = takewhile(
            lambda found, by=behind_P: by[found.point] <= tolerance,  # type: ignore[misc]
            reversed(search.incumbents),
        )
        good_from.append(min((found.n_epochs for found in stayed), default=None))
    states = sorted({state for search in searches for state in search.trials})
    return Row(
        sampler=_sampler_words(way, space),
        pruner=_label(space.pruner),
        replicates=way.replicates,
        good_share=statistics.fmean(each is not None for each in good_from),
        behind=statistics.fmean(behind) if len(behind) == len(searches) else None,
        quarter_by=_by(good_from, 4),
        half_by=_by(good_from, 2),
        trials={
            state: statistics.fmean(search.trials.get(state, 0) for search in searches)
            for state in states
        },
        epochs_by_seed=tuple(good_from),
    )


def _sampler_words(way: Way, space: Space) -> str:
    if way.sampler is None:
        return EVERY_POINT
    said = _label(space.sampler, leave={"seed"})
    if not way.earlier:
        return said
    return f"{said}, warm start of {max(map(len, way.earlier))}"


def _by(epochs: Sequence[int | None], part: int) -> int | None:
    """After how many epochs one in so many of the searches was good; None where fewer were."""
    known = sorted(each for each in epochs if each is not None)
    n_needed = -(-len(epochs) // part)
    return known[n_needed - 1] if len(known) >= n_needed else None


def _label(config: Any, leave: frozenset[str] | set[str] = frozenset()) -> str:
    """A sampler or a pruner as one would write it, without what is the default."""
    said = {
        key: value
        for key, value in config.model_dump(mode="json").items()
        if key != "name" and key not in leave and value != type(config).model_fields[key].default
    }
    return ", ".join([config.name, *(f"{key} {_shown(value)}" for key, value in said.items())])


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return f"({', '.join(f'{key} {_shown(each)}' for key, each in value.items() if each)})"
    return str(value)
