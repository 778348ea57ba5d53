"""What was known before a config was first trained, and which of its seeds a search had seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import optuna
import pytest

from dashboards.numbers.benchmark import read_benchmark
from dashboards.numbers.origins import Origin, study_launches
from dashboards.numbers.study.trials import read_trials
from dashboards.story import benchmark_outcome
from dashboards.tables.formats import render
from dashboards.tables.origins import study_launches_sheet
from dashboards.words import show_changes
from space import Space
from storage import BenchmarkConfig, BenchmarkRecord, Store
from storage.on_studies import QUEUE_TRIAL, queue_trial
from storage.tables.attributes import BASELINE, WARM_START
from storage.tables.service import NewAction
from tests.conftest import BACKENDS
from tests.dashboards.made.reported_benchmark import (
    add_result,
    begin_launch,
    benchmark_config,
    reported,
    save,
)
from tests.records import begin_run, new_study
from trainables.shipped.digit_pairs.config import DigitPairsConfig

BASE = {"learning_rate": 1e-3}
GIVEN = {"learning_rate": 5e-4}
RATES = {"one": 2e-3, "other": 3e-3}
SPACE: dict[str, Any] = {
    "study": "s",
    "model": {"name": "mlp"},
    "parameters": {"learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True}},
    "budget": {"trials": 9},
}


def begin_study(store: Store) -> optuna.Study:
    study = optuna.create_study(study_name="s", storage=store.optuna_storage)
    store.add_study(new_study(study._study_id, data_source="mnist", data_fingerprint="g" * 16))
    return study


def launch_study(
    store: Store, study: optuna.Study, *baselines: dict[str, float], changes: tuple[str, ...] = ()
) -> int:
    space = Space.recorded({**SPACE, "baselines": list(baselines)})
    return begin_launch(
        store,
        study_id=study._study_id,
        config=space.model_dump(mode="json"),
        changes=list(changes),
        data_fingerprint="g" * 16,
    )


def train(
    store: Store,
    launch_id: int,
    study: optuna.Study,
    config: BenchmarkConfig,
    *,
    seeds: tuple[int, ...] = (1000,),
    training_seed: int = 1000,
    **attributes: Any,
) -> None:
    """A complete trial with the config's settings, a replicate a data seed."""
    if attributes:
        study.enqueue_trial({}, user_attrs=attributes)
    trial = study.ask()
    for replicate, seed in enumerate(seeds):
        of_seed: DigitPairsConfig = config.config.with_values(
            {"data.data_seed": seed, "training.training_seed": training_seed}
        )
        run = begin_run(
            store,
            launch_id,
            study_id=study._study_id,
            trial_id=trial._trial_id,
            replicate=replicate,
            config_hash=of_seed.config_hash(),
            config=of_seed.model_dump(mode="json"),
        )
        store.end_run(run.run_id, "complete")
    study.tell(trial, 0.1)


def measure(store: Store, *configs: BenchmarkConfig, n_seeds: int = 3) -> BenchmarkRecord:
    """A benchmark of the configs in a launch of its own."""
    launch_id = begin_launch(store)
    for config in configs:
        for seed in range(n_seeds):
            add_result(store, launch_id, config, seed, 0.3 + seed / 100)
    return save(store, configs, name=" + ".join(each.name for each in configs))


def origin(store: Store, record: BenchmarkRecord, place: int = 0) -> Origin:
    found = read_benchmark(store, record).table.rows[place].result.origin
    assert found is not None
    return found


