"""``python -m storage``: what a store holds, and what to do with it."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing, contextmanager

from space.errors import UsageError
from space.terminal.counts import count
from space.terminal.printing import say, say_error, say_json
from storage.admin.check import check_store
from storage.admin.copying import copy_store
from storage.admin.printing import in_words, print_benchmark, print_list, print_study
from storage.admin.removal import Removal, benchmark_removal, study_removal
from storage.admin.upgrade import upgrade_store
from storage.commands.cli import (
    EXIT_DONE,
    EXIT_NOTHING,
    Parser,
    add_format,
    add_storage_option,
    configure_logging,
    default_storage,
    run_command,
)
from storage.store import Store, open_store
from storage.summaries.naming import KINDS, find_named, the_only
from storage.summaries.overview import (
    describe_benchmark,
    describe_study,
    list_benchmarks,
    list_studies,
)

_REMOVE = """\
Remove a study or a benchmark for good, after saying what goes and asking.

A study goes with its trials, runs and launches. A benchmark goes with its
runs, except for those that another benchmark of the store counts as well:
they stay until the last of these is removed. Nothing goes that a launch works
on now. Files of unfinished runs in the directory of checkpoints are left.
"""


def build_parser() -> Parser:
    """The command's options."""
    parser = Parser(
        prog="python -m storage",
        description=__doc__,
        examples=("list", "show siamese --storage results/search.db"),
    )
    shared = Parser(add_help=False)
    add_storage_option(shared)
    add_format(shared, "of the answer")
    commands = parser.add_subparsers(dest="command", required=True)
    named = Parser(add_help=False)
    named.add_argument("name", metavar="NAME")
    named.add_argument("--kind", choices=KINDS, help="default: what has the name")
    named.add_argument(
        "--data",
        metavar="DATA",
        help="the source or fingerprint of the data, default: the one that there is",
    )
    commands.add_parser(
        "list",
        parents=[shared],
        help="the studies and benchmarks of a store",
        examples=("", "--storage docs/reproduction.db --format json"),
    )
    commands.add_parser(
        "show",
        parents=[shared, named],
        help="one study or benchmark",
        examples=("siamese", "table1 --storage docs/reproduction.db"),
    )
    remove = commands.add_parser(
        "remove",
        parents=[shared, named],
        help="remove one study or benchmark for good, after asking",
        description=_REMOVE,
        examples=("siamese", "table1 --kind benchmark --yes"),
    )
    remove.add_argument("--yes", action="store_true", help="do not ask")
    commands.add_parser(
        "upgrade",
        parents=[shared],
        help="bring a store of an older release up to this one",
        examples=("", "--storage results/search.db"),
    )
    commands.add_parser(
        "check",
        parents=[shared],
        help="whether a store agrees with itself",
        examples=("", "--storage results/search.db --format json"),
    )
    copy = commands.add_parser(
        "copy",
        help="studies and benchmarks from one store to another",
        examples=(
            "--from a.db --to b.db",
            "--from a.db --to b.db --study siamese --benchmarks",
        ),
    )
    copy.add_argument("--from", dest="source", metavar="URL", required=True, help="a store")
    copy.add_argument("--to", dest="target", metavar="URL", required=True, help="another")
    copy.add_argument(
        "--study", action="append", default=[], metavar="NAME", help="default: all there is"
    )
    copy.add_argument("--benchmarks", action="store_true", help="and the benchmarks, or they alone")
    add_format(copy, "of the answer")
    return parser


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
    configure_logging(verbose=False)
    return _COMMANDS[options.command](options)


def _upgrade(options: Namespace) -> int:
    done = upgrade_store(default_storage(options.storage))
    if options.format == "json":
        backup = None if done.backup is None else str(done.backup)
        say_json({**vars(done), "backup": backup})
        return EXIT_DONE
    if done.backup is not None:
        say(f"backup    {done.backup}")
    for name, before, after in (
        ("schema", done.before, done.after),
        ("Optuna's", done.optuna_before, done.optuna_after),
    ):
        change = "up to date" if before == after else f"was {before}"
        say(f"{name:9} {after or 'not there yet'}, {change}")
    return EXIT_DONE


def _check(options: Namespace) -> int:
    with _opened(options) as store:
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


def _copy(options: Namespace) -> int:
    with (
        closing(open_store(options.source, look=True)) as source,
        closing(open_store(options.target)) as target,
    ):
        done = copy_store(source, target, studies=options.study, benchmarks=options.benchmarks)
    if options.format == "json":
        say_json(vars(done))
        return EXIT_DONE
    for kind, found in (("study", done.studies), ("benchmark", done.benchmarks)):
        for name, what in found.items():
            say(f"{what:18} {kind} {name}")
    say(
        f"written: {count(done.n_trials, 'trial')}, {count(done.n_runs, 'run')}, "
        f"{count(done.n_epochs, 'epoch')}"
    )
    return EXIT_DONE


def _list(options: Namespace) -> int:
    with _opened(options) as store:
        studies, benchmarks = list_studies(store), list_benchmarks(store)
        if options.format == "json":
            say_json([*studies, *benchmarks])
        else:
            print_list(studies, benchmarks, store.name)
    return EXIT_DONE


def _show(options: Namespace) -> int:
    with _opened(options) as store:
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
            print_benchmark(described)
        if len(found) > 1:
            others = " and of ".join(map(str, found[1:]))
            say_error(f"it is the name of {others}, too: see --kind and --data")
    return EXIT_DONE


def _remove(options: Namespace) -> int:
    with _opened(options, look=False) as store:
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
    say_error(f"{removal.label}: {in_words(removal)}")
    if sure:
        return True
    if not sys.stdin.isatty():
        raise UsageError("nothing was removed: there is no terminal to ask on; say --yes to do it.")
    sys.stderr.write("remove it for good? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


@contextmanager
def _opened(options: Namespace, *, look: bool = True) -> Iterator[Store]:
    url = default_storage(options.storage)
    with closing(open_store(url, create=False, look=look)) as store:
        yield store


_COMMANDS = {
    "check": _check,
    "copy": _copy,
    "list": _list,
    "remove": _remove,
    "show": _show,
    "upgrade": _upgrade,
}

if __name__ == "__main__":
    run_command(main)
