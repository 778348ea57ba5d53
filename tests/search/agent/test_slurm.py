"""Submissions as jobs, by submitit's executor for one machine and, where there is one, on Slurm."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from search.agent.__main__ import main
from search.agent.agency import Agency
from search.agent.children import Child, Order
from search.agent.room import ALL
from search.agent.slurm import Slurm, options_of
from space.errors import ClusterError, UsageError
from storage import Store
from storage.submissions import list_submissions, submission_of, submit
from storage.tables.service import SubmissionRecord
from tests.search.agent.own_slurm import PROGRAMS, own_slurm
from tests.search.agent.pretend import MODULE
from tests.storage.test_submissions import change, new

pytest.importorskip("submitit")


class Jobs:
    """Starts jobs of pretended launches, and remembers them."""

    def __init__(self, cluster: str, folder: Path, seconds: str = "0") -> None:
        self._slurm = Slurm(folder, options_of(()), cluster=cluster)
        self._arguments = ["-m", MODULE, "child", seconds]
        self.jobs: list[Child] = []

    def __call__(self, submission: SubmissionRecord, order: Order) -> Child:
        broken = submission.name == "broken"
        arguments = ["-c", "raise SystemExit('error: a sentence')"]
        given = replace(order, arguments=arguments if broken else self._arguments)
        self.jobs.append(self._slurm(submission, given))
        return self.jobs[-1]


@pytest.fixture(scope="module")
def slurm() -> Iterator[dict[str, str]]:
    """What to set in the environment for a Slurm of our own."""
    if not all(shutil.which(each, path=f"{os.environ['PATH']}:/usr/sbin") for each in PROGRAMS):
        pytest.skip("Slurm is not installed here")
    with (
        tempfile.TemporaryDirectory(prefix="s-", dir="/tmp") as folder,
        own_slurm(Path(folder)) as environment,
    ):
        yield environment


@pytest.fixture(params=["local", "slurm"])
def cluster(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """As submitit calls it; what jobs are told by the agent's environment is gone afterwards."""
    # A shell's background jobs ignore it, and so would all that they start.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in ("SEARCH_STORAGE", "PYTHONPATH"):
        monkeypatch.setenv(name, "")
    if request.param == "slurm":
        for name, value in request.getfixturevalue("slurm").items():
            monkeypatch.setenv(name, value)
    yield str(request.param)
    signal.signal(signal.SIGINT, before)


def test_submissions_are_jobs(cluster: str, store: Store, tmp_path: Path) -> None:
    for name in ("good", "broken"):
        submit(store, new(name))
    agent = Agency(store, ALL, checkpoints=tmp_path, launch=Jobs(cluster, tmp_path / "jobs"))
    agent.run(lambda: False, once=True)
    good, broken = list_submissions(store)
    assert (good.state, broken.state, broken.reason) == ("done", "failed", "a sentence")
    assert [each.status for each in store.launches()] == ["done"]
    jobs = tmp_path / "jobs"
    written = b"".join(each.read_bytes() for each in jobs.rglob("*") if each.is_file())
    assert str(good.hold).encode() in written
    assert store.url.database is not None
    assert store.url.database.encode() not in written


def test_what_an_agent_that_is_stopped_has_goes_back_into_the_queue(
    cluster: str, store: Store, tmp_path: Path
) -> None:
    submit(store, new())
    start = Jobs(cluster, tmp_path / "jobs", seconds="600")

    def stop() -> bool:
        return bool(start.jobs) and bool(store.launches())

    Agency(store, ALL, checkpoints=tmp_path, launch=start).run(stop)
    assert [each.state for each in list_submissions(store)] == ["queued"]


@pytest.mark.parametrize("cluster", ["slurm"], indirect=True)
def test_a_job_that_slurm_kills_goes_back_into_the_queue(
    cluster: str, store: Store, tmp_path: Path
) -> None:
    number = submit(store, new())
    start = Jobs(cluster, tmp_path / "jobs", seconds="600")
    agency = Agency(store, ALL, checkpoints=tmp_path, launch=start)

    def stop() -> bool:
        if len(start.jobs) == 1 and store.launches():
            subprocess.run(["scancel", "--signal=KILL", "--full", "--me"], check=True)
        found = submission_of(store, number)
        assert found is not None
        if len(start.jobs) == 2:
            assert found.deaths == 1
        return len(start.jobs) == 2

    agency.run(stop)
    assert [each.state for each in list_submissions(store)] == ["queued"]


@pytest.mark.parametrize("cluster", ["slurm"], indirect=True)
def test_what_slurm_does_not_take_has_failed_and_what_it_does_not_hear_of_waits(
    cluster: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = submit(store, new(gpus=3.0))

    def outcome() -> tuple[str, int]:
        found = submission_of(store, number)
        assert found is not None
        assert "sbatch" in str(found.reason)
        return found.state, found.deaths

    jobs = Jobs(cluster, tmp_path / "jobs")
    Agency(store, ALL, checkpoints=tmp_path, launch=jobs).run(lambda: False, once=True)
    assert outcome() == ("failed", 0)
    change(store, number, "resume")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        nobodys = probe.getsockname()[1]
    config = Path(os.environ["SLURM_CONF"]).read_text() + "MessageTimeout=2\n"
    (tmp_path / "slurm.conf").write_text(re.sub(r"(SlurmctldPort)=\d+", rf"\1={nobodys}", config))
    monkeypatch.setenv("SLURM_CONF", str(tmp_path / "slurm.conf"))
    agency = Agency(store, ALL, checkpoints=tmp_path, launch=jobs)
    with pytest.raises(ClusterError, match="Slurm does not answer"):
        agency.run(lambda: False, once=True)
    assert outcome() == ("queued", 0)


@pytest.mark.parametrize("cluster", ["slurm"], indirect=True)
def test_where_nobody_would_hear_of_a_killed_job_no_agent_begins(
    cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.environ["PATH"].partition(os.pathsep)[2])
    with pytest.raises(UsageError, match="accounting"):
        Slurm(tmp_path / "jobs", {}, cluster=cluster)


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
