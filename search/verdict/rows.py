"""From a table of runs, whoever trained them, to runs that can be compared.

A row is a run. Its columns are found by their names: those of a table of one's own, of MLflow's
exported runs (``run_id, status, params.lr, metrics.loss, tags.mlflow.runName``) and of the runs
that W&B's pages export (``Name, State, lr, loss``).
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from search.verdict.foreign import ForeignRun
from space.errors import UsageError, nearest
from space.files.reader import file_name, read_file
from space.metrics import Metric
from space.words import count, describe, joined

__all__ = ["Asked", "Table", "foreign_runs", "read_table"]

LARGEST = 100_000_000
"""Bytes that a file may have."""
_PREFIXES = ("metrics.", "params.", "tags.", "config.", "summary.")
"""Before a name in a column's heading: of MLflow's exports, and of W&B's by its API."""
_CONFIGS = ("config", "model", "method", "algorithm", "group", "name")
_SEEDS = ("seed", "random_seed", "training_seed", "random_state")
_STATES = ("state", "status")
_STATE_OF = {
    **dict.fromkeys(("finished", "complete", "completed", "success", "succeeded"), "complete"),
    **dict.fromkeys(("failed", "fail", "crashed", "killed", "error"), "failed"),
    **dict.fromkeys(("running", "pending", "scheduled", "queued", "preempted"), "running"),
}
"""What MLflow, W&B and others call a run's state -> what it is called here."""
_SMALL = (
    *("err", "error", "loss", "mae", "mse", "nll", "perplexity", "regret", "rmse", "cer", "wer"),
    *("fid", "seconds", "time"),
)
_LARGE = (
    *("acc", "accuracy", "auc", "auroc", "bleu", "dice", "f1", "iou", "map", "precision", "psnr"),
    *("r2", "recall", "return", "returns", "reward", "score", "ssim"),
)
"""Words of a metric's name that say which of two values is the better one."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """How a table is to be read; None is found out by the names of its columns.

    Attributes:
        config: The columns that say which config a run is of.
        seed: The column of its seed.
        metrics: The columns of what was measured; the first one is compared by.
        direction: "minimize" or "maximize".
        unit: What the first metric is measured in; see `Metric`.
    """

    config: Sequence[str] | None = None
    seed: str | None = None
    metrics: Sequence[str] | None = None
    direction: str | None = None
    unit: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table as it was read.

    Attributes:
        name: What sentences call it.
        columns: The headings.
        rows: Line, from 1 -> the cells by heading.
        fingerprint: Of all of it.
    """

    name: str
    columns: tuple[str, ...]
    rows: Mapping[int, Mapping[str, str]]
    fingerprint: str

    def short(self) -> dict[str, str]:
        """Heading without its prefix, in lower case -> heading; the first of several."""
        return {_bare(column).lower(): column for column in reversed(self.columns)}

    def find(self, wanted: str, option: str) -> str:
        """The column that an option names, with or without its prefix.

        Raises:
            UsageError: If there is none, or more than one.
        """
        if wanted in self.columns:
            return wanted
        found = [column for column in self.columns if _bare(column) == wanted]
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError(
                f"{option}: {self.name} has several columns '{wanted}': name one of "
                f"{', '.join(found)}."
            )
        raise UsageError(
            f"{option}: {self.name} has no column '{wanted}' (it has: {', '.join(self.columns)})"
            f"{nearest(wanted, [*self.columns, *map(_bare, self.columns)])}"
        )

    def values(self, column: str) -> list[str]:
        """A column, without what is empty."""
        return [row[column] for row in self.rows.values() if row[column]]


