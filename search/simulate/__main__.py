"""Replay searches over recorded curves: ``python -m search.simulate --study NAME``.

Which sampler and which pruner finds a good setting with the fewest epochs? The launch's own ledger,
samplers and pruners search in simulated time, where nothing is trained, over the curves of a
finished study's trials, or of a file that they were saved in. Trials that the pruner stopped are
replayed as well: `search.simulate.curves_of_study` says what is assumed of them, and the table too.
"""

from __future__ import annotations

import argparse
import logging
import math
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from search.simulate.cost import BUDGET_TRIALS, Way, measure, space_for
from search.simulate.cost_sheet import check_telling, render, same_rows
from search.simulate.curves_file import LearningCurves, read_curves
from search.simulate.curves_of_study import study_curves
from search.trials.warm_start import best_of
from space import Pruner, Sampler
from space.errors import SpaceError, UsageError
from space.files.reader import parse_yaml
from space.files.writing import write_output
from space.study.terms import WarmStart
from space.terminal.command import OneOf, Option, count_of, local_path
from space.terminal.printing import paper_of, write
from storage.commands.kit import STORAGE, STUDY, VERBOSE, StoreCommand, format_of, opened

__all__ = ["PRUNERS", "SAMPLERS", "choose_ways", "main"]

logger = logging.getLogger("search.simulate")  # As a command, this module is __main__.

FORMATS = ("text", "markdown", "json")
IN_TURN = "wilcoxon"
"""The pruner that trains a trial's replicates one after another, which is not replayed."""

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


def _tolerance(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of at least 0")
    return value


def _tried(name: str) -> Option:
    """The option that names samplers or pruners to try."""
    return Option(
        f"--{name}",
        action="append",
        default=[],
        metavar="SETTING",
        help=f"a {name} to try, as a space file has it: a name, or {{name: ..., ...}}; may be "
        "given several times. Given samplers are tried with all given pruners, else with the "
        "space's own; default: a standard list",
    )


@StoreCommand.of(
    "search.simulate",
    "Replay searches over recorded curves, and show what each would have cost.",
    OneOf(
        Option("--curves", type=Path, metavar="FILE", help="curves that were saved"),
        STUDY.but(
            required=False,
            help="a finished study: its complete trials, and those that were stopped",
        ),
        required=True,
    ),
    STORAGE,
    Option(
        "--save",
        type=local_path,
        metavar="FILE",
        help="write the curves to a file, for --curves; default: none",
    ),
    _tried("sampler"),
    _tried("pruner"),
    Option(
        "--warm-start",
        metavar="NAME",
        help="try every setting a second time with the best trials of this study, of --storage, "
        "as its first ones; default: none",
    ),
    count_of(
        "--top", f"so many of its trials; default: {WarmStart.model_fields['top'].default}"
    ).but(metavar="K"),
    count_of("--seeds", "searches each; default: 20", default=20),
    count_of("--replicates", "seeds a trial; default: 1", default=1),
    count_of("--workers", "trials at once; default: 2", default=2),
    count_of(
        "--epochs",
        "epochs of a search; default: a third of those of every point to its end; of a study with "
        f"stopped trials at least those of {BUDGET_TRIALS} whole trials",
    ),
    Option(
        "--tolerance",
        type=_tolerance,
        default=0.01,
        metavar="X",
        help="how much worse than the best point is good enough; default: 0.01",
    ),
    format_of("the table on stdout", FORMATS),
    VERBOSE,
    examples=(
        "--study mlp --save curves.json",
        "--curves curves.json --sampler tpe --sampler random --pruner none",
    ),
)
def main(options: Namespace) -> None:
    """Simulate, and print the table."""
    if options.curves is not None:
        curves = read_curves(options.curves)
    else:
        with opened(options.storage) as store:
            curves = study_curves(store, options.study)
    if options.save is not None:
        write_output("--save", Path(options.save), curves.to_text())
    if options.replicates > curves.n_seeds:
        raise UsageError(
            f"--replicates {options.replicates}: a point has curves of {curves.n_seeds} seeds."
        )
    _check_tolerance(curves, options.tolerance)
    ways = choose_ways(curves, options.sampler, options.pruner, replicates=options.replicates)
    if options.warm_start is not None:
        ways = _warm_too(curves, ways, options)
    elif options.top is not None:
        raise UsageError(f"--top {options.top}: of no study; name one with --warm-start.")
    table = measure(
        curves,
        ways,
        n_seeds=options.seeds,
        n_workers=options.workers,
        max_epochs=options.epochs,
        tolerance=options.tolerance,
    )
    check_telling(table)
    for group in same_rows(table):
        alike = "; ".join(f"{row.sampler} with {row.pruner}" for row in group)
        logger.warning("these came out alike, which tells none from another: %s", alike)
    paper = paper_of(sys.stdout)
    write(render(curves, table, options.format, command=options.typed, paper=paper))


def _warm_too(curves: LearningCurves, ways: Sequence[Way], options: Namespace) -> list[Way]:
    """Every way that searches a second time, warm-started."""
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


def _check_tolerance(curves: LearningCurves, tolerance: float) -> None:
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


if __name__ == "__main__":
    main.run()
