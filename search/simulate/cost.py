"""What samplers and pruners cost over the same curves: epochs until a good setting is found."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from search.simulate.curves_file import LearningCurves
from search.simulate.replay import Replay, SimulatedSearch
from space import Space, parse_space
from storage.memory import MemoryStore

__all__ = ["EVERY_POINT", "CostTable", "Quartiles", "Row", "Way", "measure", "space_for"]

EVERY_POINT = "every point"
"""The sampler's name of a full grid search."""
EARLY_SHARE = 0.1
"""The share of the full grid's epochs after which winners are looked at as well."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """A sampler and a pruner, as a space file has them; a sampler of None tries every point.

    A trial is trained on as many recorded seeds as there are replicates, and judged by their mean.
    """

    sampler: Mapping[str, Any] | None
    pruner: Mapping[str, Any]
    replicates: int = 1


@dataclass(frozen=True, kw_only=True)
class Quartiles:
    """The median and the quartiles over seeds; None where that many seeds did not get there.

    Of an even number of seeds the median is the higher middle one; likewise the quartiles.
    """

    low: float | None
    median: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class Row:
    """What a way cost.

    Attributes:
        sampler: The sampler's settings that are no defaults, with its name.
        pruner: Likewise.
        replicates: Recorded seeds that a trial is trained on.
        epochs: Epochs of all trials until the incumbent was within the tolerance.
        seconds: Simulated wall seconds until then.
        share_reached: Share of the seeds that got there within the budget.
        share_of_grid: The median of the epochs as a share of the full grid's, on as many seeds.
        early_value: What the incumbents at a tenth of the full grid's epochs are worth, mean over
            seeds; None where a seed had none yet.
        final_value: What the winners at the end are worth, likewise.
        final_share: Share of the seeds whose winner at the end is within the tolerance.
        trials: Trials a search, by state, mean over seeds.
        epochs_by_seed: Of each search the epochs until its incumbent was within the tolerance, None
            where it did not get there. Search i of one way goes with search i of another, on the
            same recorded runs.
    """

    sampler: str
    pruner: str
    replicates: int
    epochs: Quartiles
    seconds: Quartiles
    share_reached: float
    share_of_grid: float | None
    early_value: float | None
    final_value: float | None
    final_share: float
    trials: dict[str, float]
    epochs_by_seed: tuple[int | None, ...]


@dataclass(frozen=True, kw_only=True)
class CostTable:
    """All ways over the same curves.

    Attributes:
        n_points: Recorded points.
        n_recorded_seeds: Runs of each.
        grid_epochs: Epochs of a full grid on one seed: every point once, to its end.
        best: What the best point is worth.
        n_within: Points that are within the tolerance of it, the best included.
        tolerance: How much worse than the best an incumbent may be.
        n_seeds: Simulated searches of each way.
        n_workers: Trials at a time.
        max_epochs: The budget of a search; a full grid has its own.
        rows: The ways.
    """

    n_points: int
    n_recorded_seeds: int
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
    max_epochs: int,
    tolerance: float,
    on_search: Callable[[Way, int], None] = lambda way, seed: None,
) -> CostTable:
    """Simulate searches.

    Args:
        curves: The recorded curves.
        ways: What to try.
        n_seeds: Searches of each way. Search i has sampler seed i, and sees of every point the run
            on recorded seed i, counted round;
            further replicates see the next ones.
        n_workers: Trials at a time.
        max_epochs: Epochs of a search.
        tolerance: How much worse than the best point's worth is good enough.
        on_search: Hears of every search that has ended.

    Returns:
        A row for each way.

    Raises:
        SpaceError: If a way does not go with the curves' space.
    """
    worth_P = curves.true_values()
    best = float(worth_P.min())
    grid_epochs = len(curves.points) * curves.epochs
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
                )
            )
            on_search(way, seed)
        of_grid = grid_epochs * way.replicates
        rows.append(_row(curves, way, searches, worth_P.tolist(), best + tolerance, of_grid))
    return CostTable(
        n_points=len(curves.points),
        n_recorded_seeds=curves.n_seeds,
        grid_epochs=grid_epochs,
        best=best,
        n_within=int((worth_P <= best + tolerance).sum()),
        tolerance=tolerance,
        n_seeds=n_seeds,
        n_workers=n_workers,
        max_epochs=max_epochs,
        rows=tuple(rows),
    )


def space_for(curves: LearningCurves, way: Way, *, seed: int, study: str) -> Space:
    """The curves' space as a way searches it: without baselines and confirmation.

    Args:
        curves: The curves.
        way: The sampler and the pruner. A sampler of None gets every point as a baseline, in an
            order that the seed decides.
        seed: The sampler's seed.
        study: The study's name. It enters Hyperband's choice of a trial's bracket.

    Raises:
        SpaceError: If the sampler or the pruner is wrong, or does not go with the space.
    """
    tree = curves.space.model_dump(mode="json", exclude={"baselines", "confirm"})
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


def _row(
    curves: LearningCurves,
    way: Way,
    searches: Sequence[SimulatedSearch],
    worth: Sequence[float],
    good: float,
    grid_epochs: int,
) -> Row:
    space = space_for(curves, way, seed=0, study="s")
    firsts = [
        next((found for found in search.incumbents if worth[found.point] <= good), None)
        for search in searches
    ]
    epochs = _quartiles([math.inf if each is None else each.n_epochs for each in firsts])
    early = [_worth_after(search, worth, EARLY_SHARE * grid_epochs) for search in searches]
    final = [_worth_after(search, worth, math.inf) for search in searches]
    states = sorted({state for search in searches for state in search.trials})
    return Row(
        sampler=EVERY_POINT if way.sampler is None else _label(space.sampler, leave={"seed"}),
        pruner=_label(space.pruner),
        replicates=way.replicates,
        epochs=epochs,
        seconds=_quartiles([math.inf if each is None else each.seconds for each in firsts]),
        share_reached=statistics.fmean(each is not None for each in firsts),
        share_of_grid=None if epochs.median is None else epochs.median / grid_epochs,
        early_value=_mean(early),
        final_value=_mean(final),
        final_share=statistics.fmean(each is not None and each <= good for each in final),
        trials={
            state: statistics.fmean(search.trials.get(state, 0) for search in searches)
            for state in states
        },
        epochs_by_seed=tuple(None if each is None else each.n_epochs for each in firsts),
    )


def _worth_after(search: SimulatedSearch, worth: Sequence[float], n_epochs: float) -> float | None:
    """What the best trial is worth after so many epochs; None where none is complete by then."""
    found = [each for each in search.incumbents if each.n_epochs <= n_epochs]
    return worth[found[-1].point] if found else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if len(known) == len(values) else None


def _quartiles(values: Sequence[float]) -> Quartiles:
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75], method="higher").tolist()
    return Quartiles(low=_reached(low), median=_reached(median), high=_reached(high))


def _reached(value: float) -> float | None:
    return value if math.isfinite(value) else None


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
