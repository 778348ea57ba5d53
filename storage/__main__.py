"""``python -m storage``: what a store holds, and what to do with it."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from rich.table import Table
from rich.text import Text

from storage.check import check_store
from storage.cli import (
    EXIT_DONE,
    EXIT_NOTHING,
    Parser,
    add_storage_option,
    configure_logging,
    default_storage,
    run_command,
)
from storage.copying import copy_store
from storage.overview import describe_study, list_studies
from storage.store import Store, open_store
from storage.terminal import console_for
from storage.upgrade import upgrade_store


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
    commands.add_parser("list", parents=[shared], help="the studies of a store")
    show = commands.add_parser("show", parents=[shared], help="one study")
    show.add_argument("study")
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
        closing(open_store(options.source, create=False)) as source,
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
        found = list_studies(store)
        if options.format == "json":
            print(json.dumps(found, indent=2))
        else:
            _print_studies(found, store.name)
    return EXIT_DONE


def _show(options: Namespace) -> int:
    with _opened(options) as store:
        found = describe_study(store, options.study)
        if options.format == "json":
            print(json.dumps(found, indent=2))
        else:
            _print_study(found)
    return EXIT_DONE


@contextmanager
def _opened(options: Namespace) -> Iterator[Store]:
    with closing(open_store(default_storage(options.storage), create=False)) as store:
        yield store


def _table(*titles: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(title)
    return table


def _states(counts: dict[str, int]) -> str:
    return ", ".join(f"{n} {state.lower()}" for state, n in counts.items() if n) or "none"


def _values(trial: dict[str, Any] | None) -> str:
    if trial is None or not trial["values"]:
        return "-"
    return " ".join(f"{value:.4g}" for value in trial["values"])


def _params(params: dict[str, Any]) -> Text:
    parts = (f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in params.items())
    return Text(" ".join(parts))


def _print_studies(studies: list[dict[str, Any]], name: str) -> None:
    if not studies:
        print(f"{name} holds no studies yet")
        return
    table = _table("study", "trials", "best", "data", "launches", "last launch (UTC)")
    for row in studies:
        table.add_row(
            Text(row["study"]),
            _states(row["trials"]),
            "-" if row["best"] is None else f"{row['best']:.4g} {' '.join(row['metrics'][:1])}",
            row["data_source"] or "-",
            str(row["launches"]),
            row["last_launch"] or "-",
        )
    console_for().print(table)


def _print_study(study: dict[str, Any]) -> None:
    say = console_for().print
    say(f"study     {study['study']}", markup=False)
    say(
        "objective "
        + ", ".join(f"{d} {m}" for d, m in zip(study["directions"], study["metrics"], strict=False))
    )
    say(f"data      {study['data_source']}, fingerprint {study['data_fingerprint']}")
    say(f"trials    {_states(study['trials_by_state'])}")
    say(f"spent     {study['epochs']} epochs, {study['train_seconds']:.1f} s of training")
    for launch in study["launches"]:
        dirty = {True: " with uncommitted changes", False: "", None: ""}[launch["git_dirty"]]
        versions = " ".join(f"{k} {v}" for k, v in launch["versions"].items())
        say(
            f"\nlaunch {launch['launch']}: {launch['status']}, {launch['started_at']} to "
            f"{launch['ended_at'] or 'now'} (UTC) on {launch['host']}",
            markup=False,
        )
        say(f"  command  {launch['command']}", markup=False)
        say(f"  code     {launch['git_commit'] or 'no git checkout'}{dirty}", markup=False)
        say(f"  versions {versions}", markup=False)
        hardware = launch["hardware"]
        say(
            f"  machine  {hardware.get('processor')}, {hardware.get('cpus')} CPUs, "
            f"GPUs: {', '.join(hardware.get('gpus', [])) or 'none'}",
            markup=False,
        )
        for change in launch["changes"]:
            say(f"  changed  {change}", markup=False)
    table = _table("trial", "state", "value", "epochs", "parameters", "reason")
    best = study["best"]
    for trial in study["trials"]:
        table.add_row(
            f"{trial['number']}{' best' if best and best['number'] == trial['number'] else ''}",
            trial["state"],
            _values(trial),
            str(trial["epochs"]),
            _params(trial["params"]),
            Text(trial["reason"] or ""),
        )
    say("")
    say(table)


_COMMANDS = {
    "check": _check,
    "copy": _copy,
    "list": _list,
    "show": _show,
    "upgrade": _upgrade,
}

if __name__ == "__main__":
    run_command(main)
