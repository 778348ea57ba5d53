"""Run configs over seeds and compare them: ``python -m search.benchmark --config FILE --seeds 10``.

The only place where the test split is read. Seed i fixes the data draw, the split, the
initialisation and the order of a run, for every config alike, so that comparisons are paired. Each
run is stored when it finishes, and the same command later runs only what is missing.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dashboards.numbers.results import ConfigResult, collect
from dashboards.numbers.tables import benchmark_table
from dashboards.tables.formats import FORMATS, render
from search.batch import BatchProgress, train_queue
from search.benchmark_configs import benchmark_configs, resolved
from search.lease import reclaim_runs
from search.plan import checkpoint_directory, require_writable
from search.provenance import collect_provenance
from search.run_queue import QueuedRun
from space import NamedConfig, Override, Resources, load_configs, parse_duration, parse_override
from space.errors import ModelError, SpaceError, TrainingError, UsageError, nearest
from storage import BenchmarkRecord, NewLaunch, Store, open_store
from storage.benchmarks import load_benchmarks, save_benchmark
from storage.cli import (
    EXIT_DONE,
    EXIT_INTERRUPTED,
    EXIT_NOTHING,
    Parser,
    add_storage_option,
    configure_logging,
    default_storage,
    positive_int,
    run_command,
    stop_signals,
)
from storage.command_line import command_line
from storage.terminal import console_for
from trainables.image_set import ImageSet
from trainables.sources import load_source

__all__ = ["benchmark_fingerprint", "load_named", "main", "settle_source"]

LONGEST_NAME = 255
_RESOURCES = {
    "cpus": "a number of CPUs: more than 0, and above 1 a whole one",
    "gpus": "auto or a number of GPUs: at least 0, and above 1 a whole one",
    "runs_per_trainable": "auto or a whole number of at least 1",
}
"""The options of what a worker occupies, and what each takes."""
_TOGETHER = "runs that a worker trains together, or auto: as many as were measured to pay"


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
    resources, deadline = _resources(options), _deadline(options)
    configure_logging(verbose=options.verbose)
    every = load_named(options.config, _changes(options))
    named, images, test_images = settle_source(_only(every, options.only))
    fingerprint = benchmark_fingerprint(images, test_images)
    configs = benchmark_configs(named, options.seeds)
    store = open_store(default_storage(options.storage))
    try:
        before = collect(store, configs, fingerprint=fingerprint)
        benchmark_table(before, reference=options.reference)  # A wrong name shows before any run.
        queue = _missing(before, named)
        status = "done"
        if not options.table_only:
            of_source = [each for each in every if each.data.source in ("auto", images.source)]
            _record(store, _settled(of_source, images.source), options, images.source, fingerprint)
        if queue and not options.table_only:
            status = _run(
                store, queue, options, argv, (images, test_images), fingerprint, resources, deadline
            )
        results = collect(store, configs, fingerprint=fingerprint)
        table = benchmark_table(results, reference=options.reference, title=_title(options))
        sys.stdout.write(render(table, options.format))
    finally:
        store.close()
    if status == "interrupted":
        return EXIT_INTERRUPTED
    return EXIT_DONE if any(result.seeds for result in results) else EXIT_NOTHING


def build_parser() -> Parser:
    """The command's options."""
    parser = Parser(
        prog="python -m search.benchmark",
        description="Train configs on several seeds and compare their test errors.",
        epilog="The same command later runs only the seeds that are missing.",
    )
    add = parser.add_argument
    several: dict[str, Any] = {"nargs": "+", "action": "extend"}
    add("--config", **several, required=True, metavar="FILE", help="config files")
    add("--only", **several, metavar="NAME", help="of their configs, these alone")
    add("--seeds", type=positive_int, default=10, metavar="N", help="seeds 0 to N - 1")
    add("--reference", metavar="NAME", help="the config that others are compared with")
    add_storage_option(parser)
    add("--epochs", type=positive_int, metavar="N", help="epochs of every config")
    add("--augment", action="store_true", help="pair augmentation for every config")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="override in every config")
    add("--time-limit", metavar="TIME", help="stop after e.g. 90s, 10m or 1h30m")
    add("--cpus", default="1", metavar="N", help="CPUs for a worker")
    add("--gpus", default="auto", metavar="N", help="GPUs for a worker, or auto")
    add("--runs-per-trainable", default="auto", metavar="N", help=_TOGETHER)
    add("--concurrency", type=positive_int, metavar="N", help="workers at once, at the most")
    add("--ray-address", metavar="ADDRESS", help="join a Ray cluster: auto or HOST:PORT")
    add("--checkpoints", metavar="DIR", help="where unfinished runs lie; shared in a cluster")
    add("--table-only", action="store_true", help="train nothing; show what the store has")
    add("--format", choices=FORMATS, default="text", help="of the table on stdout")
    add("-v", "--verbose", action="store_true", help="let the libraries' own messages through")
    return parser


