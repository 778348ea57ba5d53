"""What ``python -m storage`` prints for people."""

from __future__ import annotations

from typing import Any

from rich.table import Table
from rich.text import Text

from storage.admin.removal import Removal
from storage.commands.terminal import console_for

__all__ = ["in_words", "print_benchmark", "print_list", "print_study"]


def print_list(studies: list[dict[str, Any]], benchmarks: list[dict[str, Any]], name: str) -> None:
    """Print what `list_studies` and `list_benchmarks` found in the store of a name."""
    say = console_for().print
    if not studies and not benchmarks:
        say(f"{name} holds no studies and no benchmarks yet", markup=False, soft_wrap=True)
    if studies:
        table = _table("study", "trials", "state", "best", "data", "launches", "last launch (UTC)")
        for row in studies:
            metric = " ".join(row["metrics"][:1])
            table.add_row(
                Text(row["study"]),
                _states(row["trials"]),
                row["state"] or "-",
                "-" if row["best"] is None else f"{row['best']:.4g} {metric}",
                row["data_source"] or "-",
                str(row["launches"]),
                row["last_launch"] or "-",
            )
        say(table)
    if studies and benchmarks:
        say("")
    if benchmarks:
        table = _table("benchmark", "configs", "runs", "state", "data", "last activity (UTC)")
        names = [row["benchmark"] for row in benchmarks]
        for row in benchmarks:
            is_alone = names.count(row["benchmark"]) == 1
            table.add_row(
                Text(row["benchmark"]),
                str(row["configs"]),
                f"{row['runs_done']} of {row['runs_planned']} done",
                row["state"],
                row["data_source"] + ("" if is_alone else f" {row['data_fingerprint']}"),
                row["last_activity"] or "-",
            )
        say(table)


def print_study(study: dict[str, Any]) -> None:
    """Print what `describe_study` found."""
    say = console_for().print
    say(f"study     {study['study']}", markup=False)
    say(
        "objective "
        + ", ".join(f"{d} {m}" for d, m in zip(study["directions"], study["metrics"], strict=False))
    )
    say(f"data      {study['data_source']}, fingerprint {study['data_fingerprint']}")
    say(f"trials    {_states(study['trials_by_state'])}")
    say(f"spent     {study['epochs']} epochs, {study['train_seconds']:.1f} s of training")
    _print_launches(study["launches"])
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


def print_benchmark(benchmark: dict[str, Any]) -> None:
    """Print what `describe_benchmark` found."""
    say = console_for().print
    configs = benchmark["configs"]
    say(f"benchmark {benchmark['benchmark']}", markup=False)
    if benchmark["title"]:
        say(f"title     {benchmark['title']}", markup=False)
    say(f"data      {benchmark['data_source']}, fingerprint {benchmark['data_fingerprint']}")
    say(
        f"compared  with {benchmark['reference']}, seeds 0 to {benchmark['seeds'] - 1}",
        markup=False,
    )
    say(
        f"runs      {benchmark['runs_done']} of {benchmark['runs_planned']} done, "
        f"{benchmark['state']}"
    )
    seconds = sum(config["train_seconds"] for config in configs)
    say(f"spent     {sum(each['epochs'] for each in configs)} epochs, {seconds:.1f} s of training")
    _print_launches(benchmark["launches"])
    table = _table("config", "model", "parameters", "done", "mean test error", "open", "reason")
    for config in configs:
        table.add_row(
            Text(config["name"]),
            Text(config["model"]),
            f"{config['parameters']:,}",
            f"{config['runs_done']} of {config['runs_planned']}",
            "-" if config["test_error"] is None else f"{config['test_error']:.4g}",
            _states(config["runs_open"], none="-"),
            Text("; ".join(config["reasons"])),
        )
    say("")
    say(table)


def in_words(removal: Removal) -> str:
    """What removing something takes away, and what it leaves."""
    goes = [
        _counted(removal.n_trials, "trial"),
        _counted(removal.n_runs, "run"),
        _counted(removal.n_epochs, "epoch"),
        _counted(removal.n_launches, "launch", "launches"),
    ]
    words = f"{', '.join(each for each in goes if each) or 'nothing that was trained'} would go"
    if removal.n_shared:
        shared = _counted(removal.n_shared, "run")
        words += f"; {shared} would stay, which other benchmarks count as well"
    return words


def _counted(n: int, one: str, several: str = "") -> str:
    return "" if not n else f"{n:,} {one if n == 1 else several or f'{one}s'}"


def _print_launches(launches: list[dict[str, Any]]) -> None:
    say = console_for().print
    for launch in launches:
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


def _table(*titles: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(title)
    return table


def _states(counts: dict[str, int], none: str = "none") -> str:
    return ", ".join(f"{n} {state.lower()}" for state, n in counts.items() if n) or none


def _values(trial: dict[str, Any] | None) -> str:
    if trial is None or not trial["values"]:
        return "-"
    return " ".join(f"{value:.4g}" for value in trial["values"])


def _params(params: dict[str, Any]) -> Text:
    parts = (f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in params.items())
    return Text(" ".join(parts))
