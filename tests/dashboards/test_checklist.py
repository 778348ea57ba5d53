"""What a reviewer asks is answered from the store, or said not to be recorded."""

from __future__ import annotations

from dataclasses import replace

import optuna

from dashboards.numbers.benchmark import read_benchmark
from dashboards.numbers.study.view import read_study
from dashboards.numbers.variance import VarianceSplit
from dashboards.pages.benchmark_page import described
from dashboards.statistics.spreads import spread_of_blocks
from dashboards.story import benchmark_terms
from dashboards.tables.checklist import NOT_RECORDED, benchmark_checklist, study_checklist
from dashboards.tables.drawing import Sheet
from dashboards.tables.formats import comparison_sheet
from dashboards.words import show_data
from space import CategoricalParameter
from space.config import DataSettings
from space.study.samplers import PBTSampler
from storage import Store
from tests.dashboards.made.bulk_study import add_study
from tests.dashboards.made.reported_benchmark import FINGERPRINT, made_benchmark, reported


def answers(sheet: Sheet) -> dict[str, str]:
    return {row[0]: row[1] for row in sheet.rows}


def test_a_benchmark_answers_every_question(store: Store) -> None:
    errors = {"MLP": {0: 0.3, 1: 0.32}, "ConvNet": {0: 0.2}}
    record = made_benchmark(store, errors, reported=reported())
    found = answers(benchmark_checklist(read_benchmark(store, record)))
    assert NOT_RECORDED not in found.values()
    for question, words in {
        "What was registered": "Not registered",
        "How often was the test split": "3 runs of this store have been evaluated on it so far",
        "Which seeds": "0-2; every config is trained on each of them; no runs failed, 3 still",
        "How was each config chosen": "MLP: by its publication (Table I)",
        "What was spent": "MLP: 2 runs, 6 epochs, 12 s; ConvNet: 1 run, 3 epochs, 6 s",
        "Which data": f"mnist, fingerprint {FINGERPRINT}; train pairs 1,000",
        "Which epoch": "lowest validation error, of equal ones the lowest validation loss",
        "Which statistics": "1 comparison paired by seed",
        "Which code": "with uncommitted changes with numpy 2.0, torch 2.9",
        "Which hardware": "Abacus 7, 2 CPUs, 8 GiB, GPUs: none",
    }.items():
        (answer,) = (text for asked, text in found.items() if asked.startswith(question))
        assert words in answer


def test_a_race_is_said_to_be_one(store: Store) -> None:
    record = made_benchmark(store, {"a": {0: 0.3, 1: 0.32}, "b": {0: 0.2}})
    view = read_benchmark(store, record)
    raced = replace(view, table=replace(view.table, is_raced=True))
    for each, seeds, test in (
        (view, "every config is trained on each of them; ", "sign-flip tests at the 5 %"),
        (raced, "trained on one more of them until it has a verdict; ", "seed, bets on signs, "),
    ):
        found = answers(benchmark_checklist(each))
        assert seeds in found["Which seeds?"]
        assert test in found["Which statistics?"]
        assert ("each until it has a verdict. A" in benchmark_terms(each)) is each.table.is_raced
        notes = comparison_sheet(each.table).notes
        assert ("so few can find none" in " ".join(notes)) is not each.table.is_raced
        lead = described(each, terms="").lead
        assert ("2 configs × at most 3 seeds" in lead) is each.table.is_raced


def test_both_states_of_which_a_test_error_was_read_are_told(store: Store) -> None:
    record = made_benchmark(store, {"a": {0: 0.3, 1: 0.32}, "b": {0: 0.2}})
    view = read_benchmark(store, record)
    assert "lowest validation error. " in f"{benchmark_terms(view)} "
    first, second = view.table.rows
    seed = first.result.seeds[0]
    other = replace(seed, result=replace(seed.result, other={"test_error": 0.4}))
    result = replace(first.result, seeds={**first.result.seeds, 0: other})
    rows = (replace(first, result=result), second)
    both = benchmark_terms(replace(view, table=replace(view.table, rows=rows)))
    assert "lowest validation error, and in 1 run also for the one that the other" in both


