"""``python -m storage``: what a store holds, and what to do with it."""

from __future__ import annotations

import sys
from argparse import Namespace
from contextlib import closing
from typing import TYPE_CHECKING

from space.errors import UsageError
from space.terminal.command import EXIT_DONE, EXIT_NOTHING, Option
from space.terminal.printing import say, say_error, say_json
from space.words import count
from storage.commands.kit import (
    STORAGE,
    STUDY,
    StoreCommand,
    default_storage,
    format_of,
    opened,
)

if TYPE_CHECKING:
    from storage.admin.removal import Removal

_REMOVE = """\
Remove a study or a benchmark for good, after saying what goes and asking.

A study goes with its trials, runs and launches. A benchmark goes with its
runs, except for those that another benchmark of the store counts as well:
they stay until the last of these is removed. Nothing goes that a launch works
on now. Files of unfinished runs in the directory of checkpoints are left. What was
seen of a test split stays counted.
"""


FORMAT = format_of("the answer")
NAMED = (
    STORAGE,
    FORMAT,
    Option("name", metavar="NAME"),
    Option("--kind", choices=("study", "benchmark"), help="default: what has the name"),
    Option(
        "--data",
        metavar="DATA",
        help="the source or fingerprint of the data, default: the one that there is",
    ),
)

main = StoreCommand(
    "storage",
    __doc__,
    examples=("list", "show mlp --storage results/search.db"),
)


@main.part(
    "list",
    STORAGE,
    FORMAT,
    help="the studies and benchmarks of a store",
    examples=("", "--storage docs/reproduction.db --format json"),
)
def _list(options: Namespace) -> None:
    from storage.admin.printing import print_list
    from storage.summaries.overview import list_benchmarks, list_studies

    with opened(options.storage) as store:
        studies, benchmarks = list_studies(store), list_benchmarks(store)
        if options.format == "json":
            say_json([*studies, *benchmarks])
        else:
            print_list(studies, benchmarks, store.name)


@main.part(
    "show",
    *NAMED,
    help="one study or benchmark",
    examples=("mlp", "table1 --storage docs/reproduction.db"),
)
def _show(options: Namespace) -> None:
    from storage.admin.printing import print_benchmark, print_study
    from storage.summaries.naming import find_named, the_only
    from storage.summaries.overview import describe_benchmark, describe_study

    with opened(options.storage) as store:
        found = find_named(store, options.name, kind=options.kind, data=options.data)
        # A study goes before the benchmark of what was exported from it.
        named = found[0] if found[0].benchmark is None else the_only(found)
        if named.benchmark is None:
            described = describe_study(store, named.name)
        else:
            described = describe_benchmark(store, named.number)
        if options.format == "json":
            say_json(described)
        elif named.benchmark is None:
            print_study(described)
        else:
            print_benchmark(described, named.benchmark.measured.judged_by)
        if len(found) > 1:
            others = " and of ".join(map(str, found[1:]))
            say_error(f"it is the name of {others}, too: see --kind and --data")


@main.part(
    "remove",
    *NAMED,
    Option("--yes", action="store_true", help="do not ask"),
    help="remove one study or benchmark for good, after asking",
    description=_REMOVE,
    examples=("mlp", "table1 --kind benchmark --yes"),
)
def _remove(options: Namespace) -> int:
    from storage.admin.removal import benchmark_removal, study_removal
    from storage.summaries.naming import find_named, the_only

    with opened(options.storage, look=False) as store:
        found = find_named(store, options.name, kind=options.kind, data=options.data)
        named = the_only(found)
        if named.benchmark is not None:
            removal = benchmark_removal(store, named.benchmark)
        else:
            removal = study_removal(store, named.number, named.name)
        is_wanted = _is_wanted(removal, sure=options.yes)
        if is_wanted:
            removal.carry_out()
    if options.format == "json":
        counts = {key: n for key, n in vars(removal).items() if key.startswith("n_")}
        say_json({"kind": named.kind, "removed": is_wanted, **counts})
    else:
        say(f"removed: {removal.label}" if is_wanted else "nothing was removed")
    return EXIT_DONE if is_wanted else EXIT_NOTHING


