"""Runs that differ in one source of randomness, and what they say of the variance."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from dashboards.numbers.benchmark import read_benchmark
from dashboards.pages.benchmark_page import benchmark_document
from search.benchmark.__main__ import main
from space.errors import UsageError
from storage import open_store
from storage.benchmarks import load_benchmarks

from ..here import train_here

NETWORK = """
name: one
configs:
  - name: mlp
    data: {source: digits, n_train_pairs: 60, n_test_pairs: 60}
    model: {name: mlp, width: 4}
    training: {epochs: 1}
"""
CLOSED = """
name: closed
trainable: closed-form
configs:
  - name: formula
    training: {epochs: 2}
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run the command on a config file's text; returns its JSON."""
    train_here(monkeypatch, tmp_path)

    def made(text: str, *more: str) -> Any:
        (path := tmp_path / "configs.yaml").write_text(text)
        arguments = ["--config", str(path), "--storage", str(tmp_path / "s.db"), *more]
        assert main([*arguments, "--format", "json"]) == 0
        return json.loads(capsys.readouterr().out)

    return made


def test_each_source_is_drawn_anew_by_itself(run: Any, tmp_path: Path) -> None:
    (row,) = run(NETWORK, "--seeds", "4", "--vary")["rows"]
    with closing(open_store(str(tmp_path / "s.db"))) as store:
        runs = store.runs(purpose="benchmark")
        errors = {
            each.run_id: found["test_error"]
            for each, found in store.results([each.config_hash for each in runs])
        }
        assert len(runs) == 4 * (1 + 3)
        drawn = {}
        for each in runs:
            training = each.config["training"]
            seeds = (
                each.config["data"]["data_seed"],
                training.get("init_seed", training["training_seed"]),
                training.get("order_seed", training["training_seed"]),
            )
            drawn[seeds] = errors[each.run_id]
        (record,) = load_benchmarks(store)
        document = benchmark_document(store, record, is_served=False)
        assert read_benchmark(store, record).table.variances["mlp"].missing == 0
    partner = {0: 1, 1: 0, 2: 3, 3: 2}
    for place, source in enumerate(("data", "weights", "order")):
        squares = []
        for seed, other in partner.items():
            seeds = [seed] * 3
            seeds[place] = other
            squares.append((drawn[seed, seed, seed] - drawn[tuple(seeds)]) ** 2 / 2)
        found = row["variance"]["sources"][source]
        assert found["std"] ** 2 == pytest.approx(fmean(squares))
        assert found["n"] == 4
    assert row["variance"]["total"]["n"] == 16
    (panel,) = (panel for panel in document.panels if panel.key == "benchmark-variance")
    (bars,) = panel.figures[0].data
    stds = [each["std"] for each in row["variance"]["sources"].values()]
    assert list(bars.x) == [*stds, row["variance"]["total"]["std"]]
    assert "where the variance of the test error" in document.summary


def test_only_what_is_missing_is_trained(run: Any, tmp_path: Path) -> None:
    def n_runs() -> int:
        with closing(open_store(str(tmp_path / "s.db"))) as store:
            return len(store.runs(purpose="benchmark"))

    (row,) = run(NETWORK, "--seeds", "4")["rows"]
    assert row["variance"] is None
    assert n_runs() == 4
    run(NETWORK, "--seeds", "4", "--vary", "weights")
    assert n_runs() == 8
    run(NETWORK, "--seeds", "5", "--vary", "weights", "order")
    assert n_runs() == 13
    # What was varied is shown for good.
    (row,) = run(NETWORK, "--seeds", "6", "--table-only")["rows"]
    assert list(row["variance"]["sources"]) == ["weights", "order"]
    assert row["variance"]["missing"] == 4


def test_what_has_one_seed_for_its_training_varies_that(run: Any) -> None:
    (row,) = run(CLOSED, "--seeds", "4", "--vary")["rows"]
    assert list(row["variance"]["sources"]) == ["data", "training"]
    with pytest.raises(UsageError, match=r"--vary: .weights.*data and training"):
        run(CLOSED, "--seeds", "4", "--vary", "weights")
