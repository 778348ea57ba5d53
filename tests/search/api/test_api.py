"""The commands as functions: searches, looks, trials by hand, and what goes wrong."""

from __future__ import annotations

import contextlib
import inspect
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution

import search
from search.api.arguments import options_of
from search.benchmark.__main__ import main as benchmark_command
from search.launch.__main__ import main as launch_command
from space.errors import LeaseLostError, StudyNotFoundError, UsageError, UserError
from storage import open_store
from storage.actions import STOP, ask
from storage.tables.service import NewAction
from tests.search.conftest import ASHA, SPACE

FOUR: dict[str, Any] = {**SPACE, "training": {"epochs": 4}, "budget": {"trials": 4}}
METRICS = {"val_error": 0.2, "val_loss": 0.3, "train_loss": 0.1, "train_error": 0.1}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 's.db'}"


@pytest.fixture
def asked(url: str) -> Iterator[search.Study]:
    with search.open_study(space=FOUR, storage=url) as study:
        yield study


def finish(study: search.Study, trial: search.AskedTrial, value: float = 0.2) -> str:
    for epoch in range(1, trial.epochs + 1):
        goes_on = study.report(trial, {**METRICS, "val_error": value})
        assert goes_on == (epoch < trial.epochs)
    return study.tell(trial)


def test_functions_are_packages_and_commands_too() -> None:
    import search.launch.run
    from search import benchmark, export, launch

    for each in (benchmark, export, launch):
        assert callable(each)
        assert inspect.signature(each).return_annotation in ("Study", "Benchmark", "ConfigFile")
    assert search.launch.run.launch is not launch
    with pytest.raises(AttributeError, match="lanch"):
        search.lanch  # noqa: B018


def test_arguments_are_a_command_line() -> None:
    options = options_of(
        launch_command, space="mlp", set={"training.epochs": 3, "data.source": "digits"},
        trials=None, verbose=True, dry_run=False, storage="a.db",
    )  # fmt: skip
    assert (options.space, options.trials, options.verbose, options.dry_run) == (
        "mlp", None, True, False,
    )  # fmt: skip
    assert options.set == ["training.epochs=3", 'data.source="digits"']
    assert "--trials" not in options.typed
    options = options_of(benchmark_command, config=["a.yaml", Path("b.yaml")], only="-x")
    assert (options.config, options.only, options.seeds) == (["a.yaml", "b.yaml"], ["-x"], None)
    with pytest.raises(UsageError, match="--trials"):
        options_of(launch_command, space="mlp", trials=0)


def test_a_search_a_look_and_an_export(url: str, tmp_path: Path, one_ray: Path) -> None:
    space = {**FOUR, "baselines": [{"learning_rate": 0.001, "weight_decay": 0.001}]}
    study = search.launch(space, storage=url, trials=3, progress=False)
    assert (study.ended, study.counts["COMPLETE"], study.name) == ("done", 3, "closed")
    best, baseline = study.best, study.baseline
    assert best is not None
    assert baseline is not None
    assert baseline.number == 0
    table = study.trials()
    assert list(table["state"]) == ["COMPLETE"] * 3
    assert table["val_error"].idxmin() == best.number
    assert len(study.epochs()) == 12
    assert "history" in study.figures()
    assert study.config(0).value("options.learning_rate") == 0.001  # type: ignore[attr-defined]
    assert "3 complete" in repr(study)
    assert "fresh seeds" in study.verdict  # Of them it speaks alone, and there are none.
    html = study._repr_html_()
    assert html.count("<iframe") == 1
    assert "Plotly.newPlot" in html
    file = search.export(study, tmp_path / "best.yaml", baseline=True)
    assert len(file.configs) == (1 if best.number == 0 else 2)
    # Its space is in no file, so that there is no command to go on with.
    assert search.open_study("closed", storage=url).view.launches[0].command == "search.launch(...)"


