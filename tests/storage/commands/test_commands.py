"""``python -m storage list`` and ``show``: what is there, one sentence where nothing is."""

from __future__ import annotations

import datetime
import json
import math
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import optuna
import pytest

from dashboards.numbers.rows.trials import trial_rows
from dashboards.numbers.study.view import read_study
from dashboards.pages.study_page import study_document
from dashboards.story import study_headline
from space.errors import UsageError
from storage import open_store
from storage.__main__ import main
from storage.commands.kit import storage_arguments
from storage.summaries.best import objectives
from storage.summaries.confirmed import confirmed_trials
from storage.summaries.study import glance_at_studies
from storage.tables.attributes import FAIL_REASON
from storage.tables.schema import launches, runs, utc_now
from tests.dashboards.made.bulk_study import add_study
from tests.records import begin_launch, begin_run, epoch, new_study, record_epoch


@pytest.mark.parametrize(
    ("environment", "name", "expected"),
    [
        (None, "sqlite:////a/s.db", ["--storage", "sqlite:////a/s.db"]),
        ("sqlite:////a/s.db", "sqlite:////a/s.db", []),
        ("/a/s.db", "sqlite:////a/s.db", []),
        ("/a/other.db", "sqlite:////a/s.db", ["--storage", "sqlite:////a/s.db"]),
        ("postgresql://u:secret@h/d?connect_timeout=9", "postgresql+psycopg://u:***@h/d", []),
        ("mysql://h/d", "sqlite:////a/s.db", ["--storage", "sqlite:////a/s.db"]),
    ],
)
def test_the_next_command_finds_the_same_store(
    environment: str | None, name: str, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SEARCH_STORAGE", raising=False)
    if environment is not None:
        monkeypatch.setenv("SEARCH_STORAGE", environment)
    assert storage_arguments(name) == expected


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A store with a study of ours, one trial complete and one failed, and a study of Optuna's."""
    path = str(tmp_path / "s.db")
    store = open_store(path)
    study = optuna.create_study(study_name="[bold]ours[/]", storage=store.optuna_storage)
    store.add_study(new_study(study._study_id, data_fingerprint="abc"))
    launch_id = begin_launch(
        store,
        study._study_id,
        changes=["budget.trials: 1, now 2"],
        git_commit="f00d",
        git_dirty=True,
        versions={"torch": "2.13.0"},
        hardware={"processor": "abacus", "cpus": 2, "gpus": []},
        data_fingerprint="abc",
    )
    for state, value in (("complete", 0.25), ("failed", None)):
        trial = study.ask()
        trial.suggest_float("x", 0, 1)
        run = begin_run(store, launch_id, trial._trial_id, study_id=study._study_id)
        record_epoch(store, run, epoch(1))
        study.tell(trial, value, state=None if value else optuna.trial.TrialState.FAIL)
        store.end_run(run.run_id, state, None if value else "it caught fire")
    optuna.create_study(study_name="theirs", storage=store.optuna_storage)
    store.close()
    return path


def test_list_as_json(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--storage", url, "--format", "json"]) == 0
    ours, theirs = json.loads(capsys.readouterr().out)
    assert ours["study"] == "[bold]ours[/]"
    assert ours["trials"]["COMPLETE"] == ours["trials"]["FAIL"] == 1
    assert ours["best"] == 0.25
    assert ours["launches"] == 1
    assert (theirs["study"], theirs["launches"], theirs["best"]) == ("theirs", 0, None)


def test_list_as_text(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--storage", url]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "[bold]ours[/]" in lines[1]
    assert "1 complete, 1 fail" in lines[1]
    assert "25.00 % val_error" in lines[1]
    assert "theirs" in lines[2]


def test_show(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "[bold]ours[/]", "--storage", url]) == 0
    text = capsys.readouterr().out
    for part in (
        "minimize val_error",
        "digits, fingerprint abc",
        "2 epochs, 4.0 s",
        "f00d with uncommitted",
        "torch 2.13.0",
        "abacus",
        "budget.trials: 1, now 2",
        "it caught fire",
        "0 best",
    ):
        assert part in text
    assert main(["show", "[bold]ours[/]", "--storage", url, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [trial["state"] for trial in found["trials"]] == ["COMPLETE", "FAIL"]
    assert found["trials"][1]["reason"] == "it caught fire"


def test_what_nobody_recorded_of_another_tools_study_is_not_made_up(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", "theirs", "--storage", url]) == 0
    text = capsys.readouterr().out
    assert "objective minimize objective" in text
    assert text.count("not recorded") == 2
    assert "None" not in text
    with closing(open_store(url)) as store:
        study = optuna.load_study(study_name="theirs", storage=store.optuna_storage)
        study.add_trial(optuna.create_trial(value=1.0, intermediate_values={0: 2.0, 1: 1.0}))
        (row,) = trial_rows(store, study._study_id).rows
        assert "epochs" not in row.values
        assert row.values["reports"] == 2
    assert main(["show", "theirs", "--storage", url]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split() == ["0", "best", "COMPLETE", "1", "-"]
    assert main(["show", "theirs", "--storage", url, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    for name in ("epochs", "train_seconds", "confirm_epochs", "confirm_seconds"):
        assert found[name] is None
    assert found["trials"][0]["epochs"] is None


def test_list_has_the_objectives_of_another_tools_study(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "s.db")
    with closing(open_store(path)) as store:
        for names in (["accuracy", "seconds"], None):
            study = optuna.create_study(
                storage=store.optuna_storage, directions=["maximize", "minimize"]
            )
            if names:
                study.set_metric_names(names)
            study.add_trial(optuna.create_trial(values=[0.75, 2.0]))
        looked = [study.objectives for study in glance_at_studies(store)]
        assert looked == [objectives(store, study.study_id) for study in glance_at_studies(store)]
    assert main(["list", "--storage", path, "--format", "json"]) == 0
    found = [
        [(each["name"], each["maximize"]) for each in row["objectives"]]
        for row in json.loads(capsys.readouterr().out)
    ]
    assert found == [
        [("accuracy", True), ("seconds", False)],
        [("objective 0", True), ("objective 1", False)],
    ]


def test_no_value_that_is_not_finite_is_the_best(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "s.db")
    with closing(open_store(path)) as store:
        study = optuna.create_study(study_name="theirs", storage=store.optuna_storage)
        for value in (-math.inf, 0.5, math.inf):
            study.add_trial(optuna.create_trial(value=value))
        best = read_study(store, "theirs").best
    assert best is not None
    assert main(["list", "--storage", path, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["best"] == 0.5
    assert main(["show", "theirs", "--storage", path, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["best"]["number"] == best.number == 1


def test_a_trial_has_the_reason_of_whichever_of_its_runs_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "s.db")
    with closing(open_store(path)) as store:
        study = optuna.create_study(study_name="s", storage=store.optuna_storage)
        store.add_study(new_study(study._study_id))
        launch_id = begin_launch(store, study._study_id)
        for reasons, said in (((None, "it burst"), None), ((), "no such width")):
            trial = study.ask()
            for replicate, reason in enumerate(reasons):
                known = {"study_id": study._study_id, "replicate": replicate}
                run = begin_run(store, launch_id, trial._trial_id, **known)
                store.end_run(run.run_id, "failed" if reason else "complete", reason)
            if said is not None:
                trial.set_user_attr(FAIL_REASON, said)
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
    assert main(["show", "s", "--storage", path, "--format", "json"]) == 0
    trials = json.loads(capsys.readouterr().out)["trials"]
    assert [trial["reason"] for trial in trials] == ["it burst", "no such width"]


def test_list_and_show_have_what_fresh_seeds_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "s.db")
    with closing(open_store(path)) as store:
        study_id = add_study(store, "made", 20, confirmed=True)
        best, *_ = confirmed_trials(store, study_id)
    assert main(["list", "--storage", path, "--format", "json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["confirmed"]["trial"] == best.trial_number
    assert row["confirmed"]["mean"] == best.mean
    assert main(["show", "made", "--storage", path, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)["confirmation"]
    assert found[0]["values"] == list(best.values)
    assert {each["finished"] for each in found} == {True}
    assert main(["list", "--storage", path]) == 0
    assert f"{100 * best.mean:.2f} % on 5 seeds" in " ".join(capsys.readouterr().out.split())
    assert main(["show", "made", "--storage", path]) == 0
    text = capsys.readouterr().out
    assert "; 375 epochs, " in text
    lines = text.partition("on fresh seeds")[2].splitlines()
    assert lines[1].split() == [
        "trial",
        str(best.trial_number),
        f"{100 * best.mean:.2f}",
        "%",
        f"{100 * best.search_value:.2f}",
        "%",
        "5",
    ]


def test_what_failed_on_all_fresh_seeds_is_not_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "s.db")
    with closing(open_store(path)) as store:
        study_id = add_study(store, "made", 20, confirmed=True)
        tried = {run.trial_id for run in store.runs(study_id, "confirm")}
        of_confirmation = (runs.c.study_id == study_id) & (runs.c.purpose == "confirm")
        with store.engine.begin() as connection:
            connection.execute(runs.update().where(of_confirmation).values(state="failed"))
        said = study_document(store, "made", is_served=False).summary
        assert said.count("failed on 5 fresh seeds") == len(tried) == 3
        headline = study_headline(read_study(store, "made"))
        assert headline.sentence == "No trial is confirmed on fresh seeds yet."
    assert main(["show", "made", "--storage", path, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)["confirmation"]
    assert [(each["mean"], each["failed"], each["finished"]) for each in found] == [
        (None, 5, False)
    ] * 3
    assert main(["list", "--storage", path, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["confirmed"] is None
    assert main(["show", "made", "--storage", path]) == 0
    assert capsys.readouterr().out.count("5 seeds failed") == 3


def fall_silent(url: str) -> None:
    """Let every launch have been heard of last an hour ago."""
    with closing(open_store(url)) as store, store.engine.begin() as connection:
        an_hour_ago = utc_now() - datetime.timedelta(hours=1)
        connection.execute(launches.update().values(heartbeat_at=an_hour_ago))


def test_a_launch_that_was_killed_is_shown_as_dead(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["show", "[bold]ours[/]", "--storage", url]
    assert main(arguments) == 0
    assert "launch 1: running, " in capsys.readouterr().out
    fall_silent(url)
    assert main([*arguments, "--format", "json"]) == 0
    (launch,) = json.loads(capsys.readouterr().out)["launches"]
    assert launch["status"] == "died"
    assert launch["ended_at"] is not None  # When it was last heard of.
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert "launch 1: died, " in text
    assert " to now" not in text


def test_trials_of_a_launch_that_was_killed_are_not_counted_as_running(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store = open_store(url)
    for name in ("[bold]ours[/]", "theirs"):
        study = optuna.load_study(study_name=name, storage=store.optuna_storage)
        asked, held = study.ask(), study.ask()
        assert asked.number == held.number - 1
        if name != "theirs":
            begin_run(store, 1, held._trial_id, study_id=study._study_id)
    store.close()

    def listed() -> list[tuple[int, int, int]]:
        """(running, interrupted, all) of each study."""
        assert main(["list", "--storage", url, "--format", "json"]) == 0
        counts = [each["trials"] for each in json.loads(capsys.readouterr().out)]
        return [(each["RUNNING"], each["INTERRUPTED"], sum(each.values())) for each in counts]

    assert listed() == [(2, 0, 4), (2, 0, 2)]
    fall_silent(url)
    assert listed() == [(0, 2, 4), (2, 0, 2)]  # Who works on another tool's is not known.
    assert main(["list", "--storage", url]) == 0
    ours, theirs = capsys.readouterr().out.splitlines()[1:]
    assert "1 complete, 1 fail, 2 interrupted" in ours
    assert "2 running" in theirs
    assert main(["show", "[bold]ours[/]", "--storage", url, "--format", "json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["trials_by_state"]["INTERRUPTED"] == 2
    assert [each["state"] for each in shown["trials"]][2:] == ["INTERRUPTED"] * 2

    store = open_store(url)
    begin_launch(store, store.study_id("[bold]ours[/]"), pid=2)
    store.end_launch(1, "died")
    store.close()
    # The trial that no run holds may be the other launch's, which has yet to say so.
    assert listed()[0] == (1, 1, 4)


def test_what_is_not_there_is_one_sentence_and_status_2(url: str) -> None:
    command = [sys.executable, "-m", "storage", "show", "theirss", "--storage", url]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1
    assert "did you mean 'theirs'" in done.stderr


def test_a_password_in_the_wrong_place_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError) as caught:
        main(["list", "postgresql://me:hunter2@h/d"])
    assert str(caught.value) == (
        "python -m storage: unrecognized arguments: postgresql://me:***@h/d; see --help."
    )
