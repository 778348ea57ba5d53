"""Which trials are exported: the best, the front, the confirmed, the baseline, or one named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from optuna.trial import TrialState

from search.export.write import export_study, shown_values
from search.launch.plan import Plan
from search.trials.feasible import resolved
from space import load_configs
from space.errors import UsageError
from storage import Store
from storage.summaries.confirmed import confirmed_trials
from storage.tables import schema
from tests.search.conftest import open_study

from ..conftest import best_first, confirm, search

MakePlan = Callable[..., Plan]
LATE = {"name": "threshold", "upper": 0.3, "n_warmup_steps": 6}


def test_top_takes_distinct_configs_in_order_with_ties_by_number(
    plan_for: MakePlan, store: Store, command: Callable[..., Path]
) -> None:
    # Somebody has queued three of the six points twice.
    plan = plan_for(
        parameters={
            "learning_rate": {"type": "categorical", "choices": [1e-4, 1e-3, 1e-2]},
            "augment": {"type": "categorical", "choices": [False, True]},
        }
    )
    opened = open_study(plan, store)
    for rate in 2 * [1e-4, 1e-3, 1e-2]:
        opened.enqueue_trial({"learning_rate": rate, "augment": True})
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
    assert rules[0] == "best of 9 complete trials on one seed each"
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
    lucky, steady, failing, fourth, fifth = best_first(study)[:5]
    confirm(plan, store, study, lucky, [0.2, 0.3, 0.4])
    confirm(plan, store, study, steady, [0.2, 0.1, 0.15])
    confirm(plan, store, study, failing, [0.01, 0.01, None])
    found = confirmed_trials(store, study._study_id)
    assert [each.trial_number for each in found] == [steady, lucky, failing]
    assert [each.is_finished for each in found] == [True, True, False]
    assert found[0].values == (0.2, 0.1, 0.15)
    assert found[0].mean == pytest.approx(0.15)
    assert found[0].trial_id == study.trials[steady]._trial_id
    assert found[0].search_value == study.trials[steady].value

    file = load_configs(command("--top", "4"))
    assert [named.provenance["trial"] for named in file.configs] == [steady, lucky, fourth, fifth]
    assert [named.provenance["selection"] for named in file.configs] == [
        "confirmed: best of 3 on 3 fresh seeds",
        "confirmed: number 2 of 3 on 3 fresh seeds",
        "number 4 of 12 complete trials on one seed each",
        "number 5 of 12 complete trials on one seed each",
    ]
    everything = load_configs(command("--top", "12")).configs
    assert everything[-1].provenance["trial"] == failing
    assert everything[-1].provenance["selection"] == "last, as 1 of its fresh seeds failed"
    confirmed = file.configs[0].provenance["confirmed"]
    assert confirmed["values"] == [0.2, 0.1, 0.15]
    assert confirmed["mean"] == pytest.approx(0.15)
    assert confirmed["std"] == pytest.approx(0.05)
    assert "confirmed" not in file.configs[2].provenance
    # The file's seeds are the search's, whatever the fresh ones were.
    assert file.configs[0].config == resolved(plan.space, study.trials[steady].params)


def test_an_unfinished_confirmation_does_not_choose(
    plan_for: MakePlan, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    plan = plan_for(confirm={"top": 2, "seeds": 3})
    study = search(plan, store)
    first, second = best_first(study)[:2]
    confirm(plan, store, study, first, [0.5, 0.5])
    confirm(plan, store, study, second, [0.1])
    found = confirmed_trials(store, study._study_id)
    assert not any(each.is_finished for each in found)
    (named,) = export_study(store, "closed", rerun="again").configs
    assert named.provenance["trial"] == first
    assert named.provenance["selection"] == "best of 12 complete trials on one seed each"
    assert "not every confirmation run is done" in caplog.text


def test_seeds_of_two_protocols_are_not_compared(plan_for: MakePlan, store: Store) -> None:
    plan = plan_for(confirm={"top": 2, "seeds": 2})
    study = search(plan, store)
    old, new = best_first(study)[:2]
    confirm(plan, store, study, old, [0.1, 0.1])
    confirm(plan, store, study, new, [0.3, 0.3])
    table = schema.runs
    for run in store.runs(study._study_id, "confirm"):
        if run.trial_id == study.trials[new]._trial_id:
            config = {**run.config, "training": {**run.config["training"], "protocol": 2}}
            changed = table.update().where(table.c.run_id == run.run_id).values(config=config)
            store.transaction(lambda connection, changed=changed: connection.execute(changed))
    found = confirmed_trials(store, study._study_id)
    assert [each.trial_number for each in found] == [new]


def test_confirmed_trials_follow_the_direction(plan_for: MakePlan, store: Store) -> None:
    plan = plan_for(
        objective={"metric": "val_error", "direction": "maximize"}, confirm={"top": 2, "seeds": 2}
    )
    study = search(plan, store)
    confirm(plan, store, study, 0, [0.1, 0.2])
    confirm(plan, store, study, 1, [0.3, 0.4])
    found = confirmed_trials(store, study._study_id)
    assert [each.trial_number for each in found] == [1, 0]


def test_the_baseline_is_written_before_the_winner(
    plan_for: MakePlan, store: Store, command: Callable[..., Path]
) -> None:
    bad = {"learning_rate": 1e-4, "weight_decay": 1e-1}
    changes = {"budget": {"trials": 30}, "prune_baselines": True}
    study = search(plan_for(pruner=LATE, baselines=[bad], **changes), store)
    assert study.trials[0].state == TrialState.PRUNED
    winner = best_first(study)[0]
    file = load_configs(command("--baseline"))
    assert [named.provenance["trial"] for named in file.configs] == [0, winner]
    assert file.configs[0].provenance["selection"] == "baseline"
    assert file.configs[0].config.value("options.learning_rate") == 1e-4
    named = load_configs(command("--baseline", "--trial", str(winner)))
    assert [each.config for each in named.configs] == [each.config for each in file.configs]


def test_a_baseline_that_is_best_has_nothing_to_be_compared_with(
    plan_for: MakePlan,
    store: Store,
    command: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    baseline = {"learning_rate": 1e-3, "weight_decay": 1e-3}
    plan = plan_for(baselines=[baseline], confirm={"top": 1, "seeds": 2})
    study = search(plan, store)
    confirm(plan, store, study, 0, [0.1, 0.2])
    confirm(plan, store, study, best_first(study)[-1], [0.3, 0.4])
    said = "The baseline is the best trial, so there is nothing to compare with it.\n"
    path = command("--baseline")
    (named,) = load_configs(path).configs
    assert named.provenance["selection"] == "baseline; confirmed: best of 2 on 2 fresh seeds"
    assert said in capsys.readouterr().out
    assert f"# {said}" in path.read_text()
    command("--baseline", "--format", "json")
    assert json.loads(capsys.readouterr().out)["note"] == said.strip()

    # With a second one there is, and nobody who leaves the option out has asked.
    text = command("--baseline", "--top", "2").read_text()
    assert text.startswith("# Study 'closed': the 2 best trials, the baseline first.\n")
    for there in (text, command().read_text(), capsys.readouterr().out):
        assert said not in there
    command("--format", "json")
    assert json.loads(capsys.readouterr().out)["note"] is None

    text = command("--baseline", "--trial", "0").read_text()
    assert said not in text
    itself = "The trial named is the baseline itself, so there is nothing to compare with it.\n"
    assert f"# {itself}" in text
    assert itself in capsys.readouterr().out


def test_a_confirmed_baseline_has_its_fresh_numbers_beside_the_winners(
    plan_for: MakePlan,
    store: Store,
    command: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    baseline = {"learning_rate": 1e-4, "weight_decay": 1e-1}
    plan = plan_for(baselines=[baseline], confirm={"top": 1, "seeds": 2})
    study = search(plan, store)
    winner = best_first(study)[0]
    assert winner != 0
    confirm(plan, store, study, winner, [0.1, 0.2])
    confirm(plan, store, study, 0, [0.3, 0.4])
    path = command("--baseline")
    first, second = load_configs(path).configs
    assert first.provenance["trial"] == 0
    assert first.provenance["confirmed"]["values"] == [0.3, 0.4]
    assert second.provenance["confirmed"]["values"] == [0.1, 0.2]
    searched = f"the search said val_error {100 * (study.trials[0].value or 0):.2f} %"
    assert f"trial 0: val_error 35.00 ± 7.07 % on fresh seeds; {searched} (baseline)\n" in (
        capsys.readouterr().out
    )
    # Of one that was named, too, so that both lines say the same kind of number.
    first, _ = load_configs(command("--baseline", "--trial", str(winner))).configs
    assert first.provenance["confirmed"]["mean"] == pytest.approx(0.35)


def test_one_fresh_seed_has_no_spread(
    plan_for: MakePlan, store: Store, command: Callable[..., Path]
) -> None:
    search(plan_for(), store)
    (named,) = load_configs(command()).configs
    # As earlier releases allowed it.
    confirmed = {"values": [0.25], "mean": 0.25, "std": None}
    once = named.model_copy(update={"provenance": named.provenance | {"confirmed": confirmed}})
    assert shown_values(once).startswith("val_error 25.00 % on one fresh seed; the search said ")


def test_a_baseline_with_a_missing_seed_has_no_fresh_numbers(
    plan_for: MakePlan, store: Store
) -> None:
    baseline = {"learning_rate": 1e-4, "weight_decay": 1e-1}
    plan = plan_for(baselines=[baseline], confirm={"top": 1, "seeds": 2})
    study = search(plan, store)
    confirm(plan, store, study, best_first(study)[0], [0.1, 0.2])
    confirm(plan, store, study, 0, [0.3, None])
    first, second = export_study(store, "closed", baseline=True, rerun="again").configs
    assert "confirmed" not in first.provenance
    assert "confirmed" in second.provenance


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "the baseline and the best trial (best of 12 complete trials on one seed each)"),
        (["--top", "1"], "the baseline and the best trial (best of 12 complete trials on "),
        (["--top", "3"], "the baseline and the 3 best trials."),
        (["--trial", "3"], "the baseline and the trial named on the command line."),
    ],
)
def test_the_comment_says_what_stands_beside_the_baseline(
    plan_for: MakePlan,
    store: Store,
    command: Callable[..., Path],
    arguments: list[str],
    words: str,
) -> None:
    study = search(plan_for(baselines=[{"learning_rate": 1e-4, "weight_decay": 1e-1}]), store)
    assert 0 not in best_first(study)[:3]
    text = command("--baseline", *arguments).read_text()
    assert text.startswith(f"# Study 'closed': {words}")


def test_the_comment_names_a_front_beside_the_baseline(
    plan_for: MakePlan, store: Store, command: Callable[..., Path]
) -> None:
    objective = [{"metric": "val_error"}, {"metric": "train_loss", "direction": "maximize"}]
    baseline = {"learning_rate": 1e-4, "weight_decay": 1e-1}
    study = search(plan_for(objective=objective, baselines=[baseline]), store)
    n = len(study.best_trials)
    front = f"{n} trials on the Pareto front of 12 complete trials"
    is_among = 0 in [trial.number for trial in study.best_trials]
    words = f"{front}, the baseline first" if is_among else f"the baseline and {front}"
    assert command("--baseline").read_text().startswith(f"# Study 'closed': {words}.\n")


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
    terms = {"budget": {"trials": 30}, "confirm": {"top": 1, "seeds": 2}, "prune_baselines": True}
    plan = plan_for(pruner=LATE, baselines=[bad], **terms)
    study = search(plan, store)
    assert study.trials[0].state == TrialState.PRUNED
    confirm(plan, store, study, 0, [0.1, 0.2])
    confirm(plan, store, study, best_first(study)[0], [0.3, 0.4])
    (named,) = load_configs(command()).configs
    assert named.provenance["trial"] == 0
    assert "closed trial 0: val_error 15.00 ± 7.07 % on fresh seeds; the search stopped it at" in (
        capsys.readouterr().out
    )
