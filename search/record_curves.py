"""Record learning curves over a space: ``python -m search.record_curves --space FILE --output F``.

Every continuous parameter's range is cut into equal cells, on its own scale, and a run is trained
at the centre of every cell, so that a point stands for as much of the space as any other. Runs are
trained as batches. Each is measured at its end on fresh pairs of the training images, which it has
neither trained on nor been chosen by; the test split is not read.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import math
import time
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from search.runs.provenance import collect_provenance
from search.runs.seeds import replicate_config
from search.simulate.curves_file import LearningCurves, RecordedPoint, RecordedRun
from space import (
    CategoricalParameter,
    FloatParameter,
    IntParameter,
    Space,
    Value,
    load_space,
    parse_override,
)
from space.errors import UsageError, nearest
from space.terminal.command import local_path
from space.terminal.counts import count
from space.terminal.printing import say
from storage.commands.cli import EXIT_DONE, Parser, configure_logging, positive_int, run_command
from storage.commands.command_line import command_line
from storage.commands.files import write_whole
from trainables.batched.batch import TrainingBatch, batch_key
from trainables.closed_form import CLOSED_FORM
from trainables.data.counts import default_n_pairs
from trainables.data.image_set import ImageSet
from trainables.data.pairs import Pairs, draw_pairs
from trainables.data.sources import load_source
from trainables.loop.metrics import EpochMetrics
from trainables.loop.training import Training
from trainables.resolve import resolve_config
from trainables.seeds import Stream

__all__ = ["centres", "fresh_pairs", "main", "record"]

logger = logging.getLogger("search.record_curves")  # As a command, this module is __main__.

N_CELLS = 5
N_FRESH = 2000
MOST_POINTS = 10_000


def main(argv: list[str]) -> int:
    """Run the command.

    Args:
        argv: Its arguments.

    Returns:
        The exit status.

    Raises:
        UserError: What the user can mend.
    """
    options = build_parser().parse_args(argv)
    configure_logging(verbose=options.verbose)
    torch.set_num_threads(options.threads)
    space = load_space(options.space, options.overrides, without_gpu=not torch.cuda.is_available())
    if space.model.name == CLOSED_FORM:
        raise UsageError(f"--space {options.space}: '{CLOSED_FORM}' is not trained; name another.")
    images = load_source(space.data, "train")
    points = grid_of(space, _cells(options.cells, space))
    output = Path(options.output)
    _check_writable(output)
    code = collect_provenance()  # Of the code that trains, whatever becomes of it meanwhile.
    recorded, seconds = record(
        space, points, images, n_seeds=options.seeds, n_together=options.together
    )
    n_fresh = len(fresh_pairs(space, images, 0))
    curves = LearningCurves(
        provenance={
            "command": command_line("search.record_curves", argv),
            "git_commit": code.git_commit,
            "git_dirty": code.git_dirty,
            "versions": code.versions,
            "hardware": code.hardware,
            "data_source": images.source,
            "data_fingerprint": images.fingerprint,
            "threads": options.threads,
            "wall_seconds": round(seconds, 1),
        },
        truth=f"mean over {options.seeds} seeds of the error on {n_fresh:,} fresh pairs each",
        space=space,
        points=recorded,
    )
    with _as_usage_error(output):
        write_whole(output, curves.to_text())
    say(
        f"{output}: {count(len(points), 'point')} x {count(options.seeds, 'seed')} x "
        f"{count(curves.epochs, 'epoch')} on {images.source} in {seconds:.0f} s"
    )
    return EXIT_DONE


def build_parser() -> Parser:
    """The command's options."""
    parser = Parser(
        prog="python -m search.record_curves",
        description="Train a grid over a space, and keep every epoch of every run in one file.",
        examples=(
            "--space space/mlp.yaml --output curves.json",
            "--space space/mlp.yaml --set training.epochs=5 --output few.json",
        ),
    )
    add = parser.add_argument
    add("--space", required=True, metavar="FILE", help="the space file")
    add(
        "--output",
        type=local_path,
        required=True,
        metavar="FILE",
        help="where the curves go; replaced",
    )
    add(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        type=parse_override,
        metavar="KEY=VALUE",
        help="a setting to lay over the file's, e.g. model.width=32; default: none",
    )
    add(
        "--cells",
        action="append",
        default=[],
        type=_cell_option,
        metavar="PARAMETER=N",
        help=f"cells of a continuous parameter's range; default: {N_CELLS}",
    )
    add("--seeds", type=positive_int, default=4, metavar="N", help="runs a point; default: 4")
    add("--together", type=positive_int, default=20, metavar="N", help="runs a batch; default: 20")
    add("--threads", type=positive_int, default=1, metavar="N", help="CPU threads; default: 1")
    add("-v", "--verbose", action="store_true", help="let the libraries' own messages through")
    return parser


def _cell_option(text: str) -> tuple[str, int]:
    name, equals, number = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"'{text}' is not PARAMETER=N")
    return name, positive_int(number)


def _cells(options: Sequence[tuple[str, int]], space: Space) -> dict[str, int]:
    cells = dict(options)
    for name in cells:
        if name not in space.parameters:
            raise UsageError(
                f"--cells {name}: the space searches {', '.join(space.parameters)}"
                f"{nearest(name, space.parameters)}."
            )
    return cells


