"""``python -m storage``: what a store holds, and what to do with it."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing, contextmanager

from space.errors import UsageError
from storage.admin.check import check_store
from storage.admin.copying import copy_store
from storage.admin.printing import in_words, print_benchmark, print_list, print_study
from storage.admin.removal import Removal, benchmark_removal, study_removal
from storage.admin.upgrade import upgrade_store
from storage.commands.cli import (
    EXIT_DONE,
    EXIT_NOTHING,
    Parser,
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


def main(argv: list[str]) -> int:
    """Run the command.

    Args:
        argv: Its arguments.

    Returns:
        The exit status.

    Raises:
        UserError: What the user can mend.
    """
    parser = Parser(prog="python -m storage", description=__doc__)
    shared = Parser(add_help=False)
    add_storage_option(shared)
    shared.add_argument("--format", choices=("text", "json"), default="text")
    commands = parser.add_subparsers(dest="command", required=True)
    named = Parser(add_help=False)
    named.add_argument("name", metavar="NAME")
    named.add_argument("--kind", choices=KINDS, help="where a study and a benchmark have the name")
    named.add_argument(
        "--data",
        metavar="DATA",
        help="the source or fingerprint of the data, where several benchmarks have the name",
    )
    commands.add_parser("list", parents=[shared], help="the studies and benchmarks of a store")
    commands.add_parser("show", parents=[shared, named], help="one study or benchmark")
    remove = commands.add_parser(
        "remove",
        parents=[shared, named],
        help="remove one study or benchmark for good, after asking",
        description=_REMOVE,
    )
    remove.add_argument("--yes", action="store_true", help="do not ask")
    commands.add_parser(
        "upgrade", parents=[shared], help="bring a store of an older release up to this one"
    )
    commands.add_parser("check", parents=[shared], help="whether a store agrees with itself")
    copy = commands.add_parser("copy", help="studies and benchmarks from one store to another")
    copy.add_argument("--from", dest="source", metavar="URL", required=True)
    copy.add_argument("--to", dest="target", metavar="URL", required=True)
    copy.add_argument(
        "--study", action="append", default=[], metavar="NAME", help="default: all there is"
    )
    copy.add_argument("--benchmarks", action="store_true", help="and the benchmarks, or they alone")
    copy.add_argument("--format", choices=("text", "json"), default="text")
    options = parser.parse_args(argv)
    configure_logging(verbose=False)
    return _COMMANDS[options.command](options)


def _upgrade(options: Namespace) -> int:
    done = upgrade_store(default_storage(options.storage))
    if options.format == "json":
        backup = None if done.backup is None else str(done.backup)
        print(json.dumps({**vars(done), "backup": backup}, indent=2))
        return EXIT_DONE
    if done.backup is not None:
        print(f"backup    {done.backup}")
    for name, before, after in (
        ("schema", done.before, done.after),
        ("Optuna's", done.optuna_before, done.optuna_after),
    ):
        change = "up to date" if before == after else f"was {before}"
        print(f"{name:9} {after or 'not there yet'}, {change}")
    return EXIT_DONE


def _check(options: Namespace) -> int:
    with _opened(options) as store:
        done = check_store(store)
    if options.format == "json":
        findings = [vars(finding) for finding in done.findings]
        print(json.dumps({**vars(done), "findings": findings}, indent=2))
        return EXIT_NOTHING if findings else EXIT_DONE
    for finding in done.findings:
        print(f"{finding.table}, {finding.key}: {finding.what}\n    -> {finding.mend}")
    print(
        f"{len(done.findings) or 'no'} {'finding' if len(done.findings) == 1 else 'findings'} in "
        f"{done.n_studies} studies, {done.n_trials} trials, {done.n_runs} runs"
    )
    return EXIT_NOTHING if done.findings else EXIT_DONE


def _copy(options: Namespace) -> int:
    with (
        closing(open_store(options.source, look=True)) as source,
        closing(open_store(options.target)) as target,
    ):
        done = copy_store(source, target, studies=options.study, benchmarks=options.benchmarks)
    if options.format == "json":
        print(json.dumps(vars(done), indent=2))
        return EXIT_DONE
    for kind, found in (("study", done.studies), ("benchmark", done.benchmarks)):
        for name, what in found.items():
            print(f"{what:18} {kind} {name}")
    print(f"written: {done.n_trials} trials, {done.n_runs} runs, {done.n_epochs} epochs")
    return EXIT_DONE


def _list(options: Namespace) -> int:
    with _opened(options) as store:
        studies, benchmarks = list_studies(store), list_benchmarks(store)
        if options.format == "json":
            print(json.dumps([*studies, *benchmarks], indent=2))
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
            print(json.dumps(described, indent=2))
        elif named.benchmark is None:
            print_study(described)
        else:
            print_benchmark(described)
        if len(found) > 1:
            others = " and of ".join(map(str, found[1:]))
            print(f"it is the name of {others}, too: see --kind and --data", file=sys.stderr)
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
        print(json.dumps({"kind": named.kind, "removed": is_wanted, **counts}, indent=2))
    else:
        print(f"removed: {removal.label}" if is_wanted else "nothing was removed")
    return EXIT_DONE if is_wanted else EXIT_NOTHING


def _is_wanted(removal: Removal, *, sure: bool) -> bool:
    """Say what would be removed, and ask unless the command line says yes.

    Raises:
        UsageError: If there is nobody to ask.
    """
    print(f"{removal.label}: {in_words(removal)}", file=sys.stderr)
    if sure:
        return True
    if not sys.stdin.isatty():
        raise UsageError("nothing was removed: there is no terminal to ask on; say --yes to do it.")
    print("remove it for good? [y/N] ", end="", file=sys.stderr, flush=True)
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
