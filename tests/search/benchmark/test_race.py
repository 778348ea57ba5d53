"""A race: seeds are added until there is an answer, and a kill at any moment loses nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dashboards.going_on import benchmark_command
from dashboards.numbers.benchmark import read_benchmark
from dashboards.numbers.results import collect
from dashboards.numbers.tables import benchmark_table
from dashboards.pages.overview_page import overview_document
from search.benchmark.__main__ import main
from search.benchmark.configs import benchmark_configs
from search.benchmark.rounds import wanted_seeds
from space.errors import UsageError
from storage import Store, open_store
from storage.benchmarks import load_benchmarks
from tests.search.results_store import add_runs, begin_launch, named_config
from trainables.shipped.digit_pairs.config import DIGIT_PAIRS

from ..here import Here, train_here

CONFIGS = """
name: race
trainable: closed-form
configs:
  - name: still
    training: {epochs: 2}
    options: {learning_rate: 1.0e-7}
  - name: fast
    training: {epochs: 2}
    options: {learning_rate: 1.0e-2}
  - name: stiller
    training: {epochs: 2}
    options: {learning_rate: 1.0e-8}
"""


class Race:
    """The command on a store, and what it printed last."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._path, self.url = directory / "race.yaml", f"sqlite:///{directory / 's.db'}"
        self._path.write_text(CONFIGS)
        self._capsys = capsys

    def run(self, *more: str, status: int = 0) -> dict[str, Any]:
        """Name -> row of the table as JSON has it."""
        arguments = ["--config", str(self._path), "--storage", self.url, "--format", "json", *more]
        assert main(arguments) == status
        return {row["name"]: row for row in json.loads(self._capsys.readouterr().out)["rows"]}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    return train_here(monkeypatch, tmp_path)


@pytest.fixture
def race(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Race:
    return Race(tmp_path, capsys)


def raced(store: Store, values: dict[str, dict[int, float]], n: int = 12) -> dict[str, list[int]]:
    """The seeds that are wanted where there are these values, of n at the most."""
    launch_id = begin_launch(store)
    names = {"a": "mlp", "b": "convnet", "c": "resnet"}
    named = [named_config(name, names[name]) for name in values]
    for each in named:
        add_runs(store, launch_id, each, values[each.name])
    results = collect(store, benchmark_configs(named, range(n)))
    table = benchmark_table(results, DIGIT_PAIRS, is_raced=True)
    return {name: [*seeds] for name, seeds in wanted_seeds(table, range(n)).items()}


class TestWanted:
    """What a race asks for depends on nothing but what there is."""

    def test_the_first_look_is_where_something_can_show(self, store: Store) -> None:
        assert raced(store, {"a": {}, "b": {}}) == {"a": [*range(6)], "b": [*range(6)]}

    def test_a_config_with_an_answer_gets_no_more(self, store: Store) -> None:
        a = {seed: 0.3 + seed / 1000 for seed in range(9)}
        b = {seed: value - 0.1 for seed, value in a.items()}
        c = {seed: value + 0.001 * (-1) ** seed for seed, value in a.items()}
        wanted = raced(store, {"a": a, "b": b, "c": c})
        assert wanted == {"a": [*range(10)], "b": [*range(9)], "c": [*range(10)]}

    def test_whoever_lags_behind_comes_first(self, store: Store) -> None:
        a = dict.fromkeys(range(11), 0.3)
        wanted = raced(store, {"a": a, "b": dict.fromkeys(range(8), 0.3), "c": {0: 0.3}})
        assert wanted["c"] == [*range(7)]
        assert wanted["b"] == [*range(8)]

    def test_the_budget_ends_it(self, store: Store) -> None:
        same = dict.fromkeys(range(12), 0.3)
        assert raced(store, {"a": same, "b": same}) == {"a": [*range(12)], "b": [*range(12)]}


def test_a_race_ends_where_it_has_its_answers(race: Race, here: Here) -> None:
    rows = race.run("--until-decided", "--max-seeds", "12", "--margin", "0.3")
    assert rows["fast"]["verdict"] in ("better", "equivalent")
    assert rows["stiller"]["verdict"] == "equivalent"
    assert 6 <= rows["fast"]["n"] <= 12
    assert all(row["missing"] == [] for row in rows.values())
    n_epochs = here.n_epochs
    assert n_epochs == 2 * sum(row["n"] for row in rows.values())

    # The same command has nothing to add, and neither the table nor the page calls it unfinished.
    again = race.run("--until-decided", "--max-seeds", "12", "--margin", "0.3")
    assert here.n_epochs == n_epochs
    assert again["fast"]["comparison"] == rows["fast"]["comparison"]
    shown = race.run("--table-only", "--seeds", "2")
    assert shown["fast"]["verdict"] == rows["fast"]["verdict"]
    store = open_store(race.url)
    (record,) = load_benchmarks(store)
    assert (record.max_seeds, record.margin) == (12, 0.3)
    assert record.registrations[0].seeds == tuple(range(12))
    view = read_benchmark(store, record)
    assert view.table.is_raced
    assert view.n_done == view.n_asked == n_epochs / 2
    assert "3 configs × at most " in overview_document(store).summary
    proposed = benchmark_command(record, store.launches(), store.name)
    store.close()
    assert proposed is not None
    assert "--until-decided --max-seeds 12" in proposed


def test_a_race_that_was_killed_goes_on_as_if_it_had_not_been(
    race: Race, here: Here, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--until-decided", "--max-seeds", "8")
    (tmp_path / "whole").mkdir()
    whole = Race(tmp_path / "whole", capsys)
    expected = whole.run(*arguments)
    n_epochs = here.n_epochs

    def die() -> None:
        raise MemoryError("killed")

    rng = np.random.default_rng(0)
    moments = sorted(rng.choice(range(1, n_epochs), 5, replace=False))
    for moment in moments:
        here.at[n_epochs + int(moment)] = die
    n_kills = 0
    while True:
        try:
            found = race.run(*arguments)
            break
        except MemoryError:
            n_kills += 1
    assert n_kills >= 3
    assert {name: row["comparison"] for name, row in found.items()} == {
        name: row["comparison"] for name, row in expected.items()
    }
    assert {name: row["n"] for name, row in found.items()} == {
        name: row["n"] for name, row in expected.items()
    }


def test_a_race_cannot_be_taken_back(race: Race, here: Here) -> None:
    race.run("--until-decided", "--max-seeds", "6")
    with pytest.raises(UsageError, match="add --until-decided"):
        race.run("--seeds", "6")
    # More may be asked for; what was added is registered as such.
    race.run("--until-decided", "--max-seeds", "7")
    store = open_store(race.url)
    (record,) = load_benchmarks(store)
    store.close()
    assert [step.max_seeds for step in record.registrations] == [6, 7]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--until-decided", "--seeds", "10"], "--seeds: --until-decided settles"),
        (["--max-seeds", "10"], "add --until-decided"),
        (["--until-decided", "--only", "fast"], "--only: the verdicts of a race"),
        (["--until-decided", "--max-seeds", "1001"], "--max-seeds: found 1001"),
    ],
)
def test_refuses(race: Race, arguments: list[str], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        race.run(*arguments)