def changed(config: BenchmarkConfig, name: str, rate: float) -> BenchmarkConfig:
    other = benchmark_config(name)
    values = [
        config.config.with_values(
            {"training.learning_rate": rate, "data.data_seed": s, "training.training_seed": s}
        )
        for s in range(3)
    ]
    return BenchmarkConfig(
        **{
            **vars(other),
            "config": values[0],
            "config_hashes": tuple(each.config_hash() for each in values),
        }
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_config_given_by_hand_after_test_errors_were_read_is_told_as_such(store: Store) -> None:
    old = [benchmark_config("MLP"), benchmark_config("ConvNet", "convnet")]
    measure(store, *old)
    add_result(store, begin_launch(store), benchmark_config("o", "resnet"), 0, 0.5, fingerprint="o")
    study = begin_study(store)
    first = launch_study(store, study, BASE)
    given = changed(old[0], "given", 5e-4)
    later = launch_study(store, study, BASE, GIVEN, changes=("baselines: 1, now 2",))
    train(store, later, study, given, **{BASELINE: GIVEN})
    record = measure(store, given)

    found = origin(store, record)
    assert (found.launch_id, found.study, found.trial_number) == (later, "s", 0)
    assert (found.was_given, found.was_added) == (True, True)
    assert (found.reads.n_runs, found.reads.n_configs, found.reads.seeds) == (6, 2, (0, 1, 2))
    assert found.shared == ()
    view = read_benchmark(store, record)
    read = "the test split of the seeds 0-2 had been read by 6 runs of 2 configs"
    assert f"The settings of given were given by hand when {read}" in benchmark_outcome(view)
    text = render(view.table, "text")
    assert "given was added by hand to the baselines of study 's' (" in text
    assert f" UTC, launch {later}); before that, {read}\n" in text
    assert '"n_runs": 6' in render(view.table, "json")

    launches = study_launches(store, ["s"])
    assert [(each.launch.launch_id, each.n_earlier) for each in launches] == [
        (first, 0),
        (later, 1),
    ]
    # The run on other images of the same data set counts here, where there is no benchmark.
    assert [each.reads.n_runs for each in launches] == [7, 7]
    rows = study_launches_sheet(launches).rows
    assert [row[3:] for row in rows] == [
        ("the study itself", "7 runs of 3 configs, seeds 0-2"),
        ("baselines: 1, now 2", "7 runs of 3 configs, seeds 0-2"),
    ]


def test_changed_lists_are_shown_as_one_would_write_them() -> None:
    changes = ["baselines: [{'rate': 0.1, 'norm': 'batch'}], now []", "budget.trials: 3, now 4"]
    assert show_changes(changes) == (
        "baselines: [{rate: 0.1, norm: batch}], now []; budget.trials: 3, now 4"
    )


def test_a_baseline_from_the_start_and_a_proposal_are_told_apart(store: Store) -> None:
    config = benchmark_config("MLP")
    study = begin_study(store)
    launch_id = launch_study(store, study, BASE)
    base, proposed = changed(config, "base", 1e-3), changed(config, "proposed", 2e-3)
    train(store, launch_id, study, base, **{BASELINE: BASE})
    train(store, launch_id, study, proposed)
    record = measure(store, base, proposed)
    found = [origin(store, record, place) for place in range(2)]
    assert [(each.was_given, each.was_added) for each in found] == [(True, False), (False, False)]
    assert [each.reads.n_runs for each in found] == [0, 0]
    text = render(read_benchmark(store, record).table, "text")
    assert "base was first trained by study 's', with settings that were given by hand (" in text
    assert "proposed was proposed by the sampler of study 's' (" in text
    assert text.count("before that, the store had no test result of these seeds\n") == 2
    assert "were given by hand when" not in benchmark_outcome(read_benchmark(store, record))


def test_a_benchmarks_own_runs_are_not_known_before_it(store: Store) -> None:
    record = measure(store, benchmark_config("MLP"), benchmark_config("ConvNet", "convnet"))
    for place in range(2):
        found = origin(store, record, place)
        assert found.study is None
        assert found.reads.n_runs == 0
    text = render(read_benchmark(store, record).table, "text")
    first = "has settings that were first trained by a benchmark, not by a study of this store ("
    assert text.count(first) == 2
    again = measure(store, benchmark_config("ResNet", "resnet"))
    assert origin(store, again).reads.n_configs == 2


def test_weights_that_are_drawn_anew_make_no_other_config(store: Store) -> None:
    mlp = benchmark_config("MLP")
    varied = replace(mlp, config=mlp.config.with_values({"training.init_seed": 1}))
    add_result(store, begin_launch(store), varied, 0, 0.3)
    measure(store, mlp)
    reads = origin(store, measure(store, benchmark_config("ResNet", "resnet"))).reads
    assert reads.n_configs == 1
    assert reads.n_runs >= 3


def test_settings_of_a_publication_have_no_origin_of_ours(store: Store) -> None:
    record = measure(store, benchmark_config("MLP", reported=reported()))
    assert read_benchmark(store, record).table.rows[0].result.origin is None


def test_a_config_not_trained_yet_has_no_origin(store: Store) -> None:
    record = save(store, [benchmark_config("MLP")])
    assert read_benchmark(store, record).table.rows[0].result.origin is None


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("seeds", "training_seed", "data", "training"),
    [((0, 1, 7), 1000, (0, 1), ()), ((1000,), 2, (), (2,)), ((2, 1001), 2, (2,), (2,))],
)
def test_seeds_that_the_configs_search_had_seen_are_marked(
    store: Store,
    seeds: tuple[int, ...],
    training_seed: int,
    data: tuple[int, ...],
    training: tuple[int, ...],
) -> None:
    config = benchmark_config("MLP")
    study = begin_study(store)
    launch_id = launch_study(store, study)
    train(store, launch_id, study, config)
    train(
        store,
        launch_id,
        study,
        changed(config, "another", 0.05),
        seeds=seeds,
        training_seed=training_seed,
    )
    record = measure(store, config, benchmark_config("ConvNet", "convnet"))
    (shared,) = origin(store, record).shared
    assert (shared.study, shared.data, shared.training) == ("s", data, training)
    assert origin(store, record, 1).shared == ()
    text = render(read_benchmark(store, record).table, "text")
    (note,) = [line for line in text.splitlines() if "not fresh: study 's'" in line]
    assert note.startswith("MLP: ")
    assert ("the training samples of the seeds" in note) == bool(data)
    assert ("the initialisations of the seeds" in note) == bool(training)


