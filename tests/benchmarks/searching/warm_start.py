"""What a warm start saves, and what a misleading one costs, over recorded curves.

    python -m tests.benchmarks.searching.warm_start [--curves FILE] [--seeds 20] [--epochs 600]
        [--top 5] [--json FILE]

For every seed an earlier study is simulated first: 20 trials of TPE on the same recorded run. Then
the same searches are made cold; with its best trials first; with those of an earlier study whose
runs had a fifth of the epochs; and with its worst trials, as those of a study that misleads.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from search.simulate.cost import Way, measure, space_for
from search.simulate.curves_file import LearningCurves, RecordedPoint, read_curves
from search.simulate.replay import Replay
from search.trials.warm_start import EarlierTrial, best_of
from space.study.terms import WarmStart
from space.terminal.command import EXIT_DONE, Parser, positive_int, run_command
from storage.commands.kit import configure_logging
from storage.memory import MemoryStore
from tests.benchmarks.results import Cell, Table, add_json_option, publish

MODULE = "tests.benchmarks.searching.warm_start"
CURVES = Path(__file__).parents[1] / "curves" / "mlp.json"
N_EARLIER = 20
"""Trials of an earlier study."""
WAYS = (
    Way(sampler={"name": "random"}, pruner={"name": "none"}),
    Way(sampler={"name": "tpe"}, pruner={"name": "none"}),
    Way(sampler={"name": "tpe"}, pruner={"name": "asha", "min_resource": 3}),
)
COLUMNS = [
    "sampler",
    "pruner",
    "first trials",
    "good at the end %",
    "behind the best",
    "a quarter by (epochs)",
    "half by (epochs)",
]


def shortened(curves: LearningCurves, part: int) -> LearningCurves:
    """The curves of runs with one in so many of the epochs."""
    epochs = max(1, curves.epochs // part)
    points = tuple(
        RecordedPoint(
            params=point.params,
            runs=tuple(
                run.model_copy(
                    update={"metrics": {name: each[:epochs] for name, each in run.metrics.items()}}
                )
                for run in point.runs
            ),
        )
        for point in curves.points
    )
    training: Any = curves.space.training
    shorter = training.model_copy(update={"epochs": epochs})
    space = curves.space.model_copy(update={"training": shorter})
    return curves.model_copy(update={"points": points, "space": space})


def earlier_study(curves: LearningCurves, seed: int) -> list[EarlierTrial]:
    """All distinct points of a simulated earlier study, best first."""
    store, name = MemoryStore(), f"earlier-{seed}"
    way = Way(sampler={"name": "tpe"}, pruner={"name": "none"})
    Replay(curves, n_workers=2).run(
        space_for(curves, way, seed=1_000 + seed, study=name),
        store,
        recorded_seed=seed % curves.n_seeds,
        max_epochs=N_EARLIER * curves.epochs,
    )
    return best_of(store, curves.space, WarmStart(study=name, top=N_EARLIER))


def main(argv: list[str]) -> int:
    """Simulate, print and, if asked to, keep the result."""
    parser = Parser(prog=f"python -m {MODULE}", description=__doc__)
    parser.add_argument("--curves", type=Path, default=CURVES)
    parser.add_argument("--seeds", type=positive_int, default=20)
    parser.add_argument("--epochs", type=positive_int, default=600)
    parser.add_argument("--top", type=positive_int, default=5)
    add_json_option(parser)
    options = parser.parse_args(argv)
    configure_logging(verbose=False)
    curves = read_curves(options.curves)
    whole = [earlier_study(curves, seed) for seed in range(options.seeds)]
    short = [earlier_study(shortened(curves, 5), seed) for seed in range(options.seeds)]
    starts: dict[str, tuple[tuple[EarlierTrial, ...], ...]] = {
        "none, a cold start": (),
        "the best of the same study": tuple(tuple(each[: options.top]) for each in whole),
        "the best of a fifth of the epochs": tuple(tuple(each[: options.top]) for each in short),
        "the worst of the same study": tuple(tuple(each[-options.top :]) for each in whole),
    }
    rows: list[list[Cell]] = []
    for words, earlier in starts.items():
        ways = [Way(sampler=way.sampler, pruner=way.pruner, earlier=earlier) for way in WAYS]
        table = measure(
            curves,
            ways,
            n_seeds=options.seeds,
            n_workers=2,
            max_epochs=options.epochs,
            tolerance=0.01,
        )
        rows += [
            [
                str((way.sampler or {})["name"]),
                row.pruner,
                words,
                round(100 * row.good_share),
                row.behind,
                row.quarter_by,
                row.half_by,
            ]
            for way, row in zip(ways, table.rows, strict=True)
        ]
    rows.sort(key=lambda row: [str(cell) for cell in row[:2]])
    publish(
        title="Warm start",
        module=MODULE,
        argv=argv,
        tables=[
            Table(
                title=f"{curves.space.study}: winners within 0.01 of the best of "
                f"{len(curves.points)} points after {options.epochs} epochs, on seeds left out",
                columns=COLUMNS,
                rows=rows,
            )
        ],
        notes=[
            f"The earlier study is {N_EARLIER} trials of TPE without a pruner, simulated anew for "
            f"each of the {options.seeds} searches of a row on the recorded run that the search "
            "sees, too; what it cost is not counted.",
            f"The {options.top} first trials are trained again and count as epochs of the search. "
            "The same task is the best case of a warm start, and worst trials the worst case.",
            f"The searches of a row share {curves.n_seeds} draws of data, so shares are rough; "
            "rows are not tested against each other.",
        ],
        json_file=options.json,
    )
    return EXIT_DONE


if __name__ == "__main__":
    run_command(main)
