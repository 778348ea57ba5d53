"""What a report says of a study in sentences and tables, against what was put into the store."""

from __future__ import annotations

from dataclasses import replace

import optuna
import pytest

from dashboards import story
from dashboards.numbers.study.confirmation import Confirmation
from dashboards.numbers.study.view import StudyView, read_study
from dashboards.pages.overview_page import overview_document
from dashboards.statistics.means import Summary, summarise
from dashboards.tables.provenance import launches_sheet
from dashboards.tables.study import (
    best_sheet,
    best_trials,
    confirmation_sheet,
    space_sheet,
    terms_sheet,
)
from dashboards.words import kept_epoch_note, on_data, show_data
from space import CategoricalParameter
from space.study.samplers import PBTSampler
from space.words import joined
from storage import Store
from tests.dashboards.made.bulk_trials import BASELINE_PARAMS
from tests.dashboards.made.shelf import Shelf


@pytest.fixture(scope="module")
def view(shelf: Shelf) -> StudyView:
    """A confirmed study of 40 trials, the first of them the baseline."""
    return shelf.study(n_trials=40, confirmed=True)


def with_winner(found: Confirmation | None, verdict: str) -> Confirmation:
    """A confirmation whose winner is another trial than the baseline, with a verdict of our own."""
    assert found is not None
    assert found.baseline == 0
    number, comparison = next(iter(found.comparisons.items()))
    first = [each for each in found.trials if each.trial_number == number]
    trials = (*first, *(each for each in found.trials if each not in first))
    return replace(
        found,
        trials=trials,
        comparisons={**found.comparisons, number: replace(comparison, verdict=verdict)},
    )