def read_table(path: Path) -> Table:
    """Read a CSV file: UTF-8 with a line of headings, separated by commas, semicolons or tabs.

    Raises:
        UserError: If it is none.
    """
    content, name = read_file(path, LARGEST), file_name(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{name}: byte {error.start + 1} is not UTF-8 text.") from error
    return table_of(text, name)


def table_of(text: str, name: str) -> Table:
    """As `read_table`, of a file's text.

    Raises:
        UsageError: If it is no table.
    """
    separator = max(",;\t", key=text.partition("\n")[0].count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: dict[int, dict[str, str]] = {}
    try:
        columns = tuple(cell.strip() for cell in next(lines, []))
        if len(set(columns)) < len(columns):
            twice = next(each for each in columns if columns.count(each) > 1)
            raise UsageError(f"{name}, line 1: two columns are called '{twice}'; rename one.")
        end = lines.line_num
        for cells in lines:
            line, end = end + 1, lines.line_num
            if not any(map(str.strip, cells)):
                continue
            if len(cells) != len(columns):
                raise UsageError(
                    f"{name}, line {line}: {count(len(cells), 'cell')}, but there are "
                    f"{count(len(columns), 'heading')} in line 1."
                )
            rows[line] = dict(zip(columns, map(str.strip, cells), strict=True))
    except csv.Error as error:
        raise UsageError(f"{name}, line {lines.line_num}: not CSV: {error}.") from error
    if not rows:
        raise UsageError(f"{name}: no run in it; expected a line of headings, then a line a run.")
    fingerprint = hashlib.sha256(text.encode()).hexdigest()[:16]
    return Table(name=name, columns=columns, rows=rows, fingerprint=fingerprint)


def foreign_runs(table: Table, asked: Asked) -> tuple[list[ForeignRun], list[Metric]]:
    """The runs of a table, and what was measured of them.

    Args:
        table: The table.
        asked: How it is to be read.

    Returns:
        The runs in the table's order; the metrics, of which the first is compared by.

    Raises:
        UsageError: If a column is not found, a cell does not hold what it should, or two runs of
            one config and seed have a result.
    """
    configs = _config_columns(table, asked)
    seed = _seed_column(table, asked)
    state = _state_column(table, {*configs, seed})
    metrics = _metric_columns(table, asked, {*configs, seed, state})
    runs = [
        _run(table, line, row, configs, seed, metrics, _STATE_OF[row[state].lower()])
        if state and row[state]
        else _run(table, line, row, configs, seed, metrics, "complete")
        for line, row in table.rows.items()
    ]
    done: dict[tuple[str, int], int] = {}
    for run in runs:
        other = done.get((run.config, run.seed))
        if run.state == "complete" and other is not None:
            raise UsageError(
                f"{table.name}, lines {other} and {run.line}: two runs of config '{run.config}' "
                f"with seed {run.seed}; a seed of a config counts once: take one out, or name "
                "more columns by --config."
            )
        if run.state == "complete":
            done[run.config, run.seed] = run.line
    maximize = _maximize(metrics[0], asked)
    return runs, [
        Metric(_bare(column), maximize=maximize, unit="" if place else asked.unit)
        for place, column in enumerate(metrics)
    ]


def _config_columns(table: Table, asked: Asked) -> list[str]:
    if asked.config:
        return [table.find(each, "--config") for each in asked.config]
    for name in _CONFIGS:
        column = table.short().get(name)
        # Where no two rows are alike it names runs, not configs.
        if column is not None and len(set(table.values(column))) < len(table.values(column)):
            return [column]
    raise UsageError(
        f"--config: which config a run is of is not clear from {table.name}; name the column, or "
        f"several that say it together, of {', '.join(table.columns)}."
    )


def _seed_column(table: Table, asked: Asked) -> str:
    if asked.seed:
        return table.find(asked.seed, "--seed")
    for name in _SEEDS:
        if name in table.short():
            return table.short()[name]
    raise UsageError(
        f"--seed: {table.name} has no column 'seed'; name the column by which runs of different "
        f"configs are paired, of {', '.join(table.columns)}."
    )


def _state_column(table: Table, taken: Iterable[str]) -> str:
    """The column of the runs' states; empty where there is none."""
    for name in _STATES:
        column = table.short().get(name, "")
        if column and column not in taken:
            states = {value.lower() for value in table.values(column)}
            if states and states <= _STATE_OF.keys():
                return column
    return ""


def _metric_columns(table: Table, asked: Asked, taken: set[str]) -> list[str]:
    if asked.metrics:
        return [table.find(each, "--metric") for each in asked.metrics]
    free = [column for column in table.columns if column not in taken]
    free = [column for column in free if column.startswith("metrics.")] or free
    numbers = [
        column
        for column in free
        if table.values(column) and all(map(_is_number, table.values(column)))
    ]
    if len(numbers) == 1:
        return numbers
    several = f"one of {joined(numbers)}" if numbers else f"of {', '.join(table.columns)}"
    raise UsageError(
        f"--metric: what is to be compared is not clear from {table.name}; name the column, "
        f"{several}."
    )


def _run(
    table: Table,
    line: int,
    row: Mapping[str, str],
    configs: Sequence[str],
    seed: str,
    metrics: Sequence[str],
    state: str,
) -> ForeignRun:
    def place(column: str) -> str:
        return f"{table.name}, line {line}, column '{column}'"

    for column in configs:
        if not row[column]:
            raise UsageError(f"{place(column)}: empty; expected the name of the run's config.")
    number = _number(row[seed])
    if number is None or number < 0 or number != int(number):
        raise UsageError(
            f"{place(seed)}: {describe(row[seed])} is no seed; expected a whole number from 0."
        )
    values = {}
    for column in metrics:
        value = _number(row[column]) if row[column] else math.nan
        if value is None:
            raise UsageError(f"{place(column)}: {describe(row[column])} is not a number.")
        values[_bare(column)] = value
    reason = f"line {line}" if state == "failed" else ""
    if state == "complete" and not math.isfinite(values[_bare(metrics[0])]):
        cell = row[metrics[0]]
        state = "failed"
        reason = f"line {line}: {_bare(metrics[0])} is {cell if cell else 'empty'}"
    name = row[configs[0]]
    if len(configs) > 1:
        name = ", ".join(f"{_bare(column)} {row[column]}" for column in configs)
    return ForeignRun(
        config=name, seed=int(number), line=line, state=state, metrics=values, reason=reason
    )


def _maximize(column: str, asked: Asked) -> bool:
    if asked.direction:
        return asked.direction == "maximize"
    words = set(re.split(r"[^a-z0-9]+", _bare(column).lower()))
    is_small, is_large = (not words.isdisjoint(each) for each in (_SMALL, _LARGE))
    if is_small == is_large:
        raise UsageError(
            f"--direction: whether more or less of '{_bare(column)}' is better is not clear from "
            "its name; say minimize or maximize."
        )
    return is_large


def _bare(column: str) -> str:
    """A heading without its prefix."""
    prefix = next((each for each in _PREFIXES if column.startswith(each)), "")
    return column[len(prefix) :]


def _number(text: str) -> float | None:
    try:
        # Python takes underscores for separators, which is no notation of a table's.
        return None if "_" in text else float(text)
    except ValueError:
        return None


def _is_number(text: str) -> bool:
    return _number(text) is not None
