"""A kill of a worker and one of a driver; the harness runs hundreds by itself."""

from __future__ import annotations

import json
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from search.launch.__main__ import main as launch
from storage import open_store
from tests.harness.kills import Harness
from tests.harness.searches import curves, make_space
from tests.search.here import train_here

pytestmark = pytest.mark.slow

N_TRIALS, EPOCHS = 4, 12


def test_a_search_under_fire_loses_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    space, database = tmp_path / "space.json", str(tmp_path / "s.db")
    undisturbed = make_space(n_trials=N_TRIALS, epochs=EPOCHS)
    space.write_text(json.dumps({"study": "undisturbed", **undisturbed}))
    with monkeypatch.context() as patch:
        train_here(patch, tmp_path)
        assert launch(["--space", str(space), "--storage", database]) == 0
    with closing(open_store(database)) as store:
        expected = curves(store, "undisturbed")
    # Ray's sockets lie beneath, and their paths must be short.
    with tempfile.TemporaryDirectory(prefix="kills-", dir="/tmp") as directory:
        harness = Harness(seed=0, directory=Path(directory), n_trials=N_TRIALS, epochs=EPOCHS)
        harness.run(2, lambda _: None, expected)
    assert harness.findings.kills == {"worker": 1, "driver": 1}
    assert harness.findings.faults == {}