@pytest.mark.parametrize(
    ("words", "expected"), [(["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_lists(words: list[str], expected: str) -> None:
    assert joined(words) == expected


def test_the_course_of_a_search_adds_up(view: StudyView) -> None:
    counted, cost = story.how_it_went(view, is_running=False)
    counts = view.counts
    assert counted == (
        f"40 trials in 2 launches: {counts['COMPLETE']} complete, {counts['PRUNED']} pruned and "
        f"{counts['FAIL']} failed."
    )
    n_epochs = sum(trial.n_epochs for trial in view.trials)
    n_saved = sum(25 - trial.n_epochs for trial in view.trials if trial.state == "PRUNED")
    assert f"They trained {n_epochs} epochs in " in cost
    assert f"pruning saved {n_saved} further epochs" in cost
    assert story.how_it_went(view, is_running=True)[-1] == "The search is still going on."


def test_what_runs_now_is_named(shelf: Shelf) -> None:
    view = shelf.study(n_trials=60, running=True)
    running = [trial for trial in view.trials if trial.state == "RUNNING"]
    said = story.how_it_went(view, is_running=True)[-1]
    assert said.startswith("Running now: trial ")
    for trial in running:
        assert f"trial {trial.number} ({trial.n_epochs} of 25 epochs)" in said
    more = replace(view, trials=(*view.trials, *running))
    assert said.replace(".", "") not in story.how_it_went(more, is_running=True)[-1]
    assert story.how_it_went(more, is_running=True)[-1].endswith(f"and {len(running)} more.")


def test_the_outcome_names_the_best_and_the_baseline(view: StudyView) -> None:
    complete = [trial for trial in view.trials if trial.state == "COMPLETE"]
    best = min(complete, key=lambda trial: trial.values[0])
    assert story.study_outcome(view) == (
        f"The best is trial {best.number} with a validation error of {100 * best.values[0]:.2f} %, "
        f"against {100 * view.trials[0].values[0]:.2f} % of the baseline, trial 0."
    )


def test_the_best_trials_stand_beside_the_baseline(view: StudyView) -> None:
    complete = [trial for trial in view.trials if trial.state == "COMPLETE"]
    ranked = sorted(complete, key=lambda trial: (trial.values[0], trial.number))
    found = best_trials(view, 2)
    assert found[:2] == ranked[:2]
    assert found[-1].number == 0
    sheet = best_sheet(view, 2)
    assert sheet.columns[1] == f"trial {ranked[0].number} (best)"
    assert sheet.columns[-1] == "trial 0 (baseline)"
    rows = {row[0]: row[1:] for row in sheet.rows}
    assert rows["validation error (%)"][0] == f"{100 * ranked[0].values[0]:.2f}"
    assert {name: rows[name][-1] for name in BASELINE_PARAMS} == {
        name: f"{value:.4g}" for name, value in BASELINE_PARAMS.items()
    }


def test_the_winner_on_fresh_seeds_is_shown_where_it_is_not_among_the_best(view: StudyView) -> None:
    confirmation = view.confirmation
    assert confirmation is not None
    other = max(view.trials, key=lambda trial: trial.number)
    winner = replace(confirmation.winner, trial_number=other.number)
    changed = replace(
        view, confirmation=replace(confirmation, trials=(winner, *confirmation.trials[1:]))
    )
    assert [trial.number for trial in best_trials(changed, 1)[1:]] == [other.number, 0]


def test_what_is_searched_has_no_fixed_value_among_the_terms(view: StudyView) -> None:
    assert view.space is not None
    choices = CategoricalParameter(type="categorical", choices=(10, 50))
    searched = {**view.space.parameters, "batch_size": choices, "width": choices}
    rows = dict(terms_sheet(view.space.model_copy(update={"parameters": searched})).rows)
    assert "batch_size" not in rows["training"]
    assert "width" not in rows["model"]
    assert "epochs" in rows["training"]
    network = {**view.space.parameters, "model": choices}
    rows = dict(terms_sheet(view.space.model_copy(update={"parameters": network})).rows)
    assert rows["trained"] == "10 or 50"


def test_the_space_is_told_with_scales_and_the_baseline(view: StudyView) -> None:
    rows = {row[0]: row[1:] for row in space_sheet(view).rows}
    assert rows["learning_rate"] == ("0.0003 to 0.01", "logarithmic", "-", "0.001")
    assert rows["aux_weight"] == ("0 to 0.9", "linear", "-", "0.6")


def test_the_terms_are_those_of_the_space(view: StudyView) -> None:
    assert view.space is not None
    rows = dict(terms_sheet(view.space).rows)
    assert rows["trained"] == "siamese-aux"
    assert rows["model"] == "name siamese-aux, width 16"
    assert "source digits, n_train_pairs 600" in rows["data"]
    assert "precision float32" in rows["training"]
    assert rows["pruner"] == "asha, rungs at 3, 9"
    assert rows["budget"] == "10,000 trials"
    assert rows["confirmation"] == "the best 3 on 5 fresh seeds"


def test_the_search_is_called_optimistic_of_its_own_best_not_of_the_winner(
    view: StudyView,
) -> None:
    found = view.confirmation
    assert found is not None
    complete = [trial for trial in view.trials if trial.state == "COMPLETE"]
    best = min(complete, key=lambda trial: (trial.values[0], trial.number))
    own = found.search_best
    assert own is not None
    assert (own.trial_number, own.search_value) == (best.number, best.values[0])
    others = [each for each in found.trials if each != own]
    own = replace(own, search_value=own.mean - 0.025)
    found = replace(found, trials=(*others, own), search_best=own)
    sentence = story.confirmation_outcome(found)
    mean, std = 100 * own.mean, 100 * (summarise(own.values).std or 0)
    assert f"trial {others[0].trial_number} does best" in sentence
    assert f"chosen among {len(found.trials)} trials by these very seeds" in sentence
    assert sentence.endswith(
        f"Of its own best, trial {best.number}, the search had said "
        f"{100 * own.search_value:.2f} %; 5 fresh seeds say {mean:.2f} ± {std:.2f} %, which is "
        "2.50 percentage points worse."
    )
    lucky = replace(own, search_value=own.mean + 0.01)
    assert story.confirmation_outcome(replace(found, search_best=lucky)).endswith(
        "which is no worse."
    )
    maximised = replace(found.metric, maximize=True)
    assert story.confirmation_outcome(replace(found, search_best=lucky, metric=maximised)).endswith(
        "which is 1.00 percentage points worse."
    )
    unknown = story.confirmation_outcome(replace(found, search_best=None))
    assert "how optimistic the search was is not known" in unknown


def test_the_confirmations_table_says_who_won_and_how_many_seeds_it_would_take(
    view: StudyView,
) -> None:
    found = view.confirmation
    assert found is not None
    sheet = confirmation_sheet(found)
    assert [row[0] for row in sheet.rows] == [f"trial {each.trial_number}" for each in found.trials]
    assert sheet.rows[0][1].startswith("winner")
    (kept,) = kept_epoch_note(view.measured, ["val_error"], ["metric"])
    assert kept in sheet.notes
    assert any("95 % interval of a mean is what a sign-flip test" in note for note in sheet.notes)
    assert kept in best_sheet(view).notes
    other = replace(found, metric=replace(found.metric, name="train_loss"))
    assert kept not in confirmation_sheet(other).notes
    # Of 5 seeds the smallest p value is 2 / 2**5; two comparisons ask for 0.05 / 2.
    assert len(found.comparisons) == 2
    assert sheet.notes[-1].endswith("no difference from the baseline, however large: that takes 7")
    # So few seeds have no interval either.
    assert {row[4] for row in sheet.rows} == {"-"}


def test_an_error_is_called_the_lowest_of_all_epochs_where_it_chose_the_epoch_alone(
    view: StudyView,
) -> None:
    errors = ["train_error", "val_error"]
    (kept,) = kept_epoch_note(view.measured, errors, view.selections)
    assert kept.startswith("the validation error is optimistic: it is the lowest of all epochs")
    assert kept_epoch_note(view.measured, errors, ["loss"]) == []
    (both,) = kept_epoch_note(view.measured, errors, ["metric", "loss"])
    assert "error is optimistic where the state is kept by it: " in both
    (loss,) = kept_epoch_note(view.measured, ["val_loss"], ["loss"])
    assert loss.startswith("the validation loss is optimistic")
    assert view.confirmation is not None
    of_loss = [replace(trial, selection="loss") for trial in view.confirmation.trials]
    found = replace(view.confirmation, trials=tuple(of_loss))
    for sheet in (
        confirmation_sheet(found),
        best_sheet(replace(view, selections=("loss",))),
    ):
        assert not any("optimistic" in note for note in sheet.notes)


def test_a_trial_that_failed_on_a_fresh_seed_is_named_and_not_ranked(view: StudyView) -> None:
    assert view.confirmation is not None
    found = replace(view.confirmation, failed={7: 1, 3: 2})
    sentence = story.confirmation_outcome(found)
    assert sentence.endswith(
        "Trial 3 failed on 2 fresh seeds and is not ranked. "
        "Trial 7 failed on 1 fresh seed and is not ranked."
    )


def in_per_cent(summary: Summary) -> str:
    assert summary.std is not None
    return f"{100 * summary.mean:.2f} ± {100 * summary.std:.2f} %"


@pytest.mark.parametrize("verdict", ["better", "undecided with 5 seeds, needs 6"])
def test_the_confirmation_is_told_beside_the_baseline(view: StudyView, verdict: str) -> None:
    found = with_winner(view.confirmation, verdict)
    baseline = next(each for each in found.trials if each.trial_number == 0)
    winner, against = summarise(found.winner.values), summarise(baseline.values)
    sentence = story.confirmation_outcome(found)
    assert sentence.startswith(
        f"On 5 fresh seeds trial {found.winner.trial_number} does best: its validation error is "
        f"{in_per_cent(winner)}, against {in_per_cent(against)} of "
        f"the baseline, trial 0, on the same seeds; the verdict: {verdict}. "
    )


def test_a_confirmation_on_one_seed_has_no_verdict(view: StudyView) -> None:
    found = with_winner(view.confirmation, "better")
    trials = tuple(replace(each, values=each.values[:1]) for each in found.trials)
    single = replace(found, trials=trials, comparisons={})
    sentence = story.confirmation_outcome(single)
    assert " of the baseline, trial 0, on the same seed; one seed gives no verdict. " in sentence


def test_a_baseline_that_is_confirmed_as_the_best_is_named_so(view: StudyView) -> None:
    assert view.confirmation is not None
    sentence = story.confirmation_outcome(
        replace(view.confirmation, baseline=view.confirmation.winner.trial_number)
    )
    number = view.confirmation.winner.trial_number
    assert sentence.startswith(f"On 5 fresh seeds trial {number} does best, the baseline itself: ")
    assert "verdict" not in sentence


def test_a_confirmation_without_a_baseline_speaks_of_none(view: StudyView) -> None:
    assert view.confirmation is not None
    found = replace(view.confirmation, baseline=None, comparisons={})
    sentence = story.confirmation_outcome(found)
    assert "baseline" not in sentence
    assert "verdict" not in sentence


def test_a_confirmed_baseline_that_was_pruned_is_marked(view: StudyView) -> None:
    found = view.confirmation
    assert found is not None
    pruned = replace(found.winner, was_pruned=True)
    row, *others = confirmation_sheet(replace(found, trials=(pruned, *found.trials[1:]))).rows
    assert row[2] == f"{100 * pruned.search_value:.2f} (pruned)"
    assert not any("pruned" in other[2] for other in others)


def test_a_trade_off_asks_for_both_objectives(shelf: Shelf) -> None:
    view = shelf.study(n_trials=30, two_objectives=True)
    assert "the best trade-off between the lowest validation error and the lowest number of " in (
        story.question(view)
    )
    assert story.study_outcome(view).startswith(f"{len(view.front)} trials are on the Pareto front")
    assert {trial.number for trial in best_trials(view, 100)} >= set(view.front)


def test_a_populations_epochs_are_those_of_a_round(view: StudyView) -> None:
    assert view.space is not None
    assert " within 25 epochs of training" in story.question(view)
    space = view.space.model_copy(update={"sampler": PBTSampler(name="pbt")})
    asked = story.question(replace(view, space=space))
    assert " in rounds of 25 epochs of training" in asked


def test_a_study_of_another_tool_is_told_by_what_it_drew(store: Store) -> None:
    study = optuna.create_study(study_name="other", storage=store.optuna_storage)
    study.optimize(
        lambda trial: trial.suggest_float("x", 0, 1) + trial.suggest_categorical("c", [1, 2]),
        n_trials=3,
    )
    view = read_study(store, "other")
    assert story.question(view) == "Which c and x give the lowest objective?"
    rows = {row[0]: row[1:] for row in space_sheet(view).rows}
    assert rows == {"x": ("0 to 1", "linear", "-", "-"), "c": ("1, 2", "-", "-", "-")}
    assert story.study_outcome(view).startswith("The best is trial ")


def test_what_needs_no_data_names_none() -> None:
    assert (on_data("mnist"), on_data("mnist", "of")) == (" on mnist", " of mnist")
    assert on_data("none") == on_data(None) == ""
    assert show_data("mnist", "0f") == "mnist, fingerprint 0f"
    assert show_data("none", "none") == "none"


def test_the_overview_does_not_call_fresh_seeds_free_of_luck(shelf: Shelf) -> None:
    text = overview_document(shelf.store(n_trials=40, confirmed=True)).summary
    assert "a winner on fresh seeds was chosen by them, which leaves a little of it" in text


def test_runs_of_a_launch_are_counted_where_some_are_given(view: StudyView, shelf: Shelf) -> None:
    found = shelf.store(n_trials=40, confirmed=True).runs(view.study_id, "search")
    runs = [("search", "config", run) for run in found]
    without, counted = (launches_sheet(view.launches, given) for given in ([], runs))
    assert counted.columns[1] == "runs"
    assert sum(int(row[1]) for row in counted.rows) == len(runs)
    assert (*without.columns[:1], "runs", *without.columns[1:]) == counted.columns
    aligned = [{sheet.columns[place] for place in sheet.left} for sheet in (without, counted)]
    assert aligned[0] == aligned[1] == {"begun", "machine", "code", "data"}


def test_a_study_of_ours_that_has_begun_no_run_yet_counts_epochs(view: StudyView) -> None:
    begun = replace(view, n_runs=0)
    assert {"epochs", "training time (s)"} <= {row[0] for row in best_sheet(begun).rows}
    foreign = {row[0] for row in best_sheet(replace(view, data_source=None)).rows}
    assert "reports" in foreign
    assert not {"epochs", "training time (s)"} & foreign
