"""The pages of a trial and of a run, and those that compare some."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import optuna
import pytest

from dashboards.numbers.study.view import read_study
from dashboards.pages.guard import Guard
from dashboards.story import how_it_went
from storage import Store
from storage.commands.checkpoints import weights_of_run
from storage.optuna_rows.trial_rows import write_attribute
from storage.tables import schema
from storage.tables.attributes import STOPPED
from tests.conftest import BACKENDS
from tests.dashboards.made.bulk_benchmark import add_benchmark
from tests.dashboards.made.bulk_rows import HOSTILE
from tests.dashboards.made.bulk_study import add_study
from tests.dashboards.pages.web import request


def shown(site: Guard, address: str) -> dict[str, Any]:
    """What a page shows, which must be there with its frame."""
    assert request(site, address).status == 200
    found = request(site, f"/data{address}")
    assert found.status == 200
    content: dict[str, Any] = found.json()
    return content


def words(content: dict[str, Any]) -> str:
    """The text of a page."""
    return " ".join(
        html.unescape(re.sub("<[^>]*>", " ", content["summary"] + content["details"])).split()
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_each_state_of_a_trial_says_what_decided_it(store: Store, open_site: Guard) -> None:
    study_id = add_study(store, "made", 60, running=True)
    view = read_study(store, "made")
    said = {
        trial.state: words(shown(open_site, f"/study/{study_id}/trial/{trial.number}"))
        for trial in view.trials
    }
    assert "It came to its end, after 25 epochs in all" in said["COMPLETE"]
    assert re.search(
        r"asha pruner after epoch (3|9)\D.*have got there, \d+ are better", said["PRUNED"]
    )
    assert "Nobody trains it at the moment" not in said["RUNNING"]
    assert "It is being trained: 12 epochs so far" in said["RUNNING"]
    assert "It waits for a worker" in said["WAITING"]
    failed = next(trial for trial in reversed(view.trials) if trial.state == "FAIL")
    assert failed.reason is not None
    assert failed.reason in said["FAIL"]


def test_what_a_person_stopped_is_not_said_to_be_the_pruners(
    store: Store, open_site: Guard
) -> None:
    study_id = add_study(store, "made", 20)
    first = "SELECT MIN(trial_id) FROM trials WHERE state = 'PRUNED'"
    with store.engine.begin() as connection:
        stopped_id = connection.exec_driver_sql(first).scalar_one()
        write_attribute(connection, stopped_id, STOPPED, "user ada stopped it")
    trials = read_study(store, "made").trials
    (stopped,) = (trial for trial in trials if trial.trial_id == stopped_id)
    page = words(shown(open_site, f"/study/{study_id}/trial/{stopped.number}"))
    assert f"It ended after {stopped.n_epochs} epochs: user ada stopped it." in page
    assert "asha pruner after" not in page
    _, cost = how_it_went(read_study(store, "made"), is_running=False)
    assert "; stopping early saved " in cost


def test_a_trial_stands_beside_the_baseline(store: Store, open_site: Guard) -> None:
    study_id = add_study(store, "made", 40, confirmed=True)
    view = read_study(store, "made")
    assert view.best is not None
    assert view.baseline is not None
    page = shown(open_site, f"/study/{study_id}/trial/{view.best.number}")
    text = words(page)
    for trial in (view.best, view.baseline):
        assert f"{trial.params['learning_rate']:.4g}" in text
    assert "on fresh seeds" in text
    assert f"search.export --study made --trial {view.best.number}" in text
    assert "python -m search.launch" in text
    # The baseline itself shows its parameters alone.
    text = words(shown(open_site, f"/study/{study_id}/trial/{view.baseline.number}"))
    assert "different" not in text
    assert "Parameters" in text
    for run in store.runs(study_id):
        if run.trial_id == view.best.trial_id:
            assert f"/run/{run.run_id}" in page["details"]
            assert f"trial {view.best.number} of made" in words(
                shown(open_site, f"/run/{run.run_id}")
            )


def test_a_run_shows_what_was_measured_alone(store: Store, open_site: Guard) -> None:
    study_id = add_study(store, "made", 1)
    (run, *_) = store.runs(study_id)
    before = words(shown(open_site, f"/run/{run.run_id}"))
    assert "train error" in before
    metrics = schema.epoch_metrics
    with store.engine.begin() as connection:
        connection.execute(metrics.delete().where(metrics.c.name == "train_error"))
        connection.execute(schema.runs.update().values(uid="read anew"))
    text = words(shown(open_site, f"/run/{run.run_id}"))
    assert "train error" not in text
    assert "validation error" in text


def test_replicates_are_a_band_around_their_mean(store: Store, open_site: Guard) -> None:
    study_id = add_study(store, grid=3)
    content = shown(open_site, f"/study/{study_id}/trial/3")
    runs = [run for run in store.runs(study_id) if run.trial_id == 4]
    epochs = store.epochs(run.run_id for run in runs)
    first = [each[0]["val_error"] for each in epochs.values()]
    panel = next(each for each in content["panels"] if "error" in each["title"])
    traces = [t for t in panel["figures"][0]["data"] if "validation" in t.get("legendgroup", "")]
    low, high, mean = (trace["y"][0] for trace in traces[:3])
    assert len(runs) == len(first) == 3
    assert low == pytest.approx(min(first), rel=1e-4)
    assert high == pytest.approx(max(first), rel=1e-4)
    assert mean == pytest.approx(sum(first) / 3, rel=1e-4)


def test_kept_weights_are_shown_where_they_lie(
    store: Store, open_site: Guard, tmp_path: Path
) -> None:
    study_id = add_study(store, "made", 4)
    run = store.runs(study_id)[0]
    command = store.launches(study_id)[0].command
    address = f"/study/{study_id}/trial/0"
    path = weights_of_run(store.url, "made", run, command, None)
    assert "Kept weights" not in words(shown(open_site, address))
    assert isinstance(path, Path)
    assert path.is_relative_to(tmp_path)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    # A page asks again when something has happened in the study.
    study = optuna.load_study(study_name="made", storage=store.optuna_storage)
    study.tell(study.ask(), 0.5)
    text = words(shown(open_site, address))
    assert str(path) in text
    assert "--weights trial-0.safetensors" in text


@pytest.mark.parametrize("checkpoints", ["nowhere://bucket/x", "~nobody-of-this-name/x"])
def test_weights_that_nobody_here_can_look_for_cost_no_page(
    store: Store, open_site: Guard, checkpoints: str
) -> None:
    study_id = add_study(store, "long " * 80, 3)
    command = f"python -m search.launch --checkpoints {checkpoints}"
    with store.engine.begin() as connection:
        connection.execute(schema.launches.update().values(command=command))
    run = store.runs(study_id)[0]
    for address in (f"/study/{study_id}/trial/0", f"/run/{run.run_id}"):
        assert "Kept weights" not in words(shown(open_site, address))


def test_a_long_name_is_no_file(store: Store, open_site: Guard) -> None:
    study_id = add_study(store, "long " * 80, 3)
    assert "Kept weights" not in words(shown(open_site, f"/study/{study_id}/trial/0"))


def test_a_trial_of_another_tool(store: Store, open_site: Guard) -> None:
    study = optuna.create_study(study_name="theirs", storage=store.optuna_storage)
    trial = study.ask()
    x = trial.suggest_float("x", 0, 1)
    for step in (0, 5):
        trial.report(x / (step + 1), step)
    study.tell(trial, x)
    content = shown(open_site, f"/study/{study._study_id}/trial/0")
    assert "after 2 reports" in words(content)
    assert content["panels"][0]["figures"][0]["data"][0]["x"] == [0, 5]
    assert content["panels"][0]["figures"][0]["layout"]["xaxis"]["title"]["text"] == "step"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_run_of_a_benchmark(store: Store, open_site: Guard) -> None:
    record = add_benchmark(store, models=("mlp", "siamese"), n_seeds=2)
    run, result = store.results(record.configs[1].config_hashes)[0]
    content = shown(open_site, f"/run/{run.run_id}")
    text = words(content)
    assert "siamese in made-table" in text
    assert "different from the reference" in text
    assert f"{result['test_error']:.2%}".replace("%", " %") in text
    assert len(content["panels"]) == 2
    # No benchmark counts it any more: of other data, or of none that the store has.
    with store.engine.begin() as connection:
        connection.execute(schema.benchmarks.update().values(data_fingerprint="other"))
    assert shown(open_site, f"/run/{run.run_id}")["panels"] == content["panels"]
    with store.engine.begin() as connection:
        connection.execute(schema.benchmarks.delete())
    assert "It is complete" in words(shown(open_site, f"/run/{run.run_id}"))


@pytest.mark.parametrize("backend", BACKENDS)
def test_trials_are_compared_seed_by_seed(store: Store, open_site: Guard) -> None:
    study_id = add_study(store, "made", 40, confirmed=True)
    view = read_study(store, "made")
    assert view.confirmation is not None
    one, other = view.confirmation.trials[:2]
    numbers = (one.trial_number, other.trial_number)
    content = shown(open_site, f"/study/{study_id}/compare?trial={numbers[0]}&trial={numbers[1]}")
    text = words(content)
    for mine, theirs in zip(one.values, other.values, strict=True):
        assert f"{100 * (theirs - mine):+.2f}" in text
    assert [len(panel["figures"]) for panel in content["panels"]] == [1] * 4
    lines = [t for t in content["panels"][0]["figures"][0]["data"] if t.get("name")]
    assert [line["name"] for line in lines] == [f"trial {number}" for number in numbers]
    # As typed into the page's own form.
    typed = shown(open_site, f"/study/{study_id}/compare?trial={numbers[0]}%2C+{numbers[1]}")
    assert typed["summary"] == content["summary"]


def test_configs_are_compared_seed_by_seed(store: Store, open_site: Guard) -> None:
    record = add_benchmark(store, models=("mlp", "convnet", "siamese"), n_seeds=3)
    content = shown(
        open_site, f"/benchmark/{record.benchmark_id}/compare?config=siamese&config=mlp"
    )
    errors = {
        config.name: {
            config.config_hashes.index(run.config_hash): result["test_error"]
            for run, result in store.results(config.config_hashes)
        }
        for config in record.configs
    }
    for seed in range(3):
        assert f"{100 * (errors['mlp'][seed] - errors['siamese'][seed]):+.2f}" in words(content)
    assert "convnet" not in words(content)


def test_what_cannot_be_compared_is_said(store: Store, open_site: Guard) -> None:
    study_id = add_study(store, "made", 12)
    record = add_benchmark(store, models=("mlp", "convnet"), n_seeds=2)
    many = "&".join(f"trial={number}" for number in range(9))
    for address, status in {
        f"/study/{study_id}/compare": 400,
        f"/study/{study_id}/compare?trial=1&trial=1": 400,
        f"/study/{study_id}/compare?{many}": 400,
        f"/study/{study_id}/compare?trial=1&trial=99": 404,
        f"/study/{study_id}/compare?trial=1&trial={'9' * 30}": 400,
        f"/benchmark/{record.benchmark_id}/compare?config=mlp": 400,
        f"/benchmark/{record.benchmark_id}/compare?config=mlp&config=none": 404,
        f"/study/{study_id}/trial/12": 404,
        f"/study/{study_id}/trial/-1": 404,
        "/run/999999": 404,
        f"/run/{'9' * 18}": 404,
    }.items():
        for asked in (address, f"/data{address}"):
            assert request(open_site, asked).status == status, asked


def test_names_on_these_pages_are_text(store: Store, open_site: Guard) -> None:
    study_id = add_study(store, n_trials=30, hostile=True)
    record = add_benchmark(store, hostile=True, models=("mlp", "convnet"), n_seeds=2)
    names = "&".join(f"config={quote(config.name)}" for config in record.configs)
    run = store.results(record.configs[0].config_hashes)[0][0]
    for address in (
        *(f"/study/{study_id}/trial/{number}" for number in range(30)),
        f"/study/{study_id}/compare?trial=1&trial=2",
        f"/benchmark/{record.benchmark_id}/compare?{names}",
        f"/run/{run.run_id}",
    ):
        content = shown(open_site, address)
        for text in (request(open_site, address).text, content["summary"], content["details"]):
            assert "<img src=x" not in text
        for panel in content["panels"]:
            for figure in panel["figures"]:
                assert "<img src=x" not in str([t.get("name") for t in figure["data"]])
    assert HOSTILE in html.unescape(content["summary"])
