"""What a benchmark found: printed as tables, and kept as a file that the documentation shows.

A benchmark fills some `Table`s and gives them to `publish`; ``--json FILE`` (see `add_json_option`)
keeps them. The files of ``docs/performance/`` are made that way, and
``python -m tests.benchmarks.performance`` makes ``docs/performance.md`` of them.
"""

from __future__ import annotations

import argparse
import datetime
import math
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from dashboards.tables.drawing import Sheet
from dashboards.tables.drawing import draw as draw_sheet
from search.runs.provenance import collect_provenance
from space.errors import UsageError
from space.words import NOTHING, count

__all__ = [
    "Cell",
    "Growing",
    "Machine",
    "Result",
    "Table",
    "add_json_option",
    "cpu_seconds",
    "draw_result",
    "keep_result",
    "make_result",
    "publish",
    "read_result",
    "sheet",
    "where",
    "without_avx512",
]

Cell = str | int | float | None
"""Text; a count, shown whole; a measurement, shown to three digits; None where there is none."""


class Table(BaseModel):
    """A table of a benchmark.

    Attributes:
        title: Its heading.
        columns: Names of the columns, with units.
        rows: The cells, as many a row as there are columns.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    title: str
    columns: list[str]
    rows: list[list[Cell]]

    @model_validator(mode="after")
    def _rows_fit(self) -> Table:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError("a row has more or fewer cells than there are columns")
        return self


class Machine(BaseModel):
    """Where it was measured.

    Attributes:
        processor: Its name.
        cpus: Logical CPUs.
        torch_threads: Threads that torch used at the end of the measurement.
        memory_gib: Memory in GiB.
        gpus: Names of the GPUs.
        system: The operating system.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    processor: str
    cpus: int
    torch_threads: int
    memory_gib: float
    gpus: list[str]
    system: str


class Result(BaseModel):
    """What one command found, and where.

    Attributes:
        title: What was measured.
        command: The command, as one would type it.
        machine: Where.
        versions: Python's and the libraries'.
        commit: The code's commit.
        dirty: Whether the code, `docs/` left out, differs from it.
        date: The day, YYYY-MM-DD.
        notes: How it was measured and what the tables leave unsaid, a paragraph each.
        tables: The numbers.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    title: str
    command: str
    machine: Machine
    versions: dict[str, str]
    commit: str | None
    dirty: bool | None
    date: str
    notes: list[str]
    tables: list[Table]


def cpu_seconds(pid: int) -> float:
    """What a process has computed so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Adds ``--json FILE``.

    Args:
        parser: A benchmark's parser.
    """
    parser.add_argument(
        "--json",
        metavar="FILE",
        type=Path,
        help="write the result there too, e.g. docs/performance/NAME.json",
    )


def publish(
    *,
    title: str,
    module: str,
    argv: Sequence[str],
    tables: Sequence[Table],
    notes: Sequence[str] = (),
    json_file: Path | None,
) -> Result:
    """Prints what was found and, if asked to, keeps it.

    Args:
        title: What was measured.
        module: The benchmark's module, e.g. ``"tests.benchmarks.searching.overhead"``.
        argv: The command's arguments.
        tables: The numbers.
        notes: See `Result`.
        json_file: The file to write, or None. Its directory is made.

    Returns:
        The result.

    Raises:
        UsageError: If the file cannot be written.
    """
    result = make_result(title=title, module=module, argv=argv, tables=tables, notes=notes)
    draw_result(result)
    keep_result(result, json_file)
    return result


def make_result(
    *,
    title: str,
    module: str,
    argv: Sequence[str],
    tables: Sequence[Table] = (),
    notes: Sequence[str] = (),
) -> Result:
    """What was found here; see `publish`."""
    provenance = collect_provenance()
    hardware = provenance.hardware
    return Result(
        title=title,
        command=shlex.join(["python", "-m", module, *argv]),
        machine=Machine(
            processor=hardware["processor"],
            cpus=hardware["cpus"],
            torch_threads=torch.get_num_threads(),
            memory_gib=round(hardware["memory_bytes"] / 2**30, 1),
            gpus=hardware["gpus"],
            system=platform.system(),
        ),
        versions=provenance.versions,
        commit=provenance.git_commit,
        dirty=_is_dirty(),
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        notes=list(notes),
        tables=list(tables),
    )


class Growing:
    """A table that is kept after every row, so that its file has what was measured whenever the
    command ends."""

    def __init__(self, result: Result, title: str, columns: list[str], json_file: Path | None):
        """Begin after a result's own tables."""
        self._empty, self._json_file = result, json_file
        self._title, self._columns = title, columns
        self.rows: list[list[Cell]] = []
        self.result = result

    def add(self, row: list[Cell]) -> None:
        """Add a row, and keep the file.

        Raises:
            UsageError: If it cannot be written.
        """
        self.rows.append(row)
        table = Table(title=self._title, columns=self._columns, rows=self.rows)
        self.result = self._empty.model_copy(update={"tables": [*self._empty.tables, table]})
        keep_result(self.result, self._json_file)