def _title(options: Any) -> str:
    """What heads the table: the title of the one file it is of, if it is of one as it stands."""
    changed = options.set or options.augment or options.epochs is not None
    return load_configs(options.config[0]).title if len(options.config) == 1 and not changed else ""


def _changes(options: Any) -> list[Override]:
    """What the command line changes in every config."""
    changes = [parse_override(text) for text in options.set]
    if options.epochs is not None:
        label = f"--epochs {options.epochs}"
        changes.append(Override(key="training.epochs", value=options.epochs, label=label))
    if options.augment:
        changes.append(Override(key="data.augment", value=True, label="--augment"))
    return changes


def load_named(paths: Sequence[str | Path], changes: Sequence[Override] = ()) -> list[NamedConfig]:
    """Read the configs of some files.

    Args:
        paths: Config files.
        changes: Settings to replace in every config. One that changes a config takes what was
            reported for it away, since the report is of other settings.

    Returns:
        The configs in order.

    Raises:
        SpaceError: If a file or a change is wrong, or two configs have one name.
    """
    found: list[NamedConfig] = []
    for path in paths:
        for named in load_configs(path).configs:
            if named.name in (each.name for each in found):
                raise SpaceError(f"{path}: a second config is named '{named.name}'; rename one.")
            found.append(_changed(named, changes))
    return found


def _only(configs: list[NamedConfig], names: Sequence[str] | None) -> list[NamedConfig]:
    """The configs that ``--only`` names, in the files' order."""
    if names is None:
        return configs
    known = [named.name for named in configs]
    for name in names:
        if name not in known:
            raise UsageError(
                f"--only: no config is named '{name}'; there are {', '.join(known)}"
                f"{nearest(name, known)}"
            )
    return [named for named in configs if named.name in names]


def _changed(named: NamedConfig, changes: Sequence[Override]) -> NamedConfig:
    config = named.config
    for change in changes:
        try:
            config = config.with_values({change.key: change.value})
        except (ValidationError, AttributeError, TypeError) as error:
            raise SpaceError(
                f"{change.label}: not allowed for '{named.name}'; give a key of its data, model or "
                "training section and a value that this key takes."
            ) from error
    if config == named.config:
        return named
    return named.model_copy(
        update={
            "data": config.data,
            "model": config.model,
            "training": config.training,
            "reported": None,
        }
    )


def settle_source(
    configs: Sequence[NamedConfig],
) -> tuple[list[NamedConfig], ImageSet, ImageSet]:
    """Load the one data set that all configs are run on.

    Args:
        configs: The configs.

    Returns:
        The configs with their data source settled, the training images and the test images.

    Raises:
        DataError: If the data cannot be had.
        SpaceError: If the configs want different sources, or one cannot be trained.
    """
    sources = {named.data.source for named in configs} - {"auto"}
    if len(sources) > 1:
        raise SpaceError(
            f"--config: the configs want different data ({' and '.join(sorted(sources))}); "
            "benchmark them apart."
        )
    wanted = configs[0].data.model_copy(update={"source": sources.pop() if sources else "auto"})
    images, test_images = load_source(wanted, "train"), load_source(wanted, "test")
    return _settled(configs, images.source), images, test_images


