"""A user's trainable that hangs or grows without end costs its own trial and no more."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from optuna.trial import TrialState

from search.launch.__main__ import main as launch
from storage import Store
from storage.admin.check import check_store
from storage.tables.attributes import FAIL_REASON
from trainables.finding.find import _KNOWN

HANGS = """
import time
from pathlib import Path

from trainables import Options


class Own(Options):
    eta: float = 0.5


def train(options: Own, run):
    for epoch in range(run.epochs):
        while options.eta == 0.25 and epoch == 1:
            Path("HUNG").touch()
            time.sleep(3600)
        yield {"val_error": options.eta}
"""

GROWS = HANGS.replace(
    """            Path("HUNG").touch()
            time.sleep(3600)""",
    """            kept = [bytearray(b"x" * 2**25) for _ in range(24)]  # 768 MiB
            re.match("(a+)+$", "a" * 60 + "b")  # For ages, holding Python's lock.""",
).replace("import time", "import re")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    _KNOWN.clear()
    yield tmp_path
    _KNOWN.clear()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "limits", "reason"),
    [
        (HANGS, {"trial_time": "1h"}, "it took longer than limits.trial_time, 1 h"),
        (
            GROWS,
            {"trial_memory": "768MiB"},
            "it took more memory than limits.trial_memory, 768 MiB",
        ),
    ],
    ids=["hangs", "grows"],
)
def test_a_trial_that_takes_too_much_is_ended_with_its_reason_and_the_study_goes_on(
    folder: Path,
    one_ray: Path,
    store: Store,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    limits: dict[str, str],
    reason: str,
) -> None:
    """On the driver's clock two hours go by once the trial hangs."""
    hung = folder / "hung"
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + 7200 * hung.exists())
    monkeypatch.setattr("search.workers.workers.time", clock)
    space = {
        "study": "hangs",
        "trainable": "mine.py:train",
        "training": {"epochs": 2},
        "parameters": {"eta": {"type": "float", "low": 0.0, "high": 1.0}},
        "baselines": [{"eta": 0.25}],
        "budget": {"trials": 3},
        "limits": limits,
        "concurrency": 1,
        "resources": {"gpus": 0},
    }
    (folder / "mine.py").write_text(code.replace("HUNG", str(hung)))
    (folder / "own.yaml").write_text(json.dumps(space))
    with caplog.at_level(logging.WARNING):
        assert launch(["--space", "own.yaml", "--storage", str(store.url.database)]) == 0
    hanging, *others = store.optuna_storage.get_all_trials(store.study_id("hangs"))
    assert hanging.state == TrialState.FAIL
    assert hanging.user_attrs[FAIL_REASON] == reason
    assert [trial.state for trial in others] == [TrialState.COMPLETE] * 2
    runs = store.runs(store.study_id("hangs"))
    assert [(run.state, run.n_epochs) for run in runs] == [
        ("failed", 1),
        ("complete", 2),
        ("complete", 2),
    ]
    assert any("a worker was killed (it took" in said for said in caplog.messages)
    assert check_store(store).findings == []
