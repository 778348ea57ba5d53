"""The command itself, as a user runs it: in a process of its own, on real digits."""

from __future__ import annotations

import json
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
import ray
from optuna.trial import TrialState

from search.export.__main__ import main as export
from search.launch.__main__ import main
from search.launch.open_launch import OpenLaunch
from search.launch.plan import Plan
from search.launch.study import Outcome
from search.trials.study import OpenedStudy
from space.errors import DeletedError, UserError
from trainables.shipped.digit_pairs.data.download import DownloadError

from ..here import Here

ROOT = Path(__file__).resolve().parents[3]

SIAMESE = """
study: tiny
model: {name: siamese-aux, width: 4}
data: {source: digits}
training: {epochs: 3}
parameters:
  learning_rate: {type: float, low: 1.0e-4, high: 1.0e-2, log: true}
  aux_weight: {type: float, low: 0.0, high: 0.9}
pruner: {name: asha}
baselines: [{learning_rate: 0.001, aux_weight: 0.6}]
budget: {trials: 4}
"""

FEW_PAIRS = SIAMESE.replace(
    "source: digits", "source: digits, n_train_pairs: 200, n_test_pairs: 100"
)

SLOW = """
study: slow
trainable: closed-form
options: {sleep: 0.2}
training: {epochs: 30}
parameters:
  learning_rate: {type: float, low: 1.0e-4, high: 1.0e-2, log: true}
budget: {trials: 4}
"""


def arguments(folder: Path, space: str) -> list[str]:
    """Those of a search of a space, with a store beside its file."""
    path = folder / "space.yaml"
    path.write_text(space)
    return ["--space", str(path), "--storage", str(folder / "s.db")]


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "search.launch", *options]


