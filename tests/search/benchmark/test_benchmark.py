"""The benchmark command: only what is missing runs, and the store knows what was compared."""

from __future__ import annotations

import json
import shlex
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import pytest

from dashboards.going_on import benchmark_command
from search.benchmark.__main__ import main
from search.workers.workplace import Workplace
from space.errors import UsageError, UserError
from storage import open_store
from storage.benchmarks import load_benchmarks
from storage.commands.command_line import command_line

from ..here import train_here

CONFIGS = """
name: pair
title: Two of them
configs:
  - name: slow
    data: {source: digits, n_train_pairs: 100, n_test_pairs: 100}
    model: {name: mlp, width: 4}
    training: {epochs: 2, learning_rate: 1.0e-4}
  - name: fast
    data: {source: digits, n_train_pairs: 100, n_test_pairs: 100}
    model: {name: mlp, width: 4}
    training: {epochs: 2, learning_rate: 1.0e-2}
"""


def test_a_benchmark_runs_what_is_missing_and_is_recorded(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    one_ray: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ray's workers train the first runs, and this process the others."""
    path, url = tmp_path / "pair.yaml", f"sqlite:///{tmp_path / 's.db'}"
    path.write_text(CONFIGS)

    def run(*more: str) -> dict[str, int]:
        """Run the command; name -> seeds of its table."""
        assert main(["--config", str(path), "--storage", url, "--format", "json", *more]) == 0
        table = json.loads(capsys.readouterr().out)
        return {row["name"]: row["n"] for row in table["rows"]}

    assert run("--seeds", "3", "--only", "fast") == {"fast": 3}
    train_here(monkeypatch, tmp_path)
    assert run("--seeds", "2") == {"slow": 2, "fast": 2}
    assert run("--seeds", "4", "--table-only") == {"slow": 2, "fast": 3}
    with pytest.raises(UsageError, match="no config 'fats'"):
        main(["--config", str(path), "--storage", url, "--reference", "fats"])

    second = tmp_path / "second.yaml"
    second.write_text(CONFIGS.replace("slow", "slower").replace("fast", "faster"))
    both = ["--config", str(second), "--table-only", "--seeds", "1"]
    assert list(run(*both)) == ["slow", "fast", "slower", "faster"]

    store = open_store(url)
    runs = store.runs(purpose="benchmark")
    assert [run.state for run in runs] == ["complete"] * 5
    assert all(run.n_parameters is not None for run in runs)
    (benchmark,) = load_benchmarks(store)
    assert (benchmark.name, benchmark.title) == ("pair", "Two of them")
    assert (benchmark.reference, benchmark.n_seeds) == ("slow", 3)
    hashes = {each for config in benchmark.configs for each in config.config_hashes}
    assert len(hashes) == 6
    assert {run.config_hash for run in runs} < hashes
    launches = store.launches()
    assert [launch.config["benchmark"] for launch in launches] == ["pair"] * 2
    proposed = benchmark_command(benchmark, launches, store.name)
    store.close()
    assert proposed is not None
    assert main([*shlex.split(proposed)[3:], "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert {row["name"]: row["n"] for row in rows} == {"slow": 3, "fast": 3}


@pytest.mark.parametrize(
    ("status", "said", "exit_status"),
    [("interrupted", "it was interrupted", 130), ("time limit", "the time limit was reached", 1)],
)
def test_one_that_was_stopped_names_the_command_that_goes_on(
    status: str,
    said: str,
    exit_status: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Workplace, "open", nullcontext)
    monkeypatch.setattr("search.benchmark.run.train_queue", lambda *_, **__: status)
    path = tmp_path / "my pair.yaml"
    path.write_text(CONFIGS)
    arguments = ["--config", str(path), "--storage", str(tmp_path / "s.db"), "--seeds", "3"]
    arguments += ["--set", "training.epochs=1", "--format", "json"]
    assert main(arguments) == exit_status
    printed = capsys.readouterr()
    assert [row["n"] for row in json.loads(printed.out)["rows"]] == [0, 0]
    ended, onward = printed.err.splitlines()[-2:]
    assert ended == (
        f"benchmark 'pair --set training.epochs=1': {said}; 6 runs are still to be trained"
    )
    assert onward == f"go on with: {command_line('search.benchmark', arguments)}"
    monkeypatch.setattr("search.benchmark.run.train_queue", lambda *_, **__: "done")
    assert main(shlex.split(onward.partition(": ")[2])[3:]) == 1
    assert "go on with" not in capsys.readouterr().err


def test_one_that_is_stopped_twice_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop_twice(*_: Any, **__: Any) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(Workplace, "open", nullcontext)
    monkeypatch.setattr("search.benchmark.run.train_queue", stop_twice)
    (path := tmp_path / "pair.yaml").write_text(CONFIGS)
    database = str(tmp_path / "s.db")
    with pytest.raises(KeyboardInterrupt):
        main(["--config", str(path), "--storage", database])
    with closing(open_store(database)) as store:
        assert [launch.status for launch in store.launches()] == ["interrupted"]


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--runs-per-trainable", "foo", "expected 'auto' or an integer"),
        ("--runs-per-trainable", "0", "expected 'auto' or at least 1"),
        ("--runs-per-trainable", "1.5", "expected 'auto' or an integer"),
        ("--cpus", "1.5", "expected a whole number or less than 1"),
        ("--gpus", "nan", "expected 'auto' or a number"),
        ("--time-limit", "1x", "expected a duration"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_recorded(
    option: str, value: str, said: str, tmp_path: Path
) -> None:
    path, store = tmp_path / "pair.yaml", tmp_path / "s.db"
    path.write_text(CONFIGS)
    with pytest.raises(UserError, match=f"^{option}.*{value}.*{said}"):
        main(["--config", str(path), "--storage", f"sqlite:///{store}", f"{option}={value}"])
    assert not store.exists()