def test_what_is_not_counted_as_spent_is_named(store: Store) -> None:
    view = read_benchmark(store, made_benchmark(store, {"a": {0: 0.3, 1: 0.32}, "b": {0: 0.2}}))
    question = "What was spent on each config?"
    assert "without" not in answers(benchmark_checklist(view))[question]
    first, second = view.table.rows
    failed = replace(second, result=replace(second.result, failed={1: "why"}))
    total = spread_of_blocks([[0.1, 0.2], [0.2, 0.3]], 2)
    split = VarianceSplit(total=total, sources={}, missing=0)
    table = replace(view.table, rows=(first, failed), variances={"a": split, "b": split})
    assert answers(benchmark_checklist(replace(view, table=table)))[question] == (
        "a: 2 runs, 6 epochs, 12 s, without those that draw one source anew; b: 1 run, 3 epochs, "
        "6 s, without those that failed and those that draw one source anew"
    )


def test_a_search_answers_every_question(store: Store) -> None:
    add_study(store, "made", 40, confirmed=True)
    found = answers(study_checklist(read_study(store, "made")))
    assert NOT_RECORDED not in found.values()
    assert found["How often was the test split looked at?"] == "never: a search does not read it"
    assert "5 fresh seeds for the best trials" in found["Which seeds?"]
    assert found["How was the winner chosen?"].startswith("40 trials with the sampler ")
    spent = found["What was spent on each config?"]
    assert "baselines: 1 trial, " in spent
    assert "proposals of the sampler: 39 trials, " in spent
    statistics = found["Which statistics?"]
    assert statistics.startswith("a trial's value is that of its one run; mean and standard")
    view = read_study(store, "made")
    queued = [replace(each, was_queued=each.number in (3, 4)) for each in view.trials]
    spent = answers(study_checklist(replace(view, trials=tuple(queued))))
    by_whom = spent["What was spent on each config?"]
    assert "; queued by hand: 2 trials, " in by_whom
    assert "proposals of the sampler: 37 trials, " in by_whom
    add_study(store, "bare", 8)
    bare = answers(study_checklist(read_study(store, "bare")))
    assert NOT_RECORDED not in bare.values()
    assert "not on fresh seeds" in bare["How was the winner chosen?"]
    assert bare["Which statistics?"].endswith("one run; nothing was compared on fresh seeds")


def test_what_of_the_data_is_searched_has_no_fixed_answer(store: Store) -> None:
    add_study(store, "made", 8)
    view = read_study(store, "made")
    assert view.space is not None
    choices = CategoricalParameter(type="categorical", choices=[True, False])
    parameters = {**view.space.parameters, "augment": choices}
    space = view.space.model_copy(update={"parameters": parameters})
    question = "Which data?"
    assert "augment false" in answers(study_checklist(view))[question]
    found = answers(study_checklist(replace(view, space=space)))[question]
    assert "augment" not in found
    assert "train pairs 600" in found


def test_a_population_trains_with_another_seed_each_round(store: Store) -> None:
    add_study(store, "made", 8)
    view = read_study(store, "made")
    assert view.space is not None
    question = "Which seeds?"
    assert answers(study_checklist(view))[question].endswith("the same seeds for every trial")
    space = view.space.model_copy(update={"sampler": PBTSampler(name="pbt")})
    found = answers(study_checklist(replace(view, space=space)))[question]
    assert found.endswith("for every trial, the training's one further each round")


def test_data_of_which_no_samples_are_counted_are_not_said_to_have_a_split(store: Store) -> None:
    add_study(store, "made", 8)
    view = read_study(store, "made")
    assert view.space is not None
    space = view.space.model_copy(update={"data": DataSettings()})
    launch = view.launches[-1]
    found = answers(study_checklist(replace(view, space=space)))["Which data?"]
    assert found == show_data(launch.data_source, launch.data_fingerprint)


def test_what_another_tool_made_is_not_recorded(store: Store) -> None:
    study = optuna.create_study(study_name="foreign", storage=store.optuna_storage)
    study.tell(study.ask(), 0.5)
    found = answers(study_checklist(read_study(store, "foreign")))
    for question in (
        *("What was registered", "How often", "Which seeds", "What was spent", "Which data"),
        *("Which epoch", "Which statistics", "Which code", "Which hardware"),
    ):
        (answer,) = (text for asked, text in found.items() if asked.startswith(question))
        assert answer == NOT_RECORDED