def grid_of(space: Space, cells: Mapping[str, int]) -> list[dict[str, Value]]:
    """Every combination of the parameters' cells.

    Args:
        space: The space.
        cells: Parameter -> cells of its range; of one that is not named `N_CELLS`.

    Returns:
        Parameter -> value for each point.

    Raises:
        UsageError: If a parameter has a condition, or there are too many points.
    """
    axes = []
    for name, parameter in space.parameters.items():
        if parameter.when is not None:
            raise UsageError(f"parameter {name} has a condition, which a grid cannot have.")
        axes.append(centres(parameter, cells.get(name, N_CELLS)))
    n_points = math.prod(map(len, axes))
    if n_points > MOST_POINTS:
        raise UsageError(f"the grid has {n_points:,} points, over {MOST_POINTS:,}: give --cells.")
    return [dict(zip(space.parameters, values, strict=True)) for values in itertools.product(*axes)]


def centres(
    parameter: FloatParameter | IntParameter | CategoricalParameter, n_cells: int
) -> list[Value]:
    """The centres of equal cells of a parameter's range, on its scale.

    Args:
        parameter: The parameter.
        n_cells: How many cells.

    Returns:
        So many values ascending, to six digits; of a parameter with a finite set of values, all.
    """
    if parameter.n_points is not None or isinstance(parameter, CategoricalParameter):
        return parameter.points()
    low, high = float(parameter.low), float(parameter.high)
    if parameter.log:
        low, high = math.log(low), math.log(high)
    shares = [(cell + 0.5) / n_cells for cell in range(n_cells)]
    middles = [low + share * (high - low) for share in shares]
    if parameter.log:
        middles = [math.exp(middle) for middle in middles]
    if isinstance(parameter, IntParameter):
        return sorted({round(middle) for middle in middles})
    return [float(f"{middle:.6g}") for middle in middles]


def record(
    space: Space,
    points: Sequence[Mapping[str, Value]],
    images: ImageSet,
    *,
    n_seeds: int,
    n_together: int,
) -> tuple[tuple[RecordedPoint, ...], float]:
    """Train every point on every seed.

    Args:
        space: The space.
        points: Parameter -> value of each point.
        images: The training images.
        n_seeds: Seeds; seed i is that of a trial's replicate i.
        n_together: Runs that are trained as one batch.

    Returns:
        The points with their runs, and the wall seconds that they took.

    Raises:
        UserError: If the space's config cannot be trained.
    """
    started = time.perf_counter()
    configs = [resolve_config(space.resolve(params), images.source) for params in points]
    runs: list[list[RecordedRun]] = [[] for _ in points]
    for seed in range(n_seeds):
        fresh = fresh_pairs(space, images, seed)
        for first in range(0, len(points), n_together):
            batch = [
                Training(replicate_config(config, seed), images, torch.device("cpu"))
                for config in configs[first : first + n_together]
            ]
            for index, run in enumerate(_train(batch, fresh), start=first):
                runs[index].append(run)
            logger.info(
                "seed %d of %d, %d of %d points, %.0f s",
                seed + 1,
                n_seeds,
                first + len(batch),
                len(points),
                time.perf_counter() - started,
            )
    recorded = tuple(
        RecordedPoint(params=dict(params), runs=tuple(of_point))
        for params, of_point in zip(points, runs, strict=True)
    )
    return recorded, time.perf_counter() - started


def _train(runs: Sequence[Training], fresh: Pairs) -> list[RecordedRun]:
    together: defaultdict[Hashable, list[Training]] = defaultdict(list)
    for run in runs:
        together[batch_key(run)].append(run)
    for alike in together.values():
        batch = TrainingBatch(alike)
        while batch.runs:
            batch.run_epoch()
    return [_recorded(run, fresh) for run in runs]


def _recorded(run: Training, fresh: Pairs) -> RecordedRun:
    history: list[EpochMetrics] = run.history
    seconds = sum(metrics.seconds for metrics in history) / max(1, len(history))
    return RecordedRun(
        val_error=tuple(round(metrics.val_error, 6) for metrics in history),
        val_loss=tuple(float(f"{metrics.val_loss:.5g}") for metrics in history),
        epoch_seconds=float(f"{seconds:.3g}"),
        fresh_error=round(run.evaluate_kept(fresh)[1], 6) if run.finished else None,
    )


def fresh_pairs(space: Space, images: ImageSet, seed: int) -> Pairs:
    """Pairs of training images that a run does not see.

    Args:
        space: The space.
        images: The training images.
        seed: The run's seed, as for `record`.

    Returns:
        `N_FRESH` pairs, or as many as the images suffice for; they share no image with the run's
        training and validation pairs.

    Raises:
        UsageError: If the run's own pairs leave no image over.
    """
    data = replicate_config(space.config, seed).data
    n_own = data.n_train_pairs or default_n_pairs(images.source, "train")
    n_fresh = min(N_FRESH, len(images) // 2 - n_own)
    if n_fresh < 1:
        raise UsageError(
            f"data.n_train_pairs {n_own} leaves no fresh pair of {len(images)} images: ask for "
            "fewer."
        )
    # One permutation is dealt out: the run's own pairs come first, whatever follows them.
    pairs = draw_pairs(images, n_own + n_fresh, data.data_seed, Stream.TRAIN_PAIRS)
    return pairs.rows(n_own, n_own + n_fresh)


@contextmanager
def _as_usage_error(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"--output {path}: cannot be written: {reason}.") from error


def _check_writable(path: Path) -> None:
    """Find out before anything is trained; what is there stays."""
    with _as_usage_error(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("ab").close()


if __name__ == "__main__":
    run_command(main)
