"""Run configs over seeds and compare them: ``python -m search.benchmark --config FILE --seeds 10``.

The only place where the test split is read. Seed i fixes the data draw, the split, the
initialisation and the order of a run, for every config alike, so that comparisons are paired. Each
run is stored when it finishes, and the same command later runs only what is missing.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from dashboards.numbers.results import ConfigResult, collect
from dashboards.numbers.tables import benchmark_table
from dashboards.tables.formats import FORMATS, render
from search.batch import BatchProgress, train_queue
from search.benchmark_configs import (
    BenchmarkData,
    benchmark_configs,
    load_named,
    only,
    resolved,
    settle_source,
    settled,
)
from search.lease import reclaim_runs
from search.plan import checkpoint_directory, require_writable
from search.provenance import collect_provenance
from search.run_queue import QueuedRun
from space import NamedConfig, Override, Resources, load_configs, parse_duration
from space.errors import SpaceError, UsageError
from storage import BenchmarkRecord, NewLaunch, Store, open_store
from storage.benchmark_names import benchmark_name, config_changes
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

__all__ = ["build_parser", "main"]

_ENDINGS = {"time limit": "the time limit was reached", "interrupted": "it was interrupted"}
_RESOURCES = {
    "cpus": "a number of CPUs: more than 0, and above 1 a whole one",
    "gpus": "auto or a number of GPUs: at least 0, and above 1 a whole one",
    "runs_per_trainable": "auto or a whole number of at least 1",
}
"""The options of what a worker occupies, and what each takes."""
_TOGETHER = "runs that a worker trains together, or auto: as many as were measured to pay"


@dataclass(frozen=True, kw_only=True)
class _Request:
    """What the command line asks for, read and checked.

    Attributes:
        options: Its options.
        command: All of it, as it may be shown and stored.
        changes: What it changes in every config.
        name: What the benchmark is called.
        title: What heads its table: that of the one file, if it is of one as it stands.
        resources: What a worker occupies.
        deadline: When to stop, in seconds of `time.monotonic`.
    """

    options: Any
    command: str
    changes: list[Override]
    name: str
    title: str
    resources: Resources
    deadline: float | None


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
    request = _read(options, argv)
    configure_logging(verbose=options.verbose)
    every = load_named(options.config, request.changes)
    named, data = settle_source(only(every, options.only))
    configs = benchmark_configs(named, options.seeds)
    store = open_store(default_storage(options.storage))
    try:
        before = collect(store, configs, fingerprint=data.fingerprint)
        benchmark_table(before, reference=options.reference)  # A wrong name shows before any run.
        queue = _missing(before, named)
        status = "done"
        if not options.table_only:
            of_source = [each for each in every if each.data.source in ("auto", data.source)]
            _record(store, settled(of_source, data.source), request, data)
        if queue and not options.table_only:
            status = _run(store, queue, request, data)
        results = collect(store, configs, fingerprint=data.fingerprint)
        table = benchmark_table(results, reference=options.reference, title=request.title)
        sys.stdout.write(render(table, options.format))
    finally:
        store.close()
    n_missing = sum(len(result.missing) for result in results)
    if status != "done" and n_missing:
        sys.stdout.flush()
        _say_how_to_go_on(request, status, n_missing)
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


def _read(options: Any, argv: list[str]) -> _Request:
    """Read and check what the command line asks for.

    Raises:
        UserError: If an option or a file is wrong.
    """
    resources, deadline = _resources(options), _deadline(options)
    changes = config_changes(options.set, epochs=options.epochs, augment=options.augment)
    files = [load_configs(path) for path in options.config]
    return _Request(
        options=options,
        command=command_line("search.benchmark", argv),
        changes=changes,
        name=benchmark_name([file.name for file in files], changes),
        title=files[0].title if len(files) == 1 and not changes else "",
        resources=resources,
        deadline=deadline,
    )


def _record(
    store: Store, configs: Sequence[NamedConfig], request: _Request, data: BenchmarkData
) -> None:
    """Record what the benchmark compares: all configs of its files, all seeds asked for so far."""
    name, fingerprint = request.name, data.fingerprint
    n_seeds = max(
        request.options.seeds,
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
            data_source=data.source,
            data_fingerprint=fingerprint,
            title=request.title,
            reference=request.options.reference or configs[0].name,
            n_seeds=n_seeds,
            configs=tuple(benchmark_configs(configs, n_seeds)),
        ),
    )


def _missing(results: Sequence[ConfigResult], configs: Sequence[NamedConfig]) -> list[QueuedRun]:
    """The runs that no launch has finished, seed by seed, so that every config gets its share."""
    missing = [(seed, place) for place, result in enumerate(results) for seed in result.missing]
    return [
        QueuedRun(
            label=f"{configs[place].name}, seed {seed}", config=resolved(configs[place], seed)
        )
        for seed, place in sorted(missing)
    ]


def _run(store: Store, queue: list[QueuedRun], request: _Request, data: BenchmarkData) -> str:
    """Train what is missing; say how it ended."""
    options = request.options
    provenance = collect_provenance()
    reclaim_runs(store, "benchmark")
    launch_id = store.begin_launch(
        NewLaunch(
            study_id=None,
            command=request.command,
            config={
                "benchmark": request.name,
                "configs": [str(path) for path in options.config],
                "seeds": options.seeds,
            },
            changes=[],
            git_commit=provenance.git_commit,
            git_dirty=provenance.git_dirty,
            versions=provenance.versions,
            hardware=provenance.hardware,
            data_source=data.source,
            data_fingerprint=data.fingerprint,
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
                resources=request.resources,
                concurrency=options.concurrency or "auto",
                checkpoints=checkpoints,
                images=data.images,
                test_images=data.test_images,
                fingerprint=data.fingerprint,
                progress=progress,
                ray_address=options.ray_address,
                verbose=options.verbose,
                stop_requested=stop,
                deadline=request.deadline,
            )
    finally:
        progress.close()
        store.end_launch(launch_id, status)
    return status


def _say_how_to_go_on(request: _Request, status: str, n_missing: int) -> None:
    """Say which command trains what is missing, beside the table and not in it."""
    runs = "1 run is" if n_missing == 1 else f"{n_missing} runs are"
    for line in (
        f"benchmark '{request.name}': {_ENDINGS[status]}; {runs} still to be trained",
        f"go on with: {request.command}",
    ):
        console_for(sys.stderr).print(line, markup=False, highlight=False, soft_wrap=True)


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
