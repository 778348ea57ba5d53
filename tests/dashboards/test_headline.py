"""What pages begin with: confirmed values lead, and what is missing has its command."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Literal
from xml.etree import ElementTree as ET

import pytest

from dashboards.going_on import confirming_command
from dashboards.headline import (
    benchmark_headline,
    confirmed_headline,
    front_headline,
    unconfirmed_headline,
)
from dashboards.numbers.study.confirmation import Confirmation
from dashboards.numbers.study.view import StudyView
from dashboards.pages.banner import WIDTH, banner
from dashboards.statistics.means import summarise
from dashboards.story import benchmark_outcome, study_headline
from space.metrics import Metric
from tests.dashboards.made.reported_benchmark import ERRORS
from tests.dashboards.made.shelf import Shelf

ERROR = Metric("error", unit="fraction")


@pytest.fixture(scope="module")
def view(shelf: Shelf) -> StudyView:
    """A confirmed study, of whose trials the first is the baseline."""
    return shelf.study(n_trials=40, confirmed=True)


@pytest.fixture
def found(view: StudyView) -> Confirmation:
    """What its fresh seeds say."""
    assert view.confirmation is not None
    return view.confirmation


def test_fresh_seeds_lead_and_the_search_is_told_aside(
    view: StudyView, found: Confirmation
) -> None:
    headline = study_headline(view)
    assert headline == confirmed_headline(found)
    winner = summarise(found.winner.values)
    assert winner.std is not None
    shown = f"{100 * winner.mean:.2f} ± {100 * winner.std:.2f} %"
    assert f"On 5 fresh seeds trial {found.winner.trial_number} has a" in headline.sentence
    assert shown in headline.sentence
    assert "the baseline's 16.84 ± 0.26 %" in headline.sentence
    searched = f"{100 * found.winner.search_value:.2f} %"
    assert searched not in headline.sentence
    assert searched in headline.aside


def test_too_few_seeds_say_how_many_it_takes(view: StudyView, found: Confirmation) -> None:
    headline = confirmed_headline(found)
    assert headline.seeds == found.seeds_needed == 7
    assert "that takes 7" in headline.lacking
    assert view.space is not None
    command = confirming_command("python -m search.launch --space a.yaml", view.space, "s.db", 7)
    assert command is not None
    assert "--confirm-seeds 7" in command
    assert "--storage" in command


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        ("better", ": better than the baseline's 16.84 ± 0.26 %."),
        ("worse", ": worse than the baseline's"),
        ("equivalent", " %, within 1.00 percentage points."),
        ("undecided", ": not distinguishable from the baseline's"),
        ("not ranked", ": not ranked beside the baseline's"),
    ],
)
def test_what_is_shown_is_said_in_the_sentence(
    found: Confirmation, shown: Literal["better"], words: str
) -> None:
    number = found.winner.trial_number
    own = found.comparisons[number]
    paired = replace(own.paired, margin=0.01)
    compared = {number: replace(own, paired=paired, answer=shown)}
    headline = confirmed_headline(replace(found, comparisons=compared))
    assert headline.badge == shown
    assert words in headline.sentence


def test_a_baseline_that_wins_is_named_so(found: Confirmation) -> None:
    headline = confirmed_headline(replace(found, baseline=found.winner.trial_number))
    assert "no other trial does better" in headline.sentence
    failed = replace(found, baseline=found.winner.trial_number, failed={3: 1})
    some = confirmed_headline(failed)
    assert some.badge == "the baseline is ranked first"
    assert "no other trial with every fresh seed does" in some.sentence
    alone = confirmed_headline(replace(failed, trials=(found.winner,)))
    assert alone.badge == "not compared"
    assert alone.sentence.endswith("itself: no other trial has every fresh seed.")
    assert [side.is_reference for side in headline.sides] == [True, False]


def test_without_fresh_seeds_nothing_is_called_better() -> None:
    headline = unconfirmed_headline(ERROR, best=0.04, baseline=0.13, n_complete=40)
    assert headline.badge == "not confirmed"
    assert "4.00 %" not in headline.sentence
    assert headline.aside.startswith("The search's own best error is 4.00 %, the best of 40")
    assert "13.00 %" in headline.aside
    assert headline.lacking
    nothing = unconfirmed_headline(ERROR, best=None, baseline=None, n_complete=0)
    assert (nothing.badge, nothing.lacking) == ("no answer yet", "")


def test_a_trade_off_counts_its_front() -> None:
    assert "2 trials are on the front of error and error" in front_headline([ERROR] * 2, 2).sentence
    assert front_headline([ERROR] * 2, 0).badge == "no answer yet"


def test_a_benchmark_names_its_best_beside_the_reference(shelf: Shelf) -> None:
    headline = benchmark_headline(
        shelf.benchmark({"a": ERRORS["MLP"], "b": ERRORS["ConvNet"]}).table
    )
    assert headline.sentence.startswith("On 3 seeds of the test split b has a test error of 24.00")
    assert "from a's 32.00 ± 2.00 %" in headline.sentence
    assert [side.values for side in headline.sides] == [
        tuple(ERRORS[name].values()) for name in ("MLP", "ConvNet")
    ]
    assert headline.seeds == 6
    assert "takes 6" in headline.lacking
    unfinished = benchmark_headline(shelf.benchmark(ERRORS).table)
    assert unfinished.lacking == "5 runs still to be trained."


def test_a_config_that_is_shown_better_on_fewer_seeds_leads(shelf: Shelf) -> None:
    values = {seed: 0.3 + 0.001 * seed for seed in range(9)}
    early = {seed: 0.1 + 0.002 * seed for seed in range(7)}
    late = {seed: value + 0.0005 * (-1) ** seed - 0.0001 for seed, value in values.items()}
    table = shelf.benchmark({"a": values, "b": early, "c": late}, n_seeds=9).table
    assert table.best is not None
    assert table.best.name == "c"
    for last in (late, dict.fromkeys(values, 0.4)):
        found = shelf.benchmark({"a": values, "b": early, "c": last}, n_seeds=9).table
        headline = benchmark_headline(found)
        assert headline.badge == "better"
        assert headline.sentence == (
            "On 7 seeds of the test split b has a test error of 10.60 ± 0.43 %: better than a's "
            "30.30 ± 0.22 % on the same ones."
        )
        assert [len(side.values) for side in headline.sides] == [7, 7]
        assert headline.lacking == "2 runs still to be trained."


def test_a_reference_that_leads_beats_those_with_as_many_seeds(shelf: Shelf) -> None:
    errors = {"a": dict.fromkeys(range(3), 0.2), "b": dict.fromkeys(range(3), 0.3)}
    all_there = benchmark_headline(shelf.benchmark(errors).table)
    assert "the reference itself: no other config does better" in all_there.sentence
    unfinished = benchmark_headline(shelf.benchmark({**errors, "c": {0: 0.1}}).table)
    assert "no other config with as many seeds does better" in unfinished.sentence


def test_configs_that_are_level_with_the_best_are_named(shelf: Shelf) -> None:
    same = {seed: 0.2 + 0.01 * seed for seed in range(3)}
    errors = {"a": dict.fromkeys(range(3), 0.3), "b": same, "c": {0: 0.22, 1: 0.21, 2: 0.2}}
    said = benchmark_outcome(shelf.benchmark(errors))
    assert said.startswith(
        "b has in the mean the lowest test error, 21.00 ± 1.00 % over 3 seeds, level with c."
    )
    assert "level" not in benchmark_outcome(shelf.benchmark({"a": errors["a"], "b": same}))


def test_runs_that_failed_are_not_still_to_be_trained(shelf: Shelf) -> None:
    table = shelf.benchmark(ERRORS).table
    first, *others, last = table.rows
    for failed, said in (
        ({0: "why"}, "4 runs still to be trained and 1 run failed."),
        (dict.fromkeys(range(3), "why"), "2 runs still to be trained and 3 runs failed."),
    ):
        row = replace(last, result=replace(last.result, failed=failed))
        found = replace(table, rows=(first, *others, row))
        assert benchmark_headline(found).lacking == said


def test_seeds_are_not_asked_for_after_a_look_that_could_have_answered(shelf: Shelf) -> None:
    values = {seed: 0.3 + 0.01 * (-1) ** seed for seed in range(8)}
    other = {seed: 0.2999 - 0.01 * (-1) ** seed for seed in range(8)}
    table = shelf.benchmark({"a": values, "b": other}, n_seeds=8).table
    headline = benchmark_headline(table)
    assert (headline.badge, headline.seeds, headline.lacking) == ("undecided", None, "")
    assert "fresh seeds" in headline.aside
    raced = benchmark_headline(replace(table, is_raced=True))
    assert "--max-seeds" in raced.aside


def test_the_picture_has_a_dot_a_seed_and_says_what_it_shows(found: Confirmation) -> None:
    html = str(banner(confirmed_headline(found), "python -m <search>"))
    assert "python -m &lt;search&gt;" in html
    pictures = [ET.fromstring(each) for each in re.findall(r"<svg.*?</svg>", html, re.DOTALL)]
    assert len(pictures) == 2
    for picture in pictures:
        assert "over 5 seeds" in picture.get("aria-label", "")
        dots = [float(each.get("cx", "")) for each in picture.iter("circle")]
        assert len(dots) == 5
        assert all(0 <= dot <= WIDTH for dot in dots)
    small = str(banner(confirmed_headline(found), "python -m search", is_small=True))
    assert "python -m search" not in small
