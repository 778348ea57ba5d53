"""The queue's commands: what is typed, what is said, and a real launch of what was submitted."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import search
from search.__main__ import main
from space.errors import SpaceError, UsageError
from storage import open_store
from storage.submissions import list_submissions, submission_of, submit, take
from tests.records import begin_launch
from tests.storage.test_submissions import HERE, ROOM, new

SPACE = {
    "study": "closed",
    "trainable": "closed-form",
    "training": {"epochs": 2},
    "parameters": {"learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True}},
    "sampler": {"name": "random", "seed": 0},
    "budget": {"trials": 2},
}
OWN = """
from trainables import Options


class WaveOptions(Options):
    rate: float = 0.1


def wave(options: WaveOptions, run):
    for _ in range(run.epochs):
        yield {"val_error": options.rate}
"""
OBJECTIVE = {"metric": "val_error", "direction": "minimize"}
RATES = {"rate": {"type": "float", "low": 0.5, "high": 1.0}}

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEARCH_STORAGE", str(tmp_path / "s.db"))
    Path("space.json").write_text(json.dumps(SPACE))
    return tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command and returns its JSON."""

    def command(*argv: str) -> Any:
        before, _, after = " ".join(argv).partition(" -- ")
        assert (
            main([*before.split(), "--format", "json", *(["--", *after.split()] if after else [])])
            == 0
        )
        return json.loads(capsys.readouterr().out)

    return command


def test_what_is_submitted_is_sent_whole(run: Run, place: Path) -> None:
    Path("own").mkdir()
    Path("own/wave.py").write_text(OWN)
    tree = {**SPACE, "trainable": "own/wave.py:wave", "parameters": RATES, "objective": OBJECTIVE}
    Path("own.json").write_text(json.dumps(tree))
    run("submit --space own.json --priority 2 --cpus 3 -- --trials 5 --study mine")
    with closing(open_store(str(place / "s.db"))) as store:
        (found,) = list_submissions(store)
        whole = submission_of(store, found.submission_id)
    assert whole is not None
    assert (found.name, found.priority, found.cpus, found.gpus) == ("mine", 2, 3, 0)
    assert found.arguments == ["--space", "own.json", "--trials", "5", "--study", "mine"]
    assert list(whole.files) == ["own.json", "own/wave.py"]
    assert whole.files["own/wave.py"] == OWN
    run("submit --config table1 -- --seeds 2")
    assert search.submit(Path("space.json"), options=["--trials", "3"], cpus=2) == 3
    with pytest.raises(UsageError, match="space file, or config files"):
        search.submit()
    run("stop 3")
    (queued, of_table) = run("queue")
    assert (of_table["command"], of_table["arguments"][1]) == ("benchmark", "table1.yaml")
    assert queued["state"] == "queued"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("--space space.json -- --trails 3", "--trails"),
        ("--space space.json --trials 3", "two dashes"),
        ("--space space.json -- --set training.epochs=0", "training.epochs"),
        ("--space absent.yaml", "absent.yaml"),
        ("--space space.json --cpus 0", "--cpus"),
        ("--space space.json --gpus -1", "--gpus"),
        (f"--space space.json --priority {2**31}", "--priority"),
        (f"--space space.json --cpus {2**63}", "--cpus"),
        ("--space space.json -- --storage other.db", "--storage"),
        ("--space space.json --config a.yaml", "not allowed with"),
        ("", "required"),
    ],
)
def test_what_is_wrong_is_said_before_anything_waits(
    arguments: str, says: str, place: Path
) -> None:
    with pytest.raises((UsageError, SpaceError), match=says):
        main(["submit", *arguments.split()])
    if (place / "s.db").exists():
        with closing(open_store(str(place / "s.db"))) as store:
            assert list_submissions(store) == []


@pytest.mark.parametrize(
    "words",
    [
        "stop {}",
        "pause {}",
        "priority 1 {}",
        "stop --launch {}",
        "add-budget --launch 1 --trials {}",
        "actions --submission {}",
        "actions --limit {}",
        "note --study closed --trial {} text",
    ],
)
def test_a_number_beyond_the_database_is_one_sentence(words: str) -> None:
    with pytest.raises(UsageError, match=str(2**31)):
        main(words.format(2**31).split())


def test_what_is_changed_and_asked_for_is_on_record(
    run: Run, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(open_store(str(place / "s.db"))) as store:
        for name in ("one", "two"):
            submit(store, new(name))
        launch_id = begin_launch(store)
        assert run("priority 2 7")["state"] == "done"
        assert [each["name"] for each in run("queue")] == ["two", "one"]
        assert run("pause 1")["answer"] == "it is paused"
        assert run("resume 1")["answer"] == "it is queued"
        assert run("stop 1")["answer"] == "it is stopped"
        assert take(store, HERE, free=ROOM, total=ROOM) is not None
        assert run("stop 2")["state"] == "asked"
        assert run(f"stop --launch {launch_id} --trial 3")["state"] == "asked"
    assert [each["name"] for each in run("queue --all")] == ["two", "one"]
    asked = run("actions --limit 3")
    assert [(each["verb"], each["state"]) for each in asked] == [
        ("stop-trial", "asked"), ("stop", "asked"), ("stop", "done"),
    ]  # fmt: skip
    assert asked[0]["trial_number"] == 3
    assert len(run("actions --submission 1")) == 4
    assert main(["queue"]) == main(["actions"]) == 0
    said = capsys.readouterr().out
    assert "stop-trial" in said
    assert "running" in said
    for command, says in {
        "resume 2": "it is running; see `search queue --all`",
        "pause 9": "no submission 9",
        "stop --launch 99": r"no launch 99\.$",
        "stop": "name a submission",
        "stop 1 --trial 2": "--launch",
        "stop 1 --launch 2": "name a submission",
    }.items():
        with pytest.raises(UsageError, match=says):
            main(command.split())


@pytest.mark.slow
def test_an_agent_runs_what_was_submitted_and_a_bad_file_is_not_its_end(
    run: Run, place: Path
) -> None:
    Path("wave.py").write_text(OWN)
    tree = {**SPACE, "trainable": "wave.py:wave", "parameters": RATES, "objective": OBJECTIVE}
    Path("own.json").write_text(json.dumps(tree))
    run("submit --space own.json")
    with closing(open_store(str(place / "s.db"))) as store:
        submit(store, new("bad", files={"space.yaml": "study: made"}, priority=1))
        Path("wave.py").unlink()  # The submission has it.
        assert main(["agent", "--once", "--cpus", "2"]) == 0
        bad, own = list_submissions(store)
        assert (bad.state, own.state) == ("failed", "done")
        assert "space.yaml: " in str(bad.reason)
        (launch,) = store.launches()
        assert (launch.status, own.launch_id) == ("done", launch.launch_id)
        trials = store.optuna_storage.get_all_trials(store.study_id("closed"))
        assert [trial.value for trial in trials] == [trial.params["rate"] for trial in trials]