def draw_result(result: Result) -> None:
    """Prints what was found."""
    print(f"{where(result)}\n")
    for table in result.tables:
        print(draw_sheet(sheet(table), "text"))
    for note in result.notes:
        print(note)


def keep_result(result: Result, json_file: Path | None) -> None:
    """Writes what was found, where there is a file for it, in place of what the file held.

    Raises:
        UsageError: If the file cannot be written.
    """
    if json_file is None:
        return
    whole = json_file.with_name(f"{json_file.name}.part")
    try:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        whole.write_text(result.model_dump_json(indent=1) + "\n")
        whole.replace(json_file)
    except OSError as error:
        raise UsageError(f"--json {json_file}: {error.strerror}; name another file.") from error


def read_result(file: Path) -> Result:
    """Reads what `publish` kept.

    Args:
        file: The file.

    Returns:
        The result.

    Raises:
        UsageError: If it is no such file.
    """
    try:
        return Result.model_validate_json(file.read_bytes())
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}.") from error
    except ValidationError as error:
        (first, *_) = error.errors()
        path = ".".join(map(str, first["loc"])) or "the file"
        raise UsageError(f"{file}: {path}: {first['msg']}; write it with --json again.") from error


def where(result: Result) -> str:
    """One line on machine, versions and code.

    Args:
        result: A benchmark's result.

    Returns:
        The line.
    """
    machine = result.machine
    gpus = ", ".join(machine.gpus) or "no GPU"
    versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    commit = "no commit" if result.commit is None else f"commit {result.commit[:12]}"
    changes = " with uncommitted changes" if result.dirty else ""
    return (
        f"{machine.processor}, {count(machine.cpus, 'CPU')} "
        f"({count(machine.torch_threads, 'thread')}), "
        f"{machine.memory_gib} GiB, {gpus}, {machine.system}; {versions}; {commit}{changes}; "
        f"{result.date}"
    )


def without_avx512() -> str:
    """What to add to the title of a measurement on a CPU: nothing where it has AVX-512."""
    has_it = torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    return "" if has_it else ", on a CPU without AVX-512"


def sheet(table: Table) -> Sheet:
    """A table, ready to be drawn.

    Args:
        table: The table.

    Returns:
        Its sheet; columns that hold text are aligned to the left.
    """
    left = {
        i for i in range(len(table.columns)) if any(isinstance(row[i], str) for row in table.rows)
    }
    return Sheet(
        title=table.title,
        columns=table.columns,
        left=frozenset(left),
        rows=[[_shown(cell) for cell in row] for row in table.rows],
    )


def _shown(cell: Cell) -> str:
    if cell is None:
        return NOTHING
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int):
        return f"{cell:,}"
    if cell == 0 or not math.isfinite(cell):
        return f"{cell:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(cell))))
    return f"{cell:,.{digits}f}"


def _is_dirty() -> bool | None:
    """Whether the code differs from its commit; results of benchmarks are no code."""
    root = Path(__file__).resolve().parents[2]
    command = ["git", "-C", str(root), "status", "--porcelain", "--untracked-files=no"]
    try:
        done = subprocess.run(
            [*command, "--", ".", ":!docs"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"git does not say whether the code is changed: {error}", file=sys.stderr)
        return None
    return bool(done.stdout.strip())