def test_what_the_user_can_mend_is_one_sentence(url: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        search.launch("lanch.yaml", storage=url)
    with pytest.raises(UserError, match="learning_rat"):
        search.launch({**FOUR, "parameters": {"learning_rat": 1}}, storage=url)
    with pytest.raises(UserError, match="storage"):
        search.open_study("closed", storage=url)
    with search.open_study(space=FOUR, storage=url) as study:
        study.ask()
    with pytest.raises(StudyNotFoundError, match="closed"):
        search.open_study("close", storage=url)
    with pytest.raises(UserError, match="other terms"):
        search.open_study(space={**FOUR, "training": {"epochs": 5}}, storage=url).ask()


def test_trials_by_hand_are_counted_like_any(asked: search.Study) -> None:
    states = []
    while (trial := asked.ask()) is not None:
        assert trial.config.value("options.learning_rate") == trial.params["learning_rate"]
        states.append(finish(asked, trial, value=trial.number / 10))
    assert states == ["COMPLETE"] * 4
    assert list(asked.trials()["val_error"]) == [0.0, 0.1, 0.2, 0.3]
    asked.close()
    (launch,) = asked.view.launches
    assert (launch.status, launch.command) == ("done", "search.open_study(...).ask()")
    study = search.launch(FOUR, storage=asked.url, progress=False)  # Nothing is left to do.
    assert study.counts["COMPLETE"] == 4


def test_what_is_called_like_another_column_is_not_lost(url: str) -> None:
    with closing(open_store(url)) as store:
        study = optuna.create_study(
            study_name="theirs", storage=store.optuna_storage, directions=["maximize", "minimize"]
        )
        study.set_metric_names(["accuracy", "seconds"])
        for number in range(2):
            params = {"number": number + 7, "state": "on"}
            kinds = {"number": IntDistribution(0, 9), "state": CategoricalDistribution(["on"])}
            study.add_trial(
                optuna.create_trial(values=[0.75, 12.0], params=params, distributions=kinds)
            )
    table = search.open_study("theirs", storage=url).trials()
    assert (list(table.index), list(table["state"])) == ([0, 1], ["COMPLETE"] * 2)
    assert list(table["params.number"]) == [7, 8]
    assert list(table["params.state"]) == ["on"] * 2
    assert list(table["objectives.seconds"]) == [12.0] * 2
    assert list(table["seconds"]) == list(table["epochs"]) == [None] * 2  # Nobody recorded them.


def test_the_pruner_decides_as_ever(url: str) -> None:
    space = {**FOUR, "pruner": {**ASHA, "reduction_factor": 2}}
    with search.open_study(space=space, storage=url) as study:
        first, second = study.ask(), study.ask()
        assert first is not None
        assert second is not None
        assert finish(study, first, value=0.1) == "COMPLETE"
        assert not study.report(second, {**METRICS, "val_error": 0.4})
        assert study.tell(second) == "PRUNED"
        assert study.counts == {
            "COMPLETE": 1, "PRUNED": 1, "FAIL": 0, "RUNNING": 0, "WAITING": 0,
        }  # fmt: skip


def test_failures_have_their_reasons(asked: search.Study) -> None:
    one, other = asked.ask(), asked.ask()
    assert one is not None
    assert other is not None
    with pytest.raises(UsageError, match="0 of 4 epochs"):
        asked.tell(one)
    assert asked.tell(one, failure="no\nmemory") == "FAIL"
    assert not asked.report(one, METRICS)
    assert not asked.report(other, {**METRICS, "val_error": float("nan")})
    assert asked.tell(other) == "FAIL"
    assert list(asked.trials()["reason"]) == ["no memory", "val_error is not finite in epoch 1"]


def test_reports_that_are_none(asked: search.Study) -> None:
    trial = asked.ask()
    assert trial is not None
    with pytest.raises(UsageError, match="'val_loss' is missing"):
        asked.report(trial, {"val_error": 0.1})
    with pytest.raises(UsageError, match="test split"):
        asked.report(trial, {**METRICS, "test_error": 0.1})
    with pytest.raises(UsageError, match="replicate 1"):
        asked.report(trial, METRICS, replicate=1)
    assert asked.report(trial, METRICS)
    assert asked.report(trial, METRICS, epoch=1)  # Known already: passed over.
    assert len(asked.epochs()) == 1


def test_what_is_open_when_the_study_is_closed_goes_on_elsewhere(asked: search.Study) -> None:
    trial = asked.ask()
    assert trial is not None
    asked.report(trial, METRICS)
    asked.close()
    asked.close()
    assert asked.counts["WAITING"] == 1
    with search.open_study("closed", storage=asked.url) as again:
        same = again.ask()
        assert same is not None
        assert (same.number, same.params, same.n_known) == (trial.number, trial.params, (1,))
        for epoch in range(1, 5):
            assert again.report(same, {**METRICS, "val_error": epoch / 10}) == (epoch < 4)
    # The first epoch was known: what was reported of it before stands.
    assert list(again.epochs()["val_error"]) == [0.2, 0.2, 0.3, 0.4]


def test_threads_share_a_study(asked: search.Study) -> None:
    found: list[tuple[int, str]] = []

    def work() -> None:
        while (trial := asked.ask()) is not None:
            found.append((trial.number, finish(asked, trial)))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [(number, "COMPLETE") for number in range(4)]


def test_a_program_that_is_killed_loses_no_trial(url: str) -> None:
    text = f"""
        import os, signal, search
        study = search.open_study(space={FOUR!r}, storage={url!r})
        trial = study.ask()
        study.report(trial, {METRICS!r})
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(text)], check=False, timeout=600)
    assert done.returncode == -signal.SIGKILL
    with search.open_study("closed", storage=url) as study:
        trial = study.ask()
        assert trial is not None
        assert (trial.number, trial.n_known) == (0, (1,))
        assert finish(study, trial) == "COMPLETE"
    assert study.view.launches[0].status == "died"


def test_who_was_taken_for_dead_hears_of_it(
    asked: search.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = asked.ask()
    assert trial is not None
    with contextlib.closing(open_store(asked.url)) as store:
        (launch,) = store.launches()
        store.end_launch(launch.launch_id, "died")
    with monkeypatch.context() as patch:
        patch.setattr("search.runs.lease.HEARTBEAT_SECONDS", 0.0)
        with pytest.raises(LeaseLostError):
            asked.report(trial, METRICS)


def test_who_was_asked_to_stop_hears_of_it(
    asked: search.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.runs.actions.LOOK_SECONDS", 0.0)
    trial = asked.ask()
    assert trial is not None
    with contextlib.closing(open_store(asked.url)) as store:
        launch = asked.view.launches[-1].launch_id
        ask(store, NewAction(verb=STOP, asked_by="anna", launch_id=launch))
    # Its thread looks once a second.
    while asked.view.launches[-1].status == "running":
        time.sleep(0.1)
    with pytest.raises(UsageError, match="stopped"):
        asked.report(trial, METRICS)
    assert asked.counts["WAITING"] == 1
    assert asked.view.launches[-1].status == "interrupted"


def test_optunas_own_messages_are_as_before(asked: search.Study) -> None:
    before = optuna.logging.get_verbosity()
    trial = asked.ask()
    assert trial is not None
    assert optuna.logging.get_verbosity() == before
    assert os.environ.get("RAY_ADDRESS") is None
