"""The runs of a benchmark as rows."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

from dashboards.numbers.rows.rows import Column, Row, Rows
from dashboards.numbers.settings import differing_settings
from space import Value
from space.messages import listed
from storage import BenchmarkRecord, ResultRecord, RunRecord, Store
from storage.leases import is_alive
from storage.summaries.study import INTERRUPTED

__all__ = ["CONFIG", "run_rows"]

CONFIG = "config"
"""The column of a config's name."""

_Trained = tuple[RunRecord | None, ResultRecord | None]
_NONE: _Trained = (None, None)


def run_rows(store: Store, record: BenchmarkRecord) -> Rows:
    """Read a benchmark's runs.

    Args:
        store: The store.
        record: One of `load_benchmarks(store)`.

    Returns:
        A row a config and seed, in the table's order, also of those that nobody has trained yet.
        Of several runs of one config and seed it is the first one with a result, else the latest.

    Raises:
        StorageError: If the store cannot be read.
    """
    hashes = [config_hash for config in record.configs for config_hash in config.config_hashes]
    done: dict[str, _Trained] = {}
    for run, result in store.results(dict.fromkeys(hashes)):
        if result.data_fingerprint == record.data_fingerprint:
            done.setdefault(run.config_hash, (run, result))
    launches = store.launches()
    data = {launch.launch_id: launch.data_fingerprint for launch in launches}
    alive = {launch.launch_id for launch in launches if is_alive(launch)}
    latest: dict[str, _Trained] = {
        run.config_hash: (run, None)
        for run in store.runs(purpose="benchmark")
        if data[run.launch_id] == record.data_fingerprint
    }
    known = {**latest, **done}
    settings = differing_settings(config.config for config in record.configs)
    shown = {metric.name for metric in record.measured.tabled}
    columns = (
        Column(name="run", words="run", is_label=True),
        Column(name=CONFIG, words="config"),
        Column(name="seed", words="seed", is_label=True),
        Column(name="state", words="state"),
        *(
            Column(
                name=metric.name, words=metric.words, metric=metric, is_shown=metric.name in shown
            )
            for metric in record.measured.metrics
        ),
        *(Column(name=path, words=path.partition(".")[2] or path) for path in settings),
        *(
            Column(
                name=f"other_{metric.name}",
                words=f"{metric.words}, other selection",
                metric=metric,
                is_shown=False,
            )
            for metric in record.measured.metrics
        ),
        Column(name="kept_epoch", words="kept epoch", is_shown=False),
        Column(name="other_epoch", words="kept epoch, other selection", is_shown=False),
        Column(name="epochs", words="epochs"),
        Column(name="seconds", words="training time (s)"),
        Column(name="n_parameters", words="parameters", is_shown=False),
        Column(name="launch", words="launch", is_shown=False, is_label=True),
        Column(name="worker", words="worker", is_shown=False),
        Column(name="begun", words="begun (UTC)", is_shown=False),
        Column(name="reason", words="how it ended", is_shown=False),
    )
    rows = []
    for config in record.configs:
        values = {path: _value(config.config.value(path)) for path in settings}
        for seed, config_hash in config.by_seed.items():
            own_run, ended = known.get(config_hash, _NONE)
            rows.append(
                Row(
                    key=None if own_run is None else str(own_run.run_id),
                    values={
                        **values,
                        CONFIG: config.name,
                        "seed": seed,
                        "n_parameters": config.n_parameters,
                        **_of_run(own_run, alive),
                        **({} if ended is None else _of_result(ended)),
                    },
                )
            )
    return Rows(columns=columns, rows=tuple(rows))


def _value(value: Any) -> Value | None:
    return value if value is None or isinstance(value, str | int | float) else listed([value])


def _of_run(run: RunRecord | None, alive: Collection[int]) -> dict[str, Value | None]:
    if run is None:
        return {"state": "not begun"}
    return {
        "run": run.run_id,
        "state": run.state
        if run.state != "running" or run.launch_id in alive
        else INTERRUPTED.lower(),
        "kept_epoch": run.best_epoch,
        "other_epoch": run.other_epoch,
        "epochs": run.n_epochs,
        "seconds": run.train_seconds,
        "launch": run.launch_id,
        "worker": run.worker,
        "begun": f"{run.started_at:%Y-%m-%d %H:%M:%S}",
        "reason": run.reason,
    }


def _of_result(result: ResultRecord) -> dict[str, Value | None]:
    found = {**result.metrics, **{f"other_{name}": each for name, each in result.other.items()}}
    return {name: value for name, value in found.items() if math.isfinite(value)}