def _settled(configs: Sequence[NamedConfig], source: str) -> list[NamedConfig]:
    """The configs, complete, on this source."""
    settled = []
    for named in configs:
        data = named.data.model_copy(update={"source": source, "root": None})
        try:
            complete = resolved(named.model_copy(update={"data": data}), 0)
        except (ModelError, TrainingError) as error:
            raise SpaceError(f"'{named.name}': {error}") from error
        settled.append(
            named.model_copy(
                update={
                    "data": complete.data,
                    "model": complete.model,
                    "training": complete.training,
                }
            )
        )
    return settled


def benchmark_fingerprint(images: ImageSet, test_images: ImageSet) -> str:
    """16 hexadecimal digits that identify the training and the test images together."""
    text = f"{images.fingerprint}/{test_images.fingerprint}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _record(
    store: Store, configs: Sequence[NamedConfig], options: Any, source: str, fingerprint: str
) -> None:
    """Record what the benchmark compares: all configs of its files, all seeds asked for so far."""
    name = _name(options)
    n_seeds = max(
        options.seeds,
        *(
            known.n_seeds
            for known in load_benchmarks(store)
            if (known.name, known.data_fingerprint) == (name, fingerprint)
        ),
        1,
    )
    save_benchmark(
        store,
        BenchmarkRecord(
            name=name,
            data_source=source,
            data_fingerprint=fingerprint,
            title=_title(options),
            reference=options.reference or configs[0].name,
            n_seeds=n_seeds,
            configs=tuple(benchmark_configs(configs, n_seeds)),
        ),
    )


def _name(options: Any) -> str:
    """What a benchmark is called: its files, and what the command line changes in them."""
    files = " + ".join(load_configs(path).name for path in options.config)
    return " ".join([files, *(change.label for change in _changes(options))])[:LONGEST_NAME]


def _missing(results: Sequence[ConfigResult], configs: Sequence[NamedConfig]) -> list[QueuedRun]:
    """The runs that no launch has finished, seed by seed, so that every config gets its share."""
    missing = [(seed, place) for place, result in enumerate(results) for seed in result.missing]
    return [
        QueuedRun(
            label=f"{configs[place].name}, seed {seed}", config=resolved(configs[place], seed)
        )
        for seed, place in sorted(missing)
    ]


def _run(
    store: Store,
    queue: list[QueuedRun],
    options: Any,
    argv: list[str],
    images: tuple[ImageSet, ImageSet],
    fingerprint: str,
    resources: Resources,
    deadline: float | None,
) -> str:
    """Train what is missing; say how it ended."""
    provenance = collect_provenance()
    reclaim_runs(store, "benchmark")
    launch_id = store.begin_launch(
        NewLaunch(
            study_id=None,
            command=command_line("search.benchmark", argv),
            config={
                "benchmark": _name(options),
                "configs": [str(path) for path in options.config],
                "seeds": options.seeds,
            },
            changes=[],
            git_commit=provenance.git_commit,
            git_dirty=provenance.git_dirty,
            versions=provenance.versions,
            hardware=provenance.hardware,
            data_source=images[0].source,
            data_fingerprint=fingerprint,
            host=provenance.host,
            pid=provenance.pid,
        )
    )
    status = "failed"
    checkpoints = checkpoint_directory(store.url, options.checkpoints) / "benchmark"
    progress = BatchProgress(queue, console_for(sys.stderr))
    try:
        require_writable(checkpoints)
        with stop_signals() as stop:
            status = train_queue(
                store,
                queue,
                purpose="benchmark",
                launch_id=launch_id,
                resources=resources,
                concurrency=options.concurrency or "auto",
                checkpoints=checkpoints,
                images=images[0],
                test_images=images[1],
                fingerprint=fingerprint,
                progress=progress,
                ray_address=options.ray_address,
                verbose=options.verbose,
                stop_requested=stop,
                deadline=deadline,
            )
    finally:
        progress.close()
        store.end_launch(launch_id, status)
    return status


def _resources(options: Any) -> Resources:
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


def _deadline(options: Any) -> float | None:
    """When to stop, in seconds of `time.monotonic`."""
    if options.time_limit is None:
        return None
    try:
        return time.monotonic() + parse_duration(options.time_limit)
    except SpaceError as error:
        raise UsageError(f"--time-limit: {error}") from error


if __name__ == "__main__":
    run_command(main)
