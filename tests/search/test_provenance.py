"""Commands are shown and stored as they can be run again, but for passwords."""

from __future__ import annotations

import sys

import pytest

from search.provenance import collect_provenance, command_line


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--space", "a b.yaml"], "--space 'a b.yaml'"),
        (["--ray-address", "ray://head:10001"], "--ray-address ray://head:10001"),
        (["--set", "data.root=s3://bucket"], "--set data.root=s3://bucket"),
        (["--storage", "results/x.db"], "--storage results/x.db"),
        (["--storage", "sqlite:///results/x.db"], "--storage sqlite:///results/x.db"),
        (
            ["--storage", "postgresql+psycopg://u:secret@h/d?password=secret"],
            "--storage 'postgresql+psycopg://u:***@h/d'",
        ),
        (
            ["--storage=postgresql://u:secret@h/d", "-v"],
            "'--storage=postgresql+psycopg://u:***@h/d' -v",
        ),
        (["--storage", "mysql://u:secret@h/d"], "--storage '***'"),
    ],
)
def test_command_line(arguments: list[str], shown: str) -> None:
    line = command_line("search.launch", arguments)
    assert line.endswith(f" -m search.launch {shown}")
    assert "secret" not in line
    assert line.split(" -m ")[0].endswith("python") or sys.executable in line


def test_provenance_names_what_runs_here() -> None:
    found = collect_provenance()
    assert found.versions["python"] == sys.version.split()[0]
    assert {"torch", "optuna", "ray", "sqlalchemy"} <= set(found.versions)
    assert found.hardware["cpus"] >= 1
    assert found.hardware["memory_bytes"] > 2**28
    assert (found.git_commit is None) == (found.git_dirty is None)
