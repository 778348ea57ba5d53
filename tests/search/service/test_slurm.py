"""Submissions as jobs, by submitit's executor for one machine: Slurm itself is not here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from search.service.agency import ALL, Agency
from search.service.agent import main
from search.service.children import Child, Order
from search.service.slurm import Slurm, options_of
from space.errors import UsageError
from storage import Store
from storage.submissions import list_submissions, submit
from storage.tables.service import SubmissionRecord
from tests.search.service.pretend import MODULE
from tests.storage.test_submissions import new

pytest.importorskip("submitit")


class Local:
    """Starts jobs of pretended launches, and remembers them."""

    def __init__(self, folder: Path, seconds: str = "0") -> None:
        self._slurm = Slurm(folder, options_of(()), cluster="local")
        self._arguments = ["-m", MODULE, "child", seconds]
        self.jobs: list[Child] = []

    def __call__(self, submission: SubmissionRecord, order: Order) -> Child:
        broken = submission.name == "broken"
        arguments = ["-c", "raise SystemExit('error: a sentence')"]
        given = replace(order, arguments=arguments if broken else self._arguments)
        self.jobs.append(self._slurm(submission, given))
        return self.jobs[-1]


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """What jobs are told by the agent's own environment is gone afterwards."""
    for name in ("SEARCH_STORAGE", "PYTHONPATH"):
        monkeypatch.setenv(name, "")


@pytest.mark.usefixtures("clean")
def test_submissions_are_jobs(store: Store, tmp_path: Path) -> None:
    for name in ("good", "broken"):
        submit(store, new(name))
    agent = Agency(store, ALL, checkpoints=tmp_path, launch=Local(tmp_path / "jobs"))
    agent.run(lambda: False, once=True)
    good, broken = list_submissions(store)
    assert (good.state, broken.state, broken.reason) == ("done", "failed", "a sentence")
    assert [each.status for each in store.launches()] == ["done"]
    written = b"".join(path.read_bytes() for path in (tmp_path / "jobs").rglob("*.pkl"))
    assert str(good.hold).encode() in written
    assert store.url.database is not None
    assert store.url.database.encode() not in written


@pytest.mark.usefixtures("clean")
def test_a_job_that_is_killed_goes_back_into_the_queue(store: Store, tmp_path: Path) -> None:
    submit(store, new())
    start = Local(tmp_path / "jobs", seconds="600")

    def stop() -> bool:
        return bool(start.jobs) and bool(store.launches())

    Agency(store, ALL, checkpoints=tmp_path, launch=start).run(stop)
    assert [each.state for each in list_submissions(store)] == ["queued"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--slurm-option", "a=1"], "--slurm DIR"),
        (["--slurm", "jobs", "--slurm-option", "a"], "KEY=VALUE"),
        (["--slurm", "jobs"], "Slurm|srun"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    arguments: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match=says):
        main([*arguments, "--storage", str(tmp_path / "s.db"), "--once"])
