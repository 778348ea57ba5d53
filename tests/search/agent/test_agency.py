"""An agent runs what it has room for, and says truly what became of it."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from search.agent.__main__ import main
from search.agent.agency import Agency, what_became
from search.agent.children import Child, Order, joining, last_words, order_of, run_here
from search.agent.room import Room, this_machine
from space.errors import ClusterError
from storage import LaunchRecord, Store
from storage.actions import list_actions
from storage.leases import process_mark
from storage.submissions import begin_under, list_submissions, submission_of, submit, take
from storage.tables.service import SubmissionRecord
from tests.records import new_launch
from tests.storage.test_submissions import DEAD, change, new

ROOM = Room(cpus=4, gpus=("0", "1"))


class FakeChild(Child):
    """A command that ends when the test says so."""

    def __init__(self, submission: SubmissionRecord, order: Order) -> None:
        self.submission, self.order = submission, order
        self.status: int | None = None
        self.is_cleared = False

    def poll(self) -> int | None:
        return self.status

    def interrupt(self) -> None:
        self.status = 130

    def said(self) -> str:
        return "a sentence"

    def clear(self) -> None:
        self.is_cleared = True


class Started(list[FakeChild]):
    """The children that an agent started, in order."""

    def __call__(self, submission: SubmissionRecord, order: Order) -> FakeChild:
        self.append(FakeChild(submission, order))
        return self[-1]

    @property
    def names(self) -> list[str]:
        return [each.submission.name for each in self]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    monkeypatch.setattr("search.agent.agency.STEP_SECONDS", 0.0)
    return Started()


def agency(store: Store, started: Started, room: Room = ROOM) -> Agency:
    return Agency(store, room, checkpoints=Path("where"), launch=started)


def looks(agent: Agency, n: int = 1) -> None:
    """Let an agent look at the queue so many times."""
    for _ in range(n):
        agent._looked = -1e9
        agent._step()


def states(store: Store) -> dict[str, str]:
    return {each.name: each.state for each in list_submissions(store)}


def test_it_takes_what_fits_and_more_as_that_ends(store: Store, started: Started) -> None:
    for name, settings in {
        "two": {"cpus": 2.0, "gpus": 1.0},
        "urgent": {"cpus": 1.0, "gpus": 1.0, "priority": 3},
        "big": {"cpus": 4.0},
        "small": {"cpus": 1.0},
        "never": {"gpus": 3.0},
    }.items():
        submit(store, new(name, **settings))
    agent = agency(store, started)
    looks(agent)
    assert started.names == ["urgent", "two"]
    given = [each.order.environment["CUDA_VISIBLE_DEVICES"] for each in started]
    assert given == ["0", "1"]
    for each in started[:2]:
        each.status = 0
    looks(agent)
    assert started.names[2:] == ["big"]
    assert started[2].order.environment["CUDA_VISIBLE_DEVICES"] == ""
    assert started[0].is_cleared
    started[2].status = 2
    looks(agent)
    assert states(store) == {
        "urgent": "done",
        "two": "done",
        "big": "failed",
        "small": "running",
        "never": "queued",
    }
    (failed,) = list_submissions(store, "failed")
    assert failed.reason == "a sentence"


@pytest.mark.parametrize("files", [{"space.yaml": "\ud800"}, {"x" * 300: ""}])
def test_what_cannot_be_started_has_failed_and_is_not_the_agents_end(
    store: Store, files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = set(tmp_path.iterdir())
    submit(store, new(files=files))
    Agency(store, ROOM, checkpoints=Path("where")).run(lambda: False, once=True)
    (found,) = list_submissions(store)
    assert found.state == "failed"
    assert str(found.reason).startswith("it cannot be started: ")
    assert set(tmp_path.iterdir()) == before


def test_people_are_told_of_what_failed_before_it_could_tell_them(
    store: Store, started: Started
) -> None:
    submit(store, new("orphan"))
    orphan = take(store, DEAD, free=(4, 0), total=(4, 0))
    assert orphan is not None
    begun = store.begin_launch(new_launch(), lambda c, i: begin_under(c, str(orphan.hold), i))
    store.end_launch(begun, "failed")
    for name in ("early", "late", "well"):
        submit(store, new(name, cpus=1.0))
    told: list[str] = []
    agent = Agency(
        store,
        ROOM,
        checkpoints=Path("where"),
        launch=started,
        send=lambda title, text: bool(told.append(f"{title}: {text}")),
    )
    looks(agent)
    early, late, well = started
    hold = str(late.submission.hold)
    launch_id = store.begin_launch(new_launch(), lambda c, number: begin_under(c, hold, number))
    store.record_told(launch_id, "It failed.")
    store.end_launch(launch_id, "failed")
    early.status, late.status, well.status = 2, 2, 0
    looks(agent)
    assert set(states(store).values()) == {"failed", "done"}
    assert ["'orphan': failed: launch" in told[0], "'early': failed: a sentence" in told[1]] == [
        True, True,
    ]  # fmt: skip
    assert len(told) == 2


def test_a_full_disk_fails_no_submission(store: Store, started: Started) -> None:
    submit(store, new())

    def launch(*_: object) -> Child:
        raise OSError(errno.ENOSPC, "No space left on device")

    agent = Agency(store, ROOM, checkpoints=Path("where"), launch=launch)
    with pytest.raises(OSError, match="No space"):
        agent.run(lambda: False, once=True)
    (found,) = list_submissions(store)
    assert (found.state, found.reason) == ("queued", "the disk of its agent was full")


def test_a_cluster_that_does_not_answer_is_waited_for(
    store: Store, started: Started, caplog: pytest.LogCaptureFixture
) -> None:
    away = True

    class FarChild(FakeChild):
        def poll(self) -> int | None:
            if away:
                raise ClusterError("nobody answers.")
            return super().poll()

    def launch(submission: SubmissionRecord, order: Order) -> Child:
        if away:
            raise ClusterError("nobody answers.")
        started.append(FarChild(submission, order))
        return started[-1]

    submit(store, new("first"))
    agent = Agency(store, ROOM, checkpoints=Path("where"), launch=launch)
    with pytest.raises(ClusterError, match="nobody answers"):
        agent.run(lambda: False, once=True)
    (found,) = list_submissions(store)
    assert (found.state, found.reason, found.deaths) == ("queued", "nobody answers", 0)
    away = False
    looks(agent)
    assert started.names == ["first"]
    away = True
    submit(store, new("second"))
    n_looks = 0

    def stop() -> bool:
        nonlocal n_looks, away
        agent._looked = -1e9
        n_looks += 1
        away = n_looks < 4
        if len(started) == 2:
            assert caplog.messages == ["nobody answers."]
        return len(started) == 2

    agent.run(stop)
    assert states(store) == {"first": "queued", "second": "queued"}


def test_an_agent_whose_cluster_is_not_there_takes_nothing(store: Store, store_url: str) -> None:
    submit(store, new())
    for address, says in {"127.0.0.1:1": "cannot be reached", "h": "HOST:PORT"}.items():
        with pytest.raises(ClusterError, match=says):
            main(["--ray-address", address, "--storage", store_url, "--once"])
    agent = Agency(store, ROOM, checkpoints=Path("where"), launch=joining("127.0.0.1:1"))
    with pytest.raises(ClusterError, match="cannot be reached"):
        agent.run(lambda: False, once=True)
    assert states(store) == {"made": "queued"}


def test_gpus_are_those_that_the_agent_itself_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.agent.room.gpu_names", lambda: ["H100", "H100"])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert this_machine(1, None).gpus == ("0", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-5a")
    assert this_machine(1, None).gpus == ("2", "GPU-5a")
    assert this_machine(1, ["3"]).gpus == ("3",)
    assert this_machine(1, []).gpus == ()


def test_what_a_child_is_told(store: Store, tmp_path: Path) -> None:
    submit(store, new(files={"space.yaml": "a", "own/net.py": "b"}, cpus=3.0))
    taken = take(store, DEAD, free=(4, 0), total=(4, 0))
    assert taken is not None
    alone = order_of(taken, store.url, checkpoints=tmp_path, ray_address=None, gpus=["7"])
    assert alone.arguments[:4] == ["-m", "search.launch", "--space", "space.yaml"]
    assert alone.arguments[-2:] == ["--checkpoints", str(tmp_path)]
    assert alone.environment["SEARCH_SUBMISSION"] == taken.hold
    assert alone.environment["RAY_OVERRIDE_RESOURCES"] == '{"CPU": 3}'
    joined = order_of(taken, store.url, checkpoints=tmp_path, ray_address="h:1", gpus=[])
    assert joined.arguments[-2:] == ["--ray-address", "h:1"]
    assert "RAY_OVERRIDE_RESOURCES" not in joined.environment


def test_a_child_does_not_see_the_password_of_the_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCH_DASHBOARD_PASSWORD", "secret")
    sees = ["-c", "import os, sys; sys.exit('SEARCH_DASHBOARD_PASSWORD' in os.environ)"]
    order = Order(arguments=sees, environment={}, files={})
    child = run_here(order, "search-test-", own_session=False)
    assert child.wait() == 0
    child.clear()


def test_an_agent_that_is_stopped_puts_everything_back(store: Store, started: Started) -> None:
    numbers = [submit(store, new(name)) for name in ("kept", "paused", "later")]
    agent = agency(store, started, Room(cpus=2, gpus=()))

    def stop() -> bool:
        if len(started) == 2:
            change(store, numbers[1], "pause")
        return len(started) == 2

    agent.run(stop)
    assert states(store) == {"kept": "queued", "paused": "paused", "later": "queued"}
    assert {each.state for each in list_actions(store)} == {"done"}


def test_with_once_it_leaves_when_nothing_is_left_for_it(store: Store, started: Started) -> None:
    submit(store, new("never", cpus=9.0))
    agency(store, started).run(lambda: False, once=True)
    assert (started, states(store)) == ([], {"never": "queued"})


def test_what_a_dead_agent_left_running_here_takes_up_room(store: Store, started: Started) -> None:
    number = submit(store, new("orphan", cpus=3.0, gpus=1.0))
    submit(store, new("small", cpus=1.0, gpus=1.0))
    submit(store, new("next", cpus=2.0))
    taken = take(store, DEAD, free=(4, 2), total=(4, 2))
    assert taken is not None
    given = {**os.environ, "CUDA_VISIBLE_DEVICES": "0"}
    with subprocess.Popen(["sleep", "600"], env=given) as process:
        pid = process.pid
        own = new_launch(host=DEAD.host, pid=pid, process=process_mark(pid))
        launch_id = store.begin_launch(own, lambda c, i: begin_under(c, str(taken.hold), i))
        agent = agency(store, started)
        looks(agent)
        assert started.names == ["small"]
        assert started[0].order.environment["CUDA_VISIBLE_DEVICES"] == "1"
        process.kill()
    store.end_launch(launch_id, "done")
    looks(agent)
    assert started.names == ["small", "next"]
    found = submission_of(store, number)
    assert found is not None
    assert found.state == "done"


@pytest.mark.parametrize(
    ("status", "ended", "state", "reason"),
    [
        (0, "done", "done", None),
        (0, None, "done", None),  # A benchmark that had nothing to train begins no launch.
        (1, "time limit", "done", "nothing finished"),
        (1, "failed", "failed", "a sentence"),
        (1, None, "failed", "a sentence"),
        (2, None, "failed", "a sentence"),
        (2, "failed", "failed", "a sentence"),
        (2, "died", "died", "launch 4 died"),
        (130, "interrupted", "queued", "launch 4 interrupted"),
        (130, None, "queued", "it was interrupted"),
        (-9, "died", "died", "launch 4 died"),
        (-9, "running", "died", "launch 4 died"),  # It was on another machine.
        (130, "running", "died", "launch 4 died"),
        (2, "running", "died", "launch 4 died"),
        (-9, None, "died", "its command was killed (SIGKILL)"),
        (-9, "plateau", "done", None),
        (-11, None, "failed", "its command crashed (SIGSEGV)"),
        (-6, "died", "failed", "its command crashed (SIGABRT)"),
        (-9, "failed", "failed", "launch 4 failed"),
    ],
)
def test_what_became_of_it(status: int, ended: str | None, state: str, reason: str | None) -> None:
    launch: Any = None
    if ended is not None:
        known: dict[str, Any] = dict.fromkeys(LaunchRecord.__dataclass_fields__)
        heard = {"host": "elsewhere", "pid": 1, "silence": 1.0}
        launch = LaunchRecord(**{**known, **heard, "launch_id": 4, "status": ended})
    assert what_became(status, launch, lambda: "a sentence") == (state, reason)


def test_the_sentence_of_a_failure() -> None:
    assert last_words("warning: a\nerror: one.\nnote\nerror: two.\n") == "one. two."
    assert last_words("Traceback\n  x\nKeyError: 'a'\n\n") == "KeyError: 'a'"
    assert last_words("") == "it said nothing"
    assert len(last_words("error: x\n" * 10_000)) < 2_010


def test_of_what_a_child_said_the_end_is_read() -> None:
    says = "import sys; sys.stderr.write('x' * 2_000_000 + chr(10)); sys.exit('error: the end')"
    child = run_here(Order(arguments=["-c", says], environment={}, files={}), "search-test-",
                     own_session=False)  # fmt: skip
    assert child.wait() == 1
    assert child.said() == "the end"
    child.clear()