def run(folder: Path, space: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments(folder, space), *options),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_siamese_search_on_real_digits(
    tmp_path: Path, here: Here, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first launch is a process of its own with a Ray of its own."""
    done = run(tmp_path, FEW_PAIRS, "--format", "json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["ended"] == "done"
    assert result["data"]["source"] == "digits"
    assert sum(result["trials"].values()) == 4
    study = optuna.load_study(study_name="tiny", storage=f"sqlite:///{tmp_path / 's.db'}")
    assert study.metric_names == ["val_error"]
    assert study.trials[0].params == {"learning_rate": 0.001, "aux_weight": 0.6}
    for trial in study.trials:
        assert trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
        assert list(trial.intermediate_values) == list(range(1, trial.last_step + 1))
    assert result["best"][0]["values"] == [study.best_value]
    # Nothing of Ray's or Optuna's gets between the lines, and every line is an event.
    for line in done.stderr.splitlines():
        assert line[2] == line[5] == ":", line
    with sqlite3.connect(tmp_path / "s.db") as connection:
        (launch,) = connection.execute(
            "SELECT command, status, versions, data_fingerprint FROM search_launches"
        ).fetchall()
    assert "python -m search.launch --space" in launch[0]
    assert launch[0].endswith("--format json")
    assert launch[1] == "done"
    assert json.loads(launch[2])["optuna"] == optuna.__version__
    assert len(launch[3]) == 16

    line = arguments(tmp_path, FEW_PAIRS)
    assert main(line) == 0
    again = capsys.readouterr().out
    assert "the budget is spent" in again
    assert len(study.get_trials()) == 4
    assert "python -m dashboards.serve --storage sqlite:///" in again
    (proposed,) = re.findall(r"export the best with: *(.*)", again)
    output = tmp_path / "best.yaml"
    assert export(shlex.split(proposed.replace("best/tiny.yaml", str(output)))[3:]) == 0
    (benchmark,) = re.findall(r"benchmark it: *(.*)", capsys.readouterr().out)
    assert benchmark.endswith(f"--storage sqlite:///{tmp_path / 's.db'}")
    assert output.exists()
    assert main([*line, "--trials", "5"]) == 0
    assert "changed since the last launch: budget.trials: 4, now 5" in capsys.readouterr().err
    assert len(study.get_trials()) == 5


@pytest.mark.slow
def test_stopping_keeps_everything_and_the_same_command_goes_on(
    tmp_path: Path,
    one_ray: Path,
    here: Here,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """SIGINT strikes a launch in a process of its own, SIGTERM the next one in this process."""
    line = arguments(tmp_path, SLOW)
    joined = ["--ray-address", ray.get_runtime_context().gcs_address]
    process = subprocess.Popen(
        command(*line, *joined), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for_epochs(tmp_path / "s.db", 6, process)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate()
    assert process.returncode == 130, stderr
    before = interrupted(tmp_path, stdout)

    monkeypatch.setattr("trainables.shipped.closed_form.time.sleep", lambda _: None)
    here.at[12] = lambda: signal.raise_signal(signal.SIGTERM)
    assert main(line) == 130
    after = interrupted(tmp_path, capsys.readouterr().out)
    assert sum(map(len, after.values())) > sum(map(len, before.values()))
    assert all(values.items() <= after[number].items() for number, values in before.items())

    assert main(line) == 0
    study = optuna.load_study(study_name="slow", storage=f"sqlite:///{tmp_path / 's.db'}")
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 4
    for trial in study.trials:
        assert list(trial.intermediate_values) == list(range(1, 31))
        assert after.get(trial.number, {}).items() <= trial.intermediate_values.items()


def interrupted(folder: Path, stdout: str) -> dict[int, dict[int, float]]:
    """Trial -> its reports, of a search that says that it was interrupted and how to go on."""
    assert "it was interrupted" in stdout
    assert "go on with:" in stdout
    assert f"--space {folder / 'space.yaml'}" in stdout
    study = optuna.load_study(study_name="slow", storage=f"sqlite:///{folder / 's.db'}")
    assert {trial.state for trial in study.trials} == {TrialState.WAITING}
    return {trial.number: trial.intermediate_values for trial in study.trials}


def test_a_study_deleted_after_its_search_is_not_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(SLOW)
    url = f"sqlite:///{tmp_path / 's.db'}"

    def searched(plan: Plan, opened: OpenedStudy, *_: Any, **__: Any) -> Outcome:
        with OpenLaunch(plan, opened) as launch:
            launch.end("done")
        optuna.delete_study(study_name="slow", storage=url)
        return Outcome(status="done", launch_id=launch.launch_id, n_interrupted=0, seconds=1.0)

    monkeypatch.setattr("search.launch.run.run_study", searched)
    with pytest.raises(DeletedError, match="another program deleted the study"):
        main(["--space", str(path), "--storage", url])
    assert optuna.get_all_study_names(url) == []


def wait_for_epochs(database: Path, n_epochs: int, launch: subprocess.Popen[Any]) -> None:
    """Wait until a launch has recorded so many epochs."""
    while launch.poll() is None:
        if database.exists():
            try:
                with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
                    query = connection.execute("SELECT COUNT(*) FROM search_epochs")
                    if query.fetchone()[0] >= n_epochs:
                        return
            except sqlite3.OperationalError:
                pass  # The tables are not there yet.
        time.sleep(0.1)
    pytest.fail(f"the launch ended before it recorded {n_epochs} epochs: {launch.communicate()}")


@pytest.mark.slow
def test_dry_run_runs_nothing(
    tmp_path: Path, one_ray: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = [*arguments(tmp_path, SIAMESE), "--dry-run"]
    assert main([*line, "--format", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["plan"]["data"]["n_train_pairs"] == 600
    assert report["estimate"]["step_seconds"] > 0
    assert report["estimate"]["search_seconds_at_most"] <= 120
    assert report["resources"]["concurrency"] >= 1
    assert main(line) == 0
    assert "s a step on 1 thread, so" in capsys.readouterr().out
    assert not (tmp_path / "s.db").exists()


def test_nothing_finished_is_status_1(
    tmp_path: Path, here: Here, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(tmp_path, SLOW.replace("sleep: 0.2", "fail_at: 1"))) == 1
    said = capsys.readouterr()
    assert "4 failed" in said.out
    assert "RuntimeError: closed-form fails in epoch 1" in said.err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "the following arguments are required: --space"),
        (["--space", "space/siamse.yaml"], "did you mean 'space/siamese.yaml'"),
        (["--space", "S", "--trials", "0"], "'0' is not a whole number of at least 1"),
        (["--space", "S", "--time-limit", "soon"], "--time-limit soon: found 'soon'; expected a"),
        (["--space", "S", "--confirm-seeds", "4"], "--confirm-seeds 4: nothing is confirmed"),
        (["--space", "S", "--seed", "-1"], "--seed: '-1' is not a whole number"),
        (["--space", "S", "--set", "training.epoch=1"], "did you mean 'epochs'"),
        (["--space", "S", "--study", "../x"], "--study ../x: found '../x'; expected 1 to 100"),
        (["--space", "S", "--set", "model.name=siamese-au"], "did you mean 'siamese-aux'"),
        (["--space", "S", "--set", "model.name=mlp"], "does not predict the digits"),
        (["--space", "S", "--set", "data.n_train_pairs=5000"], "600"),
        (["--space", "S", "--set", "data.source=mnist", "--set", "data.root=/nowhere"], "/nowhere"),
        (["--space", "S", "--storage", "mysql://u:secret@h/d"], "'mysql' is not supported"),
        (["--space", "S", "--set", "model.options={layers: 3}"], "layers"),
        (
            ["--space", "S", "--set", "training.tf32=true", "--set", "training.device=cpu"],
            "tf32",
        ),
        (["--space", "S", "--spce", "x"], "unrecognized arguments: --spce x"),
    ],
)
def test_mistakes_are_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], sentence: str
) -> None:
    monkeypatch.chdir(ROOT)

    def no_download(_root: Path, _timeout: float) -> None:
        raise DownloadError("no network")

    monkeypatch.setattr("trainables.shipped.digit_pairs.data.sources.download_mnist", no_download)
    path = tmp_path / "space.yaml"
    path.write_text(SIAMESE)
    monkeypatch.setenv("SEARCH_STORAGE", str(tmp_path / "s.db"))
    with pytest.raises(UserError) as caught:
        main([str(path) if option == "S" else option for option in options])
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert not (tmp_path / "s.db").exists()


def test_a_mistake_leaves_the_process_with_status_2_and_no_traceback(tmp_path: Path) -> None:
    done = run(tmp_path, SIAMESE.replace("epochs", "epoch"))
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert "did you mean 'epochs'" in line
