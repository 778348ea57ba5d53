"""What a launch is recorded with."""

from __future__ import annotations

import sys

import torch

from search.runs.provenance import collect_provenance


def test_provenance_names_what_runs_here() -> None:
    found = collect_provenance()
    assert found.versions["python"] == sys.version.split()[0]
    assert {"optuna", "ray", "sqlalchemy"} <= set(found.versions)
    assert found.versions["torch"] == torch.__version__
    assert len(found.hardware["gpus"]) == torch.cuda.device_count()
    assert found.hardware["cpus"] >= 1
    assert found.hardware["memory_bytes"] > 2**28
    assert (found.git_commit is None) == (found.git_dirty is None)
