"""A benchmark as it was asked for: what is missing is trained, recorded and compared."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

from dashboards.headline import benchmark_headline
from dashboards.numbers.results import collect
from dashboards.numbers.tables import BenchmarkTable, benchmark_table
from dashboards.numbers.variance import Varied, read_variances, varied, varied_sources
from dashboards.tables.formats import render
from search.benchmark.configs import (
    benchmark_configs,
    load_named,
    only,
    resolved,
    settle_source,
    settled,
)
from search.benchmark.registering import asked_seeds, register
from search.benchmark.request import Request
from search.benchmark.rounds import Rounds
from search.callbacks.messages import Messages, Send, sender
from search.callbacks.source import Source
from search.callbacks.telling import Telling
from search.runs.actions import LaunchActions
from search.runs.checkpoints import require_writable
from search.runs.lease import reclaim_runs
from search.runs.provenance import collect_provenance
from search.runs.queue import QueuedRun
from search.runs.stopping import Stopping
from search.workers.train_queue import QueueProgress, train_queue
from search.workers.workplace import Workplace, require_tasks
from space import NamedConfig
from space.errors import UsageError
from space.sources import redrawn, sources_of
from space.terminal.command import EXIT_DONE, EXIT_INTERRUPTED, EXIT_NOTHING
from space.terminal.printing import paper_of, say_error, write
from space.words import count
from storage import BenchmarkConfig, LaunchRecord, Store, open_store
from storage.benchmarks import load_benchmark
from storage.commands.checkpoints import checkpoint_directory
from storage.commands.kit import default_storage, stop_signals
from trainables.contract.run_data import RunData

__all__ = ["Outcome", "benchmark", "say_outcome"]

_ENDINGS = {"time limit": "the time limit was reached", "interrupted": "it was interrupted"}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a benchmark ended.

    Attributes:
        status: "done", "time limit" or "interrupted".
        table: Its numbers, as far as there are any.
        fingerprint: Of its data.
        n_missing: Runs that are still to be trained.
    """

    status: str
    table: BenchmarkTable
    fingerprint: str
    n_missing: int


def benchmark(request: Request) -> Outcome:
    """Train what the store lacks.

    Args:
        request: What was asked for.

    Raises:
        UserError: What the user can mend.
    """
    options = request.options
    every = load_named(options.config, request.changes)
    named, data = settle_source(only(every, options.only))
    require_tasks(request.resources, named[0].config)
    measured = type(named[0].config).measured
    if request.is_raced and len(named) < 2:
        raise UsageError("--until-decided: a race takes two configs or more; name another.")
    asked = () if options.vary is None else sources_of(type(named[0].config), options.vary)
    send = None if options.table_only else sender()
    store = open_store(default_storage(options.storage))
    try:
        # Nobody else takes the same fresh seeds meanwhile.
        with nullcontext() if options.table_only else store.locked(None):
            known = load_benchmark(store, request.name, data.fingerprint)
            seeds = asked_seeds(store, request, known)
            configs = benchmark_configs(named, seeds)
            before = collect(store, configs, fingerprint=data.fingerprint)
            # A wrong name shows before anything is recorded.
            benchmark_table(before, measured, reference=options.reference)
            if not options.table_only:
                of_source = [
                    each
                    for each in every
                    if each.config.value("data.source") in (None, "auto", data.source)
                ]
                register(store, request, settled(of_source, data.source), seeds, data, known)
        rounds = Rounds(store, request, named, configs, data)
        told = Source(group=request.name, labels=_labels(configs, asked))
        status = "done"
        queue: list[QueuedRun] = []
        if not options.table_only:
            queue = rounds.next() + _varied(store, named, configs, asked, data)
        messages = _messages(store, request.name, data.fingerprint, send)
        if queue:
            with messages.failing():
                status = _run(store, queue, rounds, request, data, told, asked)
        elif not options.table_only:
            Telling(request.callbacks, told, store.url).close()
        record = load_benchmark(store, request.name, data.fingerprint)
        table = replace(
            rounds.table(registered=True),
            variances=read_variances(
                store,
                configs,
                collect(store, configs, fingerprint=data.fingerprint),
                tuple(dict.fromkeys([*asked, *(varied_sources(store, record) if record else ())])),
                metric=measured.judged_by.name,
                fingerprint=data.fingerprint,
            ),
        )
        if status != "interrupted":
            headline = benchmark_headline(table)
            messages.ended(headline.badge, headline.sentence, headline.aside, headline.lacking)
        return Outcome(
            status=status,
            table=table,
            fingerprint=data.fingerprint,
            n_missing=sum(len(row.result.missing) for row in table.rows)
            + len(_varied(store, named, configs, asked, data)),
        )
    finally:
        store.close()


