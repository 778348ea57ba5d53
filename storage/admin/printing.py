"""What ``python -m storage`` prints for people."""

from __future__ import annotations

from typing import Any

from space.metrics import Metric
from space.terminal.printing import say, say_command, say_table, say_whole
from space.words import count, joined, show_params, show_seeds
from storage.admin.removal import Removal

__all__ = ["in_words", "print_benchmark", "print_list", "print_study"]

_UNKNOWN = "not recorded: another tool made the study"
N_TRACEBACKS = 3
"""What more there are, ``--format json`` has."""


def print_list(studies: list[dict[str, Any]], benchmarks: list[dict[str, Any]], name: str) -> None:
    """Print what `list_studies` and `list_benchmarks` found in the store of a name."""
    if not studies and not benchmarks:
        say(f"{name} holds no studies and no benchmarks yet")
    if studies:
        say_table(
            (
                "study",
                "trials",
                "state",
                "best",
                "confirmed",
                "data",
                "launches",
                "last launch (UTC)",
            ),
            [
                (
                    row["study"],
                    _states(row["trials"]),
                    row["state"] or "-",
                    "-"
                    if row["best"] is None
                    else " ".join([_metrics(row)[0].show(row["best"]), *row["metrics"][:1]]),
                    _confirmed(_metrics(row)[0], row["confirmed"]),
                    row["data_source"] or "-",
                    str(row["launches"]),
                    row["last_launch"] or "-",
                )
                for row in studies
            ],
            left=frozenset(range(8)),
        )
    if studies and benchmarks:
        say()
    if benchmarks:
        names = [row["benchmark"] for row in benchmarks]
        say_table(
            ("benchmark", "configs", "runs", "state", "data", "last activity (UTC)"),
            [
                (
                    row["benchmark"],
                    str(row["configs"]),
                    f"{row['runs_done']} of {row['runs_planned']} done",
                    row["state"],
                    row["data_source"]
                    + ("" if names.count(row["benchmark"]) == 1 else f" {row['data_fingerprint']}"),
                    row["last_activity"] or "-",
                )
                for row in benchmarks
            ],
            left=frozenset(range(6)),
        )


def print_study(study: dict[str, Any]) -> None:
    """Print what `describe_study` found."""
    metrics = _metrics(study)
    _say("study", study["study"])
    _say(
        "objective",
        ", ".join(f"{'maximize' if m.maximize else 'minimize'} {m.name}" for m in metrics),
    )
    is_ours = study["data_source"] is not None
    data = f"{study['data_source']}, fingerprint {study['data_fingerprint']}"
    _say("data", data if is_ours else _UNKNOWN)
    _say("trials", _states(study["trials_by_state"]))
    _say("spent", _spent(study) if is_ours else _UNKNOWN)
    _print_launches(study["launches"])
    best = study["best"]
    say()
    say_table(
        ("trial", "state", "value", "epochs", "parameters", "reason"),
        [
            (
                f"{trial['number']}{' best' if best and best['number'] == trial['number'] else ''}",
                trial["state"],
                _values(metrics, trial),
                "-" if trial["epochs"] is None else str(trial["epochs"]),
                show_params(trial["params"]),
                trial["reason"] or "",
            )
            for trial in study["trials"]
        ],
        left=frozenset(range(6)),
    )
    if study["confirmation"]:
        say()
        say_table(
            ("on fresh seeds", study["metrics"][0], "in the search", "seeds", ""),
            [
                (
                    f"trial {each['trial']}",
                    metrics[0].show(each["mean"]),
                    metrics[0].show(each["search_value"]),
                    str(len(each["values"])),
                    _how_far(each),
                )
                for each in study["confirmation"]
            ],
            left=frozenset(range(5)),
        )
    _print_tracebacks(study["tracebacks"])


def _spent(study: dict[str, Any]) -> str:
    spent = f"{count(study['epochs'], 'epoch')}, {study['train_seconds']:.1f} s of training"
    if study["confirm_epochs"]:
        spent += f"; {count(study['confirm_epochs'], 'epoch')}, {study['confirm_seconds']:.1f} s "
        spent += "to confirm"
    return spent


def _confirmed(metric: Metric, winner: dict[str, Any] | None) -> str:
    if winner is None:
        return "-"
    return f"{metric.show(winner['mean'])} on {count(len(winner['values']), 'seed')}"


