"""``python -m storage`` lists, shows and removes benchmarks beside studies."""

from __future__ import annotations

import io
import json
import sys

import optuna
import pytest

from space.errors import StorageError, UsageError
from storage import Store
from storage.__main__ import main
from storage.tables.schema import utc_now
from tests.dashboards.made.reported_benchmark import (
    FINGERPRINT,
    add_result,
    begin_launch,
    begin_run,
    benchmark_config,
    made_benchmark,
    save,
)

OTHER = "e" * 16


@pytest.fixture(params=["sqlite"])
def backend(request: pytest.FixtureRequest) -> str:
    """What is printed is the same on every database."""
    return str(request.param)


def rows(capsys: pytest.CaptureFixture[str], store: Store, *arguments: str) -> list[dict]:
    """What a command prints as JSON, as a list."""
    assert main([*arguments, "--storage", str(store.url.database), "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    return found if isinstance(found, list) else [found]


def test_benchmarks_are_listed_beside_studies(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    optuna.create_study(study_name="tuned", storage=store.optuna_storage)
    made_benchmark(store, {"MLP": {0: 0.3, 1: 0.2}, "[b]": {0: 0.1}}, n_seeds=2)
    study, benchmark = rows(capsys, store, "list")
    assert (study["kind"], study["study"], study["state"]) == ("study", "tuned", None)
    last = benchmark.pop("last_activity")
    assert abs((utc_now() - utc_now().fromisoformat(last)).total_seconds()) < 600
    assert benchmark == {
        "kind": "benchmark",
        "benchmark": "table1",
        "configs": 2,
        "seeds": 2,
        "runs_done": 3,
        "runs_planned": 4,
        "state": "unfinished",
        "data_source": "mnist",
        "data_fingerprint": FINGERPRINT,
    }
    assert main(["list", "--storage", str(store.url.database)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1][0] == "tuned"
    assert lines[3][:2] == ["benchmark", "configs"]
    state = ["3", "of", "4", "done", "unfinished"]
    assert lines[4] == ["table1", "2", *state, "mnist", last]
    save(store, [benchmark_config("MLP")], data_fingerprint=OTHER)
    assert main(["list", "--storage", str(store.url.database)]) == 0
    first, second = [line.split() for line in capsys.readouterr().out.splitlines()][4:]
    assert first == ["table1", "2", *state, "mnist", FINGERPRINT, last]
    assert second[:2] == ["table1", "1"]
    assert second[-2] == OTHER


def test_an_empty_store_is_said_to_be_empty(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["list", "--storage", str(store.url.database)]) == 0
    assert capsys.readouterr().out == f"{store.name} holds no studies and no benchmarks yet\n"


def test_a_state_is_that_of_the_latest_launch(
    store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = benchmark_config("MLP", n_seeds=1)
    record = save(store, [config])

    def state() -> str:
        return str(rows(capsys, store, "list")[0]["state"])

    assert state() == "not begun"
    launch_id = begin_launch(store, config={"benchmark": record.name})
    assert state() == "running"  # Though no run has begun.
    with monkeypatch.context() as later:
        later.setattr("storage.leases.is_alive", lambda _: False)
        later.setattr("storage.summaries.benchmark.is_alive", lambda _: False)
        assert state() == "died"
    store.end_launch(launch_id, "interrupted")
    assert state() == "interrupted"
    begin_launch(store, config={"benchmark": "another"})
    assert state() == "interrupted"
    launch_id = begin_launch(store)
    add_result(store, launch_id, config, 0, 0.3)
    store.end_launch(launch_id, "done")
    assert state() == "done"


def test_a_benchmark_is_shown(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    mlp, resnet = (benchmark_config(name, name.lower(), n_seeds=3) for name in ("MLP", "ResNet"))
    launch_id = begin_launch(store)
    add_result(store, launch_id, mlp, 0, 0.3)
    add_result(store, launch_id, mlp, 1, 0.2)
    store.end_run(begin_run(store, launch_id, mlp, 2, n_epochs=1).run_id, "failed", "on [fire]")
    begin_run(store, launch_id, resnet, 0, n_epochs=2)
    store.end_launch(launch_id, "interrupted")
    save(store, [mlp, resnet], name="both [b]")
    (found,) = rows(capsys, store, "show", "both [b]")
    assert (found["state"], found["runs_done"], found["runs_planned"]) == ("interrupted", 2, 6)
    first, second = found["configs"]
    assert (first["name"], first["runs_done"], first["runs_planned"]) == ("MLP", 2, 3)
    assert first["test_error"] == pytest.approx(0.25)
    assert (first["epochs"], first["train_seconds"]) == (7, 14.0)
    assert (first["runs_open"], first["reasons"]) == ({"failed": 1}, ["on [fire]"])
    # Its launch has ended, so nobody runs it.
    assert (second["runs_open"], second["test_error"]) == ({"interrupted": 1}, None)
    assert [launch["launch"] for launch in found["launches"]] == [launch_id]
    assert main(["show", "both [b]", "--storage", str(store.url.database)]) == 0
    text = capsys.readouterr().out
    for part in (
        "benchmark both [b]\ntitle     Table I: three epochs\n",
        f"data      mnist, fingerprint {FINGERPRINT}\n",
        "compared  with MLP, seeds 0-2\n",
        "runs      2 of 6 done, interrupted\n",
        "spent     9 epochs, 18.0 s of training\n",
        "launch 1: interrupted, ",
        "on [fire]",
    ):
        assert part in text


def test_what_ran_on_other_data_is_no_part_of_a_benchmark(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    config = benchmark_config("MLP", n_seeds=2)
    launch_id = begin_launch(store)
    add_result(store, launch_id, config, 0, 0.3)
    store.end_launch(launch_id, "interrupted")
    other = begin_launch(store, data_fingerprint="e" * 16)
    add_result(store, other, config, 0, 0.4, fingerprint="e" * 16)
    begin_run(store, other, config, 1, n_epochs=2)
    save(store, [config], name="mlp")
    (found,) = rows(capsys, store, "show", "mlp")
    assert (found["state"], found["runs_done"]) == ("interrupted", 1)
    assert [launch["launch"] for launch in found["launches"]] == [launch_id]
    (only,) = found["configs"]
    assert (only["epochs"], only["train_seconds"], only["runs_open"]) == (3, 6.0, {})


def test_one_name_for_several_things(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    for fingerprint in (FINGERPRINT, OTHER):
        save(store, [benchmark_config("MLP")], name="same", data_fingerprint=fingerprint)
    with pytest.raises(UsageError) as caught:
        main(["show", "same", "--storage", str(store.url.database)])
    said = str(caught.value)
    assert f"a benchmark on mnist {FINGERPRINT} and of a benchmark on mnist {OTHER}; " in said
    assert "--kind" in said
    assert "--data" in said
    optuna.create_study(study_name="same", storage=store.optuna_storage)
    assert main(["show", "same", "--storage", str(store.url.database)]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("study     same\n")
    assert f"it is the name of a benchmark on mnist {FINGERPRINT} and of " in err
    with pytest.raises(UsageError, match="is the name of a study and of"):
        main(["remove", "same", "--yes", "--storage", str(store.url.database)])
    (found,) = rows(capsys, store, "show", "same", "--data", OTHER)
    assert (found["kind"], found["data_fingerprint"]) == ("benchmark", OTHER)
    assert rows(capsys, store, "remove", "same", "--kind", "study", "--yes")[0]["removed"]
    assert rows(capsys, store, "remove", "same", "--data", OTHER, "--yes")[0]["removed"]
    (left,) = rows(capsys, store, "list")
    assert (left["kind"], left["data_fingerprint"]) == ("benchmark", FINGERPRINT)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sane"], "no study or benchmark 'sane'; it holds same; did you mean 'same'?"),
        (["same", "--kind", "study"], "no study 'same'; it holds none"),
        (["same", "--data", "digits"], "no benchmark 'same' on data 'digits'; it holds none"),
    ],
)
def test_what_is_not_there(store: Store, arguments: list[str], said: str) -> None:
    save(store, [benchmark_config("MLP")], name="same")
    for command in ("show", "remove"):
        with pytest.raises(StorageError) as caught:
            main([command, *arguments, "--storage", str(store.url.database)])
        assert str(caught.value) == f"storage {store.name}: {said}"


class Terminal(io.StringIO):
    """A person at a keyboard."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("answer", "is_removed"),
    [("y\n", True), ("YES\n", True), ("n\n", False), ("\n", False), ("", False)],
)
def test_a_person_is_asked(
    store: Store,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    is_removed: bool,
) -> None:
    made_benchmark(store, {"MLP": {0: 0.3}})
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    arguments = ["remove", "table1", "--storage", str(store.url.database)]
    assert main(arguments) == (0 if is_removed else 1)
    out, err = capsys.readouterr()
    label = f"benchmark 'table1' on mnist {FINGERPRINT}"
    assert err == f"{label}: 1 run, 3 epochs, 1 launch would go\nremove it for good? [y/N] "
    assert out == (f"removed: {label}\n" if is_removed else "nothing was removed\n")
    assert len(store.runs()) == (0 if is_removed else 1)


def test_nothing_is_removed_where_nobody_can_be_asked(
    store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made_benchmark(store, {"MLP": {0: 0.3}})
    save(store, [benchmark_config("MLP")], name="shares")
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    arguments = ["remove", "table1", "--storage", str(store.url.database)]
    with pytest.raises(UsageError, match="no terminal to ask on; say --yes to do it"):
        main(arguments)
    assert "nothing that was trained would go; 1 run would stay, which other benchmarks count" in (
        capsys.readouterr().err
    )
    assert len(rows(capsys, store, "list")) == 2
    assert main([*arguments, "--yes"]) == 0
    capsys.readouterr()
    assert len(rows(capsys, store, "list")) == len(store.runs()) == 1