def say_outcome(request: Request, outcome: Outcome) -> int:
    """Print the table and how to go on, and return the exit status."""
    write(render(outcome.table, request.options.format, paper_of(sys.stdout)))
    if outcome.status != "done" and outcome.n_missing:
        sys.stdout.flush()
        _say_how_to_go_on(request, outcome.status, outcome.n_missing)
    if outcome.status == "interrupted":
        return EXIT_INTERRUPTED
    return EXIT_DONE if any(row.n for row in outcome.table.rows) else EXIT_NOTHING


def _messages(store: Store, name: str, fingerprint: str, send: Send | None) -> Messages:
    """Who is told of the end of a benchmark's launches."""

    def address() -> str:
        record = load_benchmark(store, name, fingerprint)
        return "" if record is None else f"/benchmark/{record.benchmark_id}"

    def launches() -> list[LaunchRecord]:
        return [
            each
            for each in store.launches()
            if (each.config.get("benchmark"), each.data_fingerprint) == (name, fingerprint)
        ]

    return Messages(
        store=store, name=f"benchmark '{name}'", address=address, launches=launches, send=send
    )


def _varied(
    store: Store,
    named: Sequence[NamedConfig],
    configs: Sequence[BenchmarkConfig],
    sources: Sequence[str],
    data: RunData,
) -> list[QueuedRun]:
    """The runs with a source drawn anew that no launch has finished, seed by seed."""
    wanted = [
        (each.seed, own, each)
        for own, config in zip(named, configs, strict=True)
        for each in varied(config, sources)
    ]
    hashes = {each.config_hash for *_, each in wanted}
    done = {
        run.config_hash
        for run, result in store.results(sorted(hashes))
        if result.data_fingerprint == data.fingerprint
    }
    # Two of them may be one run: the data of the one seed with the training of the other.
    return list(
        {
            each.config_hash: QueuedRun(
                label=_label(own.name, each),
                config=redrawn(resolved(own, seed), each.source, each.other),
            )
            for seed, own, each in sorted(wanted, key=lambda found: found[0])
            if each.config_hash not in done
        }.values()
    )


def _label(name: str, run: Varied) -> str:
    return f"{name}, seed {run.seed}, {run.source} of seed {run.other}"


def _labels(configs: Sequence[BenchmarkConfig], sources: Sequence[str]) -> dict[str, str]:
    """Config's hash -> what callbacks are told that its run is called."""
    own = {
        config_hash: f"{config.name}, seed {seed}"
        for config in configs
        for seed, config_hash in config.by_seed.items()
    }
    return own | {
        each.config_hash: _label(config.name, each)
        for config in configs
        for each in varied(config, sources)
    }


def _run(
    store: Store,
    queue: list[QueuedRun],
    rounds: Rounds,
    request: Request,
    data: RunData,
    told: Source,
    sources: Sequence[str],
) -> str:
    """Train what is missing, and what is wanted after that; say how it ended."""
    options = request.options
    reclaim_runs(store, "benchmark")
    actions = LaunchActions(
        store,
        collect_provenance().new_launch(
            None,
            command=request.command,
            config={
                "benchmark": request.name,
                "configs": [str(path) for path in options.config],
                "seeds": request.n_seeds,
                "fresh_seeds": options.fresh_seeds,
                "vary": list(sources),
            },
            data=data,
        ),
    )
    launch_id = actions.launch_id
    status, telling, progress = "failed", None, None
    try:
        telling = Telling(request.callbacks, replace(told, launch_id=launch_id), store.url)
        progress = QueueProgress(queue)
        place = Workplace(
            resources=request.resources,
            concurrency=options.concurrency or "auto",
            training=queue[0].config.training,
            data=data,
            checkpoints=checkpoint_directory(store.url, options.checkpoints) / "benchmark",
            keep_weights=options.keep_weights,
            ray_address=options.ray_address,
            verbose=options.verbose,
        )
        require_writable(place.checkpoints)
        with stop_signals() as stop, place.open() as opened:
            stopping = Stopping(requested=stop, deadline=request.deadline, actions=actions)
            while queue:
                status = train_queue(
                    store,
                    queue,
                    opened,
                    launch_id=launch_id,
                    measured=type(queue[0].config).measured,
                    progress=progress,
                    stopping=stopping,
                )
                queue = rounds.next() if status == "done" else []
                if queue:
                    progress.close()
                    progress = QueueProgress(queue)
    except KeyboardInterrupt:  # A second one, in the midst of stopping.
        status = "interrupted"
        raise
    finally:
        if progress is not None:
            progress.close()
        actions.stopped()
        store.end_launch(launch_id, status)
        if telling is not None:
            telling.close()
    return status


def _say_how_to_go_on(request: Request, status: str, n_missing: int) -> None:
    """Say which command trains what is missing, beside the table and not in it."""
    runs = f"{count(n_missing, 'run')} {'is' if n_missing == 1 else 'are'}"
    say_error(f"benchmark '{request.name}': {_ENDINGS[status]}; {runs} still to be trained")
    say_error("go on with: ", command=request.command)
