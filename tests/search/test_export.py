"""The export: the file is complete, says what it rests on, and trains the same to the bit."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy as sa
import torch
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState

from dashboards.numbers.confirmed import confirmed_trials
from search.config_text import config_text, write_configs
from search.export import export_study, main
from search.ledger import Ledger
from search.plan import Plan
from search.sampling import make_sampler
from search.seeds import confirm_config
from search.study import open_study
from space import ConfigFile, ModelConfig, NamedConfig, RunConfig, load_configs, parse_tree
from space.errors import UsageError, UserError
from space.reader import LARGEST, parse_yaml
from storage import EpochRecord, Store
from trainables.resolve import resolve_config
from trainables.runs import open_run

from .conftest import Recorder, work

MakePlan = Callable[..., Plan]
ASHA = {"name": "asha", "min_resource": 1, "reduction_factor": 3}
LATE = {"name": "threshold", "upper": 0.3, "n_warmup_steps": 6}


def search(plan: Plan, store: Store, **options: Any) -> optuna.Study:
    """Run a search in this process."""
    study = open_study(plan, store)
    study.sampler = make_sampler(plan.space, n_existing_trials=0)
    ledger = Ledger(
        study=study,
        store=store,
        space=plan.space,
        resolve=plan.resolve,
        launch_id=store.begin_launch(plan.new_launch(study._study_id, [])),
        observer=Recorder(),
        max_trials=plan.max_trials,
        max_epochs=None,
    )
    work(ledger, plan, **options)
    ledger.interrupt("the test ends")
    return study


def confirm(
    plan: Plan, store: Store, study: optuna.Study, number: int, errors: list[float | None]
) -> None:
    """Pretend that a trial was confirmed: an error for each fresh seed, None for a failed run."""
    launch_id = store.begin_launch(plan.new_launch(study._study_id, []))
    trial = study.trials[number]
    for replicate, error in enumerate(errors):
        config = confirm_config(plan.resolve(trial.params), replicate)
        run = store.begin_run(
            launch_id=launch_id,
            study_id=study._study_id,
            trial_id=trial._trial_id,
            purpose="confirm",
            replicate=replicate,
            config_hash=config.config_hash(),
            config=config.model_dump(mode="json"),
        )
        if error is None:
            store.end_run(run.run_id, "failed", "the loss is not finite")
            continue
        # The state kept is that of epoch 1: the same error and the lower loss.
        for epoch, (val_error, val_loss) in enumerate([(error, 0.1), (error, 0.2)], start=1):
            record = EpochRecord(
                epoch=epoch,
                train_loss=1.0,
                val_loss=val_loss,
                train_error=0.5,
                val_error=val_error,
                seconds=1.0,
            )
            store.record_epoch(run.run_id, launch_id, record, best_epoch=1, worker="w")
        store.end_run(run.run_id, "complete")


def best_first(study: optuna.Study) -> list[int]:
    complete = study.get_trials(states=(TrialState.COMPLETE,))
    return [trial.number for trial in sorted(complete, key=lambda t: (t.values[0], t.number))]


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Tiny networks are slower with more threads, and the machine may be shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def command(store: Store, tmp_path: Path) -> Callable[..., Path]:
    """Runs the command on the store and returns the file that it wrote."""

    def run(*arguments: str, study: str = "closed") -> Path:
        output = tmp_path / "best" / "exported.yaml"
        options = ["--study", study, "--storage", str(store.url.database), "--output", str(output)]
        assert main([*options, *arguments]) == 0
        return output

    return run


def test_the_best_complete_trial_is_written_whole(
    plan_for: MakePlan,
    store: Store,
    command: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan = plan_for(pruner=ASHA, budget={"trials": 30})
    study = search(plan, store)
    best = best_first(study)[0]
    path = command()
    printed = capsys.readouterr().out
    assert f"closed trial {best}: val_error {study.trials[best].value:.4g}" in printed
    assert str(path) in printed
    assert f"python -m search.benchmark --config {path} --seeds 10" in printed

    (named,) = load_configs(path).configs
    assert named.config == plan.resolve(study.trials[best].params)
    n_complete = len(best_first(study))
    assert n_complete < 30
    provenance = named.provenance
    assert provenance["selection"] == f"best of {n_complete} complete trials on one seed each"
    assert provenance["study"] == "closed"
    assert provenance["storage"] == store.name
    assert provenance["trial"] == best
    assert provenance["state"] == "COMPLETE"
    assert provenance["params"] == study.trials[best].params
    assert provenance["objectives"] == [
        {"metric": "val_error", "direction": "minimize", "value": study.trials[best].value}
    ]
    assert provenance["seeds"] == {"data_seed": 0, "training_seed": 0, "sampler_seed": 0}
    assert provenance["rerun"] == f"python -m search.benchmark --config {path} --seeds 10"

    # Every setting stands in the file, whatever its default, and no machine's directory does.
    text = path.read_text()
    for section in RunConfig(model=ModelConfig(name="x")).model_dump().values():
        assert all(f"\n    {key}:" in text or f"\n      {key}:" in text for key in section)
    assert "root: null" in text
    assert "*" not in text
    assert "&" not in text


def test_provenance_is_the_launchs(plan_for: MakePlan, store: Store, tmp_path: Path) -> None:
    plan = plan_for(sampler={"name": "random", "seed": 7}, budget={"trials": 2})
    provenance = replace(
        plan.provenance,
        # All digits and an e: a number to a careless writer.
        git_commit="1234567890e12345678901234567890123456789",
        git_dirty=True,
        versions={"python": "3.11.2", "torch": "2.9.0+cpu"},
        hardware={"processor": "A Processor: fast # yes", "gpus": [], "cpus": 2},
    )
    study = search(replace(plan, provenance=provenance), store)
    file = export_study(store, "closed", rerun="again")
    found = file.configs[0].provenance
    assert found["code"] == {"git_commit": provenance.git_commit, "git_dirty": True}
    assert found["libraries"] == provenance.versions
    assert found["hardware"] == {"processor": "A Processor: fast # yes", "gpus": []}
    assert found["seeds"]["sampler_seed"] == 7
    assert found["data"] == {"source": "none", "fingerprint": "none"}
    run = next(r for r in store.runs(study._study_id) if r.trial_id is not None)
    assert RunConfig.model_validate(run.config).data.root is None
    path = tmp_path / "x.yaml"
    write_configs(path, config_text(file))
    assert load_configs(path) == file


def test_retraining_the_file_gives_the_stores_epochs_to_the_bit(
    plan_for: MakePlan, store: Store, command: Callable[..., Path], one_thread: None
) -> None:
    plan = plan_for(
        study="tiny",
        model={"name": "siamese-aux", "width": 2},
        data={"source": "digits", "n_train_pairs": 60, "data_seed": 1000},
        training={"epochs": 2, "batch_size": 20, "training_seed": 1000},
        budget={"trials": 2},
    )
    study = search(plan, store)
    (named,) = load_configs(command(study="tiny")).configs
    assert named.provenance["data"] == {
        "source": "digits",
        "fingerprint": store.study_records()[study._study_id].data_fingerprint,
    }
    assert named.provenance["seeds"]["training_seed"] == 1000
    assert resolve_config(named.config) == named.config
    trial = study.trials[named.provenance["trial"]]
    runs = store.runs(study._study_id, "search")
    (run,) = [run for run in runs if run.trial_id == trial._trial_id]
    stored = store.epochs([run.run_id])[run.run_id]
    again = open_run(named.config)
    assert again.fingerprint == named.provenance["data"]["fingerprint"]
    retrained = [again.run_epoch() for _ in range(2)]
    for metric in ("epoch", "train_loss", "val_loss", "train_error", "val_error"):
        assert [getattr(e, metric) for e in retrained] == [getattr(e, metric) for e in stored]
    assert min(epoch.val_error for epoch in retrained) == trial.value
    other = next(run for run in runs if run.trial_id != trial._trial_id)
    assert retrained[0].train_loss != store.epochs([other.run_id])[other.run_id][0].train_loss


def test_replicates_are_counted_and_the_first_one_is_the_config(
    plan_for: MakePlan, store: Store
) -> None:
    plan = plan_for(replicates=3, budget={"trials": 4})
    study = search(plan, store)
    (named,) = export_study(store, "closed", rerun="again").configs
    provenance = named.provenance
    assert provenance["selection"] == "best of 4 complete trials on 3 seeds each"
    assert provenance["objectives"][0]["standard_error"] > 0
    assert named.config == plan.resolve(study.trials[provenance["trial"]].params)


def test_top_takes_distinct_configs_in_order_with_ties_by_number(
    plan_for: MakePlan, store: Store, command: Callable[..., Path]
) -> None:
    # Both parameters are choices, so some of the 12 random trials repeat others.
    plan = plan_for(
        parameters={
            "learning_rate": {"type": "categorical", "choices": [1e-4, 1e-3, 1e-2]},
            "augment": {"type": "categorical", "choices": [False, True]},
        }
    )
    study = search(plan, store)
    file = load_configs(command("--top", "5"))
    numbers = [named.provenance["trial"] for named in file.configs]
    wanted: list[int] = []
    for number in best_first(study):
        if study.trials[number].params not in [study.trials[each].params for each in wanted]:
            wanted.append(number)
    assert len(wanted) < len(best_first(study))
    assert numbers == wanted[:5]
    assert [named.name for named in file.configs] == [f"closed trial {n}" for n in numbers]
    # A benchmark is kept under the file's name: that of other trials is another one.
    assert file.name == f"closed trials {', '.join(map(str, numbers))}"
    assert load_configs(command()).name == f"closed trial {numbers[0]}"
    rules = [named.provenance["selection"] for named in file.configs]
    assert rules[0] == "best of 12 complete trials on one seed each"
    assert all(rule.startswith("number ") for rule in rules[1:])


def test_several_objectives_export_their_front_in_the_first_ones_order(
    plan_for: MakePlan, store: Store, command: Callable[..., Path]
) -> None:
    plan = plan_for(
        objective=[{"metric": "val_error"}, {"metric": "train_loss", "direction": "maximize"}]
    )
    study = search(plan, store)
    front = {trial.number for trial in study.best_trials}
    assert len(front) > 2
    file = load_configs(command())
    numbers = [named.provenance["trial"] for named in file.configs]
    assert numbers == [number for number in best_first(study) if number in front]
    for named in file.configs:
        assert named.provenance["selection"] == "on the Pareto front of 12 complete trials"
        values = [each["value"] for each in named.provenance["objectives"]]
        assert values == study.trials[named.provenance["trial"]].values
    assert len(load_configs(command("--top", "2")).configs) == 2


def test_a_trial_may_be_named(
    plan_for: MakePlan, store: Store, command: Callable[..., Path]
) -> None:
    study = search(plan_for(), store)
    worst = best_first(study)[-1]
    (named,) = load_configs(command("--trial", str(worst))).configs
    assert named.provenance["trial"] == worst
    assert named.provenance["selection"] == "trial named on the command line"


def test_a_confirmed_config_goes_before_a_lucky_one(
    plan_for: MakePlan, store: Store, command: Callable[..., Path]
) -> None:
    plan = plan_for(confirm={"top": 3, "seeds": 3})
    study = search(plan, store)
    lucky, steady, failing, fourth = best_first(study)[:4]
    confirm(plan, store, study, lucky, [0.2, 0.3, 0.4])
    confirm(plan, store, study, steady, [0.2, 0.1, 0.15])
    confirm(plan, store, study, failing, [0.01, 0.01, None])
    found = confirmed_trials(store, study._study_id, "val_error")
    assert [each.trial_number for each in found] == [steady, lucky, failing]
    assert [each.is_finished for each in found] == [True, True, False]
    assert found[0].values == (0.2, 0.1, 0.15)
    assert found[0].mean == pytest.approx(0.15)
    assert found[0].trial_id == study.trials[steady]._trial_id
    assert found[0].search_value == study.trials[steady].value

    file = load_configs(command("--top", "4"))
    assert [named.provenance["trial"] for named in file.configs] == [steady, lucky, failing, fourth]
    assert [named.provenance["selection"] for named in file.configs] == [
        "confirmed: best of 3 on 3 fresh seeds",
        "confirmed: number 2 of 3 on 3 fresh seeds",
        "number 3 of 12 complete trials on one seed each",
        "number 4 of 12 complete trials on one seed each",
    ]
    confirmed = file.configs[0].provenance["confirmed"]
    assert confirmed["values"] == [0.2, 0.1, 0.15]
    assert confirmed["mean"] == pytest.approx(0.15)
    assert confirmed["std"] == pytest.approx(0.05)
    assert "confirmed" not in file.configs[2].provenance
    # The file's seeds are the search's, whatever the fresh ones were.
    assert file.configs[0].config == plan.resolve(study.trials[steady].params)


def test_an_unfinished_confirmation_does_not_choose(
    plan_for: MakePlan, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    plan = plan_for(confirm={"top": 2, "seeds": 3})
    study = search(plan, store)
    first, second = best_first(study)[:2]
    confirm(plan, store, study, first, [0.5, 0.5])
    confirm(plan, store, study, second, [0.1])
    found = confirmed_trials(store, study._study_id, "val_error")
    assert not any(each.is_finished for each in found)
    (named,) = export_study(store, "closed", rerun="again").configs
    assert named.provenance["trial"] == first
    assert named.provenance["selection"] == "best of 12 complete trials on one seed each"
    assert "not every confirmation run is done" in caplog.text


def test_confirmed_trials_follow_the_direction(plan_for: MakePlan, store: Store) -> None:
    plan = plan_for(
        objective={"metric": "val_error", "direction": "maximize"}, confirm={"top": 2, "seeds": 2}
    )
    study = search(plan, store)
    confirm(plan, store, study, 0, [0.1, 0.2])
    confirm(plan, store, study, 1, [0.3, 0.4])
    found = confirmed_trials(store, study._study_id, "val_error")
    assert [each.trial_number for each in found] == [1, 0]
    with pytest.raises(ValueError, match="'train_loss' is no objective"):
        confirmed_trials(store, study._study_id, "train_loss")


def test_credentials_stay_out(plan_for: MakePlan, store: Store) -> None:
    search(plan_for(budget={"trials": 1}), store)
    store.url = sa.make_url(
        "postgresql+psycopg://anna:hunter2@db.example/searches?sslpassword=hunter3"
    )
    text = config_text(export_study(store, "closed", rerun="again"))
    assert "db.example" in text
    assert "hunter" not in text


def test_json_says_what_the_file_says(
    plan_for: MakePlan,
    store: Store,
    command: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    search(plan_for(), store)
    path = command("--format", "json", "--top", "2")
    printed = json.loads(capsys.readouterr().out)
    configs = load_configs(path).configs
    assert printed["output"] == str(path)
    assert printed["configs"] == [{"name": each.name, **each.provenance} for each in configs]
    benchmark = f"python -m search.benchmark --config {path} --seeds 10"
    assert configs[0].provenance["rerun"] == benchmark
    assert printed["next"].endswith(f"{benchmark} --storage {store.name}")


def test_the_baseline_is_written_before_the_winner(
    plan_for: MakePlan, store: Store, command: Callable[..., Path]
) -> None:
    bad = {"learning_rate": 1e-4, "weight_decay": 1e-1}
    study = search(plan_for(pruner=LATE, budget={"trials": 30}, baselines=[bad]), store)
    assert study.trials[0].state == TrialState.PRUNED
    winner = best_first(study)[0]
    file = load_configs(command("--baseline"))
    assert [named.provenance["trial"] for named in file.configs] == [0, winner]
    assert file.configs[0].provenance["selection"] == "baseline"
    assert file.configs[0].training.learning_rate == 1e-4
    named = load_configs(command("--baseline", "--trial", str(winner)))
    assert [each.config for each in named.configs] == [each.config for each in file.configs]


def test_a_study_without_a_baseline_has_none_to_export(plan_for: MakePlan, store: Store) -> None:
    search(plan_for(baselines=[]), store)
    with pytest.raises(UsageError, match="'closed' has no baseline that was trained"):
        export_study(store, "closed", baseline=True, rerun="again")


def test_a_pruned_baseline_that_is_best_on_fresh_seeds_is_the_winner(
    plan_for: MakePlan,
    store: Store,
    command: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    bad = {"learning_rate": 1e-4, "weight_decay": 1e-1}
    terms = {"budget": {"trials": 30}, "confirm": {"top": 1, "seeds": 2}}
    plan = plan_for(pruner=LATE, baselines=[bad], **terms)
    study = search(plan, store)
    assert study.trials[0].state == TrialState.PRUNED
    confirm(plan, store, study, 0, [0.1, 0.2])
    confirm(plan, store, study, best_first(study)[0], [0.3, 0.4])
    (named,) = load_configs(command()).configs
    assert named.provenance["trial"] == 0
    assert "closed trial 0: val_error 0.1500 ± 0.0707 on fresh seeds; the search stopped it at" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--study", "cloesd"], "no study 'cloesd'"),
        (["--trial", "99"], "study 'closed' has no such trial; it has trials 0 to "),
        (["--trial", "PRUNED"], "the trial is PRUNED, and only a complete one stands"),
        (["--trial", "WAITING"], "the trial is WAITING, and only a complete one stands"),
        (["--trial", "-1"], "--trial"),
        (["--trial", "x"], "'x' is not the number of a trial"),
        (["--top", "0"], "'0' is not a whole number of at least 1"),
        (["--top", "2", "--trial", "1"], "not allowed with argument"),
        (["--storage", "/absent/s.db"], "/absent/s.db"),
    ],
)
def test_a_mistake_is_one_sentence(
    plan_for: MakePlan, store: Store, tmp_path: Path, arguments: list[str], words: str
) -> None:
    plan = plan_for(pruner=ASHA)
    study = search(plan, store, n_workers=3, n_steps=4)
    numbers = {trial.state.name: str(trial.number) for trial in study.trials}
    assert {"PRUNED", "WAITING"} <= set(numbers)
    arguments = [numbers.get(argument, argument) for argument in arguments]
    output = tmp_path / "x.yaml"
    options = ["--study", "closed", "--storage", str(store.url.database), "--output", str(output)]
    with pytest.raises(UserError) as caught:
        main([*options, *arguments])
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not output.exists()


def test_a_study_without_a_complete_trial_has_nothing_to_export(
    plan_for: MakePlan, store: Store
) -> None:
    search(plan_for(), store, n_steps=3)
    with pytest.raises(UsageError, match=r"no trial is complete \(2 WAITING\)"):
        export_study(store, "closed", rerun="again")


def test_a_trial_that_others_trained_cannot_be_exported(store: Store) -> None:
    study = optuna.create_study(study_name="theirs", storage=store.optuna_storage)
    study.add_trial(optuna.trial.create_trial(value=0.1))
    with pytest.raises(UsageError, match=r"trial 0 was not trained by search\.launch"):
        export_study(store, "theirs", rerun="again")


def test_only_a_config_file_is_replaced(
    plan_for: MakePlan, store: Store, tmp_path: Path, command: Callable[..., Path]
) -> None:
    search(plan_for(), store)
    path = command()
    first = path.read_text()
    assert command("--trial", "3") == path
    assert path.read_text() != first
    assert [each.name for each in path.parent.iterdir()] == [path.name]

    notes = tmp_path / "notes.yaml"
    notes.write_text("dear: diary\n")
    empty = tmp_path / "empty.yaml"
    empty.touch()
    for there in (notes, empty, tmp_path):
        with pytest.raises(UsageError, match="no config file that could be replaced"):
            main(
                ["--study", "closed", "--storage", str(store.url.database), "--output", str(there)]
            )
    assert notes.read_text() == "dear: diary\n"


def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written"):
        write_configs(tmp_path / "file" / "x.yaml", "name: x\n")
    with pytest.raises(UsageError, match="export fewer configs with --top"):
        write_configs(tmp_path / "x.yaml", "#" * (LARGEST + 1))
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


PLAIN = st.text(st.characters(codec="utf-8"), max_size=20)
TRICKY = st.sampled_from(
    ["1e5", "12e3", "0o17", "0x1F", "no", "null", "", " x", "- a", "a: b", "#", "010", "~", "1_000"]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | PLAIN
    | TRICKY
)


@given(
    st.dictionaries(
        st.text("abc: #-1e", min_size=1, max_size=8),
        st.recursive(
            SCALARS,
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(TRICKY | st.text("xyz"), inner, max_size=3)
            ),
            max_leaves=6,
        ),
        max_size=4,
    )
)
def test_what_is_written_is_read_back(provenance: dict[str, Any]) -> None:
    named = NamedConfig(
        name="1e5", model=ModelConfig(name="mlp", options={"x": 1e-05}), provenance=provenance
    )
    file = ConfigFile(name="no", configs=(named,))
    tree = parse_yaml(config_text(file, "a comment\nof two lines"), "x.yaml")
    assert parse_tree(ConfigFile, tree, "x.yaml") == file
