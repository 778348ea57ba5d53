"""What a launch is recorded with."""

from __future__ import annotations

import sys

from search.runs.provenance import collect_provenance


def test_provenance_names_what_runs_here() -> None:
    found = collect_provenance()
    assert found.versions["python"] == sys.version.split()[0]
    assert {"torch", "optuna", "ray", "sqlalchemy"} <= set(found.versions)
    assert found.hardware["cpus"] >= 1
    assert found.hardware["memory_bytes"] > 2**28
    assert (found.git_commit is None) == (found.git_dirty is None)
