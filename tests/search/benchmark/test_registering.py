"""A benchmark is registered before it trains, and fresh seeds are nobody else's."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import pytest

from search.benchmark.__main__ import main
from search.workers.workplace import Workplace
from space.errors import UsageError
from storage import BenchmarkRecord, open_store
from storage.benchmarks import load_benchmarks
from tests.search.results_store import add_run, begin_launch, named_config

CONFIGS = """
name: NAME
configs:
  - name: slow
    data: {source: digits, n_train_pairs: 100, n_test_pairs: 100}
    model: {name: mlp, width: 4}
    training: {epochs: 1, learning_rate: 1.0e-4}
  - name: fast
    data: {source: digits, n_train_pairs: 100, n_test_pairs: 100}
    model: {name: mlp, width: 4}
    training: {epochs: 1, learning_rate: 1.0e-2}
"""
Run = Callable[..., BenchmarkRecord]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command without training anything; the benchmark as its training would find it."""
    found: list[BenchmarkRecord] = []

    def look(store: Any, *_: Any, **__: Any) -> str:
        found[:] = load_benchmarks(store)
        return "done"

    monkeypatch.setattr(Workplace, "open", nullcontext)
    monkeypatch.setattr("search.benchmark.run.train_queue", look)

    def run(*arguments: str, name: str = "pair") -> BenchmarkRecord:
        path = tmp_path / f"{name}.yaml"
        path.write_text(CONFIGS.replace("NAME", name))
        # Nothing is trained, so there is no result to show.
        assert main(["--config", str(path), "--storage", str(tmp_path / "s.db"), *arguments]) == 1
        full = f"{name} --fresh-seeds" if "--fresh-seeds" in arguments else name
        return next(each for each in found if each.name == full)

    return run


def test_the_plan_is_in_the_store_before_anything_is_trained(run: Run) -> None:
    record = run("--seeds", "2", "--margin", "0.02", "--reference", "fast")
    (plan,) = record.registrations
    assert plan.configs == {config.name: config.config_hashes for config in record.configs}
    assert list(plan.configs) == ["slow", "fast"]
    assert (plan.seeds, plan.reference, plan.margin) == ((0, 1), "fast", 0.02)
    assert plan.metric == "test_error"
    assert "torch" in plan.versions
    same = run("--seeds", "1", "--only", "slow", "fast", "--reference", "fast")
    assert same.registrations == (plan,)
    more = run("--seeds", "3", "--reference", "fast")
    assert [step.seeds for step in more.registrations] == [(0, 1), (0, 1, 2)]
    assert {step.margin for step in more.registrations} == {0.02}
    with pytest.raises(UsageError, match=r"--margin 0.03: benchmark 'pair' was registered with 0"):
        run("--margin", "0.03")
    for wrong in ("0", "-1", "nan", "inf"):
        with pytest.raises(UsageError, match="expected a number above 0"):
            run("--margin", wrong)


def test_the_plan_is_printed_beside_the_numbers(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run("--seeds", "2")
    said = " ".join(capsys.readouterr().out.split())
    assert "before any test sample was read for it: 2 configs (slow, fast) on the seeds" in said
    assert "Looks at this test split: no runs of this store" in said
    run("--seeds", "2", "--format", "json")
    registered = json.loads(capsys.readouterr().out)["registered"]
    assert (registered["looks"], len(registered["steps"])) == (0, 1)


def test_fresh_seeds_are_on_no_run_and_in_no_plan(run: Run, tmp_path: Path) -> None:
    with closing(open_store(str(tmp_path / "s.db"))) as store:
        launch_id = begin_launch(store)
        for seed in (0, 2):
            add_run(store, launch_id, named_config("other"), seed, (0.1, 0.1, 0.1))
    fresh = ("--fresh-seeds", "--seeds")
    assert run(*fresh, "2").seeds == (1, 3)
    assert run(*fresh, "2").seeds == (1, 3)  # The same command goes on with them.
    assert run(*fresh, "2", name="second").seeds == (4, 5)
    grown = run(*fresh, "3")
    assert grown.seeds == (1, 3, 6)
    assert [config.by_seed.keys() for config in grown.configs] == [{1, 3, 6}] * 2
    assert run("--seeds", "8").seeds == tuple(range(8))  # Another benchmark of the same file.
    assert run(*fresh, "1", name="third").seeds == (8,)
    with pytest.raises(UsageError, match="--fresh-seeds: 1000 are asked for, and 991 of 1000"):
        run(*fresh, "1000", name="fourth")


def test_two_launches_at_once_share_no_fresh_seed(run: Run, tmp_path: Path) -> None:
    open_store(str(tmp_path / "s.db")).close()
    names = [f"n{place}" for place in range(4)]
    with ThreadPoolExecutor(len(names)) as pool:
        for done in [pool.submit(run, "--fresh-seeds", "--seeds", "3", name=n) for n in names]:
            done.result()
    with closing(open_store(str(tmp_path / "s.db"))) as store:
        seeds = [seed for record in load_benchmarks(store) for seed in record.seeds]
    assert sorted(seeds) == list(range(12))
