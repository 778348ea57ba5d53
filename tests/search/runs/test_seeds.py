"""Search, confirmation and benchmark draw from blocks of seeds that never meet."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from search.benchmark.__main__ import main as benchmark
from search.launch.plan import Plan
from search.runs.seeds import confirm_config, replicate_config
from search.trials.feasible import resolved
from space import NamedConfig, RunConfig
from space.__main__ import main as space_command
from space.config import BENCHMARK_SEEDS, SEARCH_SEEDS
from space.errors import SpaceError, StorageError, StudyMismatchError, UsageError
from storage import open_store
from tests.search.conftest import open_study, plan_of

from ...conftest import BACKENDS
from ..conftest import SPACE

MakePlan = Callable[..., Plan]


def seeds(config: RunConfig) -> set[int]:
    """The seeds of a run: those of its data and of its training."""
    return {config.data.data_seed, config.training.training_seed}


def begun_with(plan: Plan, seed: int) -> Plan:
    """The plan with other seeds, as a store holds them that is older than the blocks."""
    space = plan.space.model_copy(
        update={
            "data": plan.space.data.model_copy(update={"data_seed": seed}),
            "training": plan.space.training.model_copy(update={"training_seed": seed}),
        }
    )
    return replace(plan, space=space)


def begin(plan: Plan) -> None:
    """Begin the plan's study in its store."""
    store = open_store(str(plan.place.checkpoints.parents[1] / "s.db"))
    open_study(plan, store)
    store.close()


def test_a_file_without_seeds_shares_none_with_a_benchmark(plan_for: MakePlan) -> None:
    plan = plan_for(replicates=3)
    config = resolved(plan.space, {"learning_rate": 1e-2, "weight_decay": 1e-3})
    searched = set.union(*(seeds(replicate_config(config, each)) for each in range(3)))
    confirmed = set.union(*(seeds(confirm_config(config, each)) for each in range(100)))
    named = NamedConfig.of_config(config, name="n")
    measured = set.union(*(seeds(named.with_seed(each)) for each in BENCHMARK_SEEDS))
    assert searched == {1000, 1001, 1002}
    assert min(confirmed) == 1_001_000
    assert measured == set(range(1000))
    assert not searched & measured
    assert not confirmed & (searched | measured)


def test_the_first_confirmed_seed_lies_above_the_last_searched_one(plan_for: MakePlan) -> None:
    config = resolved(plan_for().space, {})
    lowest = min(seeds(confirm_config(config, 0)))
    assert BENCHMARK_SEEDS.stop == SEARCH_SEEDS.start == min(seeds(config))
    assert lowest >= SEARCH_SEEDS.stop


@pytest.mark.parametrize("section", ["data", "training"])
@pytest.mark.parametrize(
    ("seed", "replicates", "found"),
    [
        (0, 1, "found 0"),
        (999, 3, "found 999 to 1001 with the replicates"),
        (1_000_000, 1, "found 1000000"),
        (999_999, 2, "found 999999 to 1000000 with the replicates"),
    ],
)
def test_a_new_study_on_seeds_of_another_block_is_refused(
    plan_for: MakePlan,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    section: str,
    seed: int,
    replicates: int,
    found: str,
) -> None:
    key = f"{section}_seed"
    settings = {**SPACE.get(section, {}), key: seed}
    problem = f"space.yaml: {section}.{key}: {found}; expected 1000 to 999999"
    with pytest.raises(SpaceError, match=problem):
        plan_for(**{section: settings}, replicates=replicates)
    file = tmp_path / "space.yaml"
    assert space_command(["check", str(file)]) == 2
    assert problem in capsys.readouterr().err
    assert not (tmp_path / "s.db").exists()


def test_the_last_seeds_of_the_block_are_taken(plan_for: MakePlan) -> None:
    plan = plan_for(data={"data_seed": 999_998}, replicates=2)
    assert plan.space.data.data_seed == 999_998


def test_a_study_that_was_begun_on_other_default_seeds_goes_on_with_them(
    plan_for: MakePlan, caplog: pytest.LogCaptureFixture
) -> None:
    begin(begun_with(plan_for(), 0))
    with caplog.at_level(logging.WARNING):
        again = plan_for()
    assert seeds(resolved(again.space, {})) == {0}
    assert "goes on with the seeds it was begun with, data.data_seed: found 0" in caplog.text
    begin(again)


def test_what_a_file_says_of_its_seeds_is_not_overruled(plan_for: MakePlan) -> None:
    begin(plan_for())
    changed: dict[str, Any] = {"data": {"data_seed": 2000}}
    again = plan_for(**changed)
    assert (again.space.data.data_seed, again.space.training.training_seed) == (2000, 1000)
    with pytest.raises(StudyMismatchError, match=r"data.data_seed: 1000 before, 2000 now"):
        begin(again)


def test_a_study_that_names_low_seeds_itself_goes_on(plan_for: MakePlan) -> None:
    begin(begun_with(plan_for(), 5))
    named: dict[str, Any] = {
        "data": {"data_seed": 5},
        "training": {"epochs": 9, "training_seed": 5},
    }
    again = plan_for(**named)
    begin(again)
    assert seeds(resolved(again.space, {})) == {5}


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_store_that_has_to_be_upgraded_is_named_before_the_seeds(
    store_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(json.dumps({**SPACE, "data": {"data_seed": 0}}))

    def plan() -> Plan:
        return plan_of(path, store_url)

    with pytest.raises(SpaceError, match=r"data.data_seed: found 0"):
        plan()  # There is no store yet.
    store = open_store(store_url)
    with pytest.raises(SpaceError, match=r"data.data_seed: found 0"):
        plan()  # It has no study.
    with store.engine.begin() as connection:
        connection.execute(sa.text("UPDATE search_schema_version SET version_num = '0002'"))
    store.close()
    with pytest.raises(StorageError, match=r"its schema version is 0002.* storage upgrade"):
        plan()


def test_a_file_that_is_no_store_is_named_before_the_seeds(
    plan_for: MakePlan, tmp_path: Path
) -> None:
    (tmp_path / "s.db").write_text("no database" * 999)
    with pytest.raises(StorageError, match="not a database"):
        plan_for(data={"data_seed": 0})


def test_a_benchmark_takes_no_seeds_of_searches(tmp_path: Path) -> None:
    file = tmp_path / "configs.yaml"
    file.write_text(
        json.dumps({"name": "b", "configs": [{"name": "x", "trainable": "closed-form"}]})
    )
    with pytest.raises(UsageError, match="--seeds: found 1001; expected at most 1000"):
        benchmark(["--config", str(file), "--seeds", "1001", "--storage", str(tmp_path / "s.db")])
    assert not (tmp_path / "s.db").exists()