@pytest.mark.parametrize("sampler", ["tpe", "grid", "pbt"])
def test_what_a_sampler_queued_itself_was_not_given_by_hand(store: Store, sampler: str) -> None:
    study = begin_study(store)
    tree = Space.recorded(SPACE).model_dump(mode="json")
    launch_id = begin_launch(
        store, study_id=study._study_id, config={**tree, "sampler": {"name": sampler}}
    )
    first, second = (changed(benchmark_config("MLP"), name, rate) for name, rate in RATES.items())
    study.enqueue_trial({})
    train(store, launch_id, study, first)
    queue_trial(store, NewAction(verb=QUEUE_TRIAL, asked_by="me", study="s", detail={"values": {}}))
    train(store, launch_id, study, second)
    record = measure(store, first, second)
    found = [origin(store, record, place).was_given for place in (0, 1)]
    assert found == [sampler == "tpe", True]
    text = render(read_benchmark(store, record).table, "text")
    assert ("one was proposed by the sampler of study 's'" in text) == (sampler != "tpe")
    assert "other was first trained by study 's', with settings that were given by hand" in text
    trials, _ = read_trials(store, study._study_id, [])
    assert [trial.was_queued for trial in trials] == found


def test_seeds_of_the_searches_own_block_are_not_marked(store: Store) -> None:
    config = benchmark_config("MLP")
    study = begin_study(store)
    train(store, launch_study(store, study), study, config, seeds=(1000, 1001))
    record = measure(store, config)
    assert origin(store, record).shared == ()
    assert "not fresh" not in render(read_benchmark(store, record).table, "text")


def test_a_config_from_an_earlier_study_is_told_as_such(store: Store) -> None:
    study = begin_study(store)
    warm = changed(benchmark_config("MLP"), "warm", 5e-4)
    source = {"study": "older", "trial": 7}
    measure(store, benchmark_config("ConvNet", "convnet"))
    train(store, launch_study(store, study, BASE), study, warm, **{WARM_START: source})
    record = measure(store, warm)
    found = origin(store, record)
    assert found.warm_start == "trial 7 of study 'older'"
    assert (found.was_given, found.was_added) == (True, False)
    text = render(read_benchmark(store, record).table, "text")
    assert "by study 's', as a warm start from trial 7 of study 'older' (" in text
    said = benchmark_outcome(read_benchmark(store, record))
    assert (
        "The settings of warm were taken from trial 7 of study 'older' when the test split" in said
    )