def _how_far(confirmed: dict[str, Any]) -> str:
    if confirmed["failed"]:
        return f"{count(confirmed['failed'], 'seed')} failed"
    return "" if confirmed["finished"] else "not every seed is done"


def print_benchmark(benchmark: dict[str, Any], metric: Metric) -> None:
    """Print what `describe_benchmark` found, and the mean of the metric it is judged by."""
    configs = benchmark["configs"]
    _say("benchmark", benchmark["benchmark"])
    if benchmark["title"]:
        _say("title", benchmark["title"])
    _say("data", f"{benchmark['data_source']}, fingerprint {benchmark['data_fingerprint']}")
    seeds = show_seeds(benchmark["seed_numbers"])
    _say("compared", f"with {benchmark['reference']}, seeds {seeds}")
    done, planned = benchmark["runs_done"], benchmark["runs_planned"]
    _say("runs", f"{done} of {planned} done, {benchmark['state']}")
    epochs = sum(each["epochs"] for each in configs)
    seconds = sum(config["train_seconds"] for config in configs)
    _say("spent", f"{count(epochs, 'epoch')}, {seconds:.1f} s of training")
    for line in benchmark["registered_words"]:
        _say("register", line)
    _print_launches(benchmark["launches"])
    say()
    say_table(
        ("config", "model", "parameters", "done", f"mean {metric.words}", "open", "reason"),
        [
            (
                config["name"],
                config["model"],
                f"{config['parameters']:,}",
                f"{config['runs_done']} of {config['runs_planned']}",
                metric.show(config[metric.name]),
                _states(config["runs_open"], none="-"),
                "; ".join(config["reasons"]),
            )
            for config in configs
        ],
        left=frozenset(range(7)),
    )
    _print_tracebacks(benchmark["tracebacks"])


def in_words(removal: Removal) -> str:
    """What removing something takes away, and what it leaves."""
    goes = {
        "trial": removal.n_trials,
        "run": removal.n_runs,
        "epoch": removal.n_epochs,
        "launch": removal.n_launches,
    }
    said = ", ".join(count(n, what) for what, n in goes.items() if n)
    words = f"{said or 'nothing that was trained'} would go"
    if removal.n_shared:
        shared = count(removal.n_shared, "run")
        words += f"; {shared} would stay, which other benchmarks count as well"
    return words


def _say(what: str, text: str) -> None:
    say(f"{what:9} {text}", indent=" " * 10)


def _print_launches(launches: list[dict[str, Any]]) -> None:
    for launch in launches:
        dirty = {True: " with uncommitted changes", False: "", None: ""}[launch["git_dirty"]]
        hardware = launch["hardware"]
        say()
        say(
            f"launch {launch['launch']}: {launch['status']}, {launch['started_at']} to "
            f"{launch['ended_at'] or 'now'} (UTC) on {launch['host']}"
        )
        say_command("  command  ", launch["command"])
        for what, text in (
            ("code", f"{launch['git_commit'] or 'no git checkout'}{dirty}"),
            ("versions", " ".join(f"{k} {v}" for k, v in launch["versions"].items())),
            (
                "machine",
                f"{hardware.get('processor')}, {count(hardware.get('cpus') or 0, 'CPU')}, "
                f"GPUs: {', '.join(hardware.get('gpus', [])) or 'none'}",
            ),
            *(("changed", change) for change in launch["changes"]),
        ):
            say(f"  {what:8} {text}", indent=" " * 11)


def _print_tracebacks(tracebacks: list[dict[str, Any]]) -> None:
    """Print the latest, the last of them last."""
    for each in tracebacks[-N_TRACEBACKS:]:
        first, *others = each["of"]
        more = f" and {len(others)} more" if len(others) > 3 else ""
        say()
        say(f"{joined([first, *others]) if not more else first + more} failed:")
        for line in each["traceback"].splitlines():
            say_whole(f"  {line}")


def _states(counts: dict[str, int], none: str = "none") -> str:
    return ", ".join(f"{n} {state.lower()}" for state, n in counts.items() if n) or none


def _metrics(study: dict[str, Any]) -> list[Metric]:
    return [Metric(**each) for each in study["objectives"]]


def _values(metrics: list[Metric], trial: dict[str, Any]) -> str:
    values = zip(metrics, trial["values"] or (), strict=False)
    return ", ".join(metric.show(value) for metric, value in values) or "-"