def _is_wanted(removal: Removal, *, sure: bool) -> bool:
    """Say what would be removed, and ask unless the command line says yes.

    Raises:
        UsageError: If there is nobody to ask.
    """
    from storage.admin.printing import in_words

    say_error(f"{removal.label}: {in_words(removal)}")
    if sure:
        return True
    if not sys.stdin.isatty():
        raise UsageError("nothing was removed: there is no terminal to ask on; say --yes to do it.")
    sys.stderr.write("remove it for good? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


@main.part(
    "create",
    STORAGE,
    help="make an empty store where there is none yet",
    examples=("", "--storage postgresql+psycopg://me@host/db"),
)
def _create(options: Namespace) -> None:
    from storage.store import open_store

    with closing(open_store(default_storage(options.storage))) as store:
        say(f"the store is there: {store.name}")


@main.part(
    "upgrade",
    STORAGE,
    FORMAT,
    help="bring a store of an older release up to this one",
    examples=("", "--storage results/search.db"),
)
def _upgrade(options: Namespace) -> None:
    from storage.admin.upgrade import upgrade_store

    done = upgrade_store(default_storage(options.storage))
    if options.format == "json":
        backup = None if done.backup is None else str(done.backup)
        say_json({**vars(done), "backup": backup})
        return
    if done.backup is not None:
        say(f"backup    {done.backup}")
    for name, before, after in (
        ("schema", done.before, done.after),
        ("Optuna's", done.optuna_before, done.optuna_after),
    ):
        change = "up to date" if before == after else f"was {before}"
        say(f"{name:9} {after or 'not there yet'}, {change}")


@main.part(
    "check",
    STORAGE,
    FORMAT,
    help="whether a store agrees with itself",
    examples=("", "--storage results/search.db --format json"),
)
def _check(options: Namespace) -> int:
    from storage.admin.check import check_store

    with opened(options.storage) as store:
        done = check_store(store)
    if options.format == "json":
        findings = [vars(finding) for finding in done.findings]
        say_json({**vars(done), "findings": findings})
        return EXIT_NOTHING if findings else EXIT_DONE
    for finding in done.findings:
        say(f"{finding.table}, {finding.key}: {finding.what}", indent="    ")
        say(f"    -> {finding.mend}", indent="       ")
    say(
        f"{count(len(done.findings), 'finding')} in {count(done.n_studies, 'study')}, "
        f"{count(done.n_trials, 'trial')}, {count(done.n_runs, 'run')}"
    )
    return EXIT_NOTHING if done.findings else EXIT_DONE


@main.part(
    "copy",
    Option("--from", dest="source", metavar="URL", required=True, help="a store"),
    Option("--to", dest="target", metavar="URL", required=True, help="another"),
    STUDY.but(required=False, action="append", default=[], help="default: all there is"),
    Option("--benchmarks", action="store_true", help="and the benchmarks, or they alone"),
    Option("--replace", action="store_true", help="replace what is there under the same name"),
    FORMAT,
    help="studies and benchmarks from one store to another",
    examples=("--from a.db --to b.db", "--from a.db --to b.db --study mlp --benchmarks"),
)
def _copy(options: Namespace) -> None:
    from storage.admin.copying import copy_store
    from storage.store import open_store

    with (
        closing(open_store(options.source, look=True)) as source,
        closing(open_store(options.target)) as target,
    ):
        done = copy_store(
            source,
            target,
            studies=options.study,
            benchmarks=options.benchmarks,
            replace=options.replace,
        )
    if options.format == "json":
        say_json(vars(done))
        return
    for kind, found in (("study", done.studies), ("benchmark", done.benchmarks)):
        for name, what in found.items():
            say(f"{what:9} {kind} {name}")
    say(
        f"written: {count(done.n_trials, 'trial')}, {count(done.n_runs, 'run')}, "
        f"{count(done.n_epochs, 'epoch')}"
    )


if __name__ == "__main__":
    main.run()
