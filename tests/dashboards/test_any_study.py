"""Every figure of whatever study there may be: any number of trials, any state, any value."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from dashboards.figures.benchmark import panels as benchmark_figures
from dashboards.figures.panel import Panel
from dashboards.figures.study import panels as study_figures
from dashboards.figures.study.panels import study_panels
from dashboards.numbers.study.view import StudyView, read_study
from dashboards.pages.benchmark_page import benchmark_document
from dashboards.pages.study_page import study_document
from dashboards.publish import publish, published_figures
from dashboards.report import report
from dashboards.story import how_it_went
from dashboards.tables.study import best_sheet
from space.metrics import Metric
from storage import Store, open_store
from storage.benchmarks import load_benchmarks
from storage.summaries.best import pareto_front
from tests.dashboards.made.bulk_benchmark import add_benchmark
from tests.dashboards.made.bulk_study import add_study
from tests.dashboards.made.foreign_trials import VALUES, add_trials, draw_trials

COMPLETE, PRUNED = TrialState.COMPLETE, TrialState.PRUNED
MIXTURES = {"all": tuple(TrialState), **{each.name: (each,) for each in TrialState}}
STEPS = ((), (0,), (0, 1, 2), (-5, 0, 5), (1_000_000, 1_000_001))

COMBINATIONS = [
    # Some of all combinations, in which each two settings meet.
    (n, mixture, values, n_params, n_objectives, STEPS[(n_params + place) % len(STEPS)])
    for place, (n, mixture, values, (n_params, n_objectives)) in enumerate(
        itertools.product(
            (1, 2, 12),
            MIXTURES,
            VALUES,
            ((0, 1), (1, 2), (2, 1), (3, 3), (4, 1), (5, 1), (5, 2)),
        )
    )
    if place % 17 == 0
] + [
    (1001, "all", "usual", 2, 1, ()),
    (1001, "FAIL", "usual", 5, 1, (0,)),
    (1001, "COMPLETE", "infinite", 5, 2, ()),
    (2000, "all", "usual", 5, 1, (0, 1)),
    (2000, "all", "huge", 3, 3, ()),
    (2000, "WAITING", "usual", 1, 1, ()),
]


@pytest.fixture(scope="module")
def whatever(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store of studies of every kind, named by their place in `COMBINATIONS`."""
    store = open_store(str(tmp_path_factory.mktemp("whatever") / "s.db"))
    for place, (n, mixture, values, n_params, n_objectives, steps) in enumerate(COMBINATIONS):
        study = foreign(store, str(place), n_objectives)
        trials = draw_trials(
            n,
            MIXTURES[mixture],
            values=values,
            n_params=n_params,
            conditional=place % 2 == 1,
            n_objectives=n_objectives,
            steps=steps if n_objectives == 1 else (),
            nan=place % 3 == 1,
        )
        add_trials(store.engine, study, trials, baselines=place % 3)
    yield store
    store.close()


def foreign(store: Store, name: str, n_objectives: int = 1) -> optuna.Study:
    """A study that Optuna alone knows."""
    return optuna.create_study(
        study_name=name, storage=store.optuna_storage, directions=["minimize"] * n_objectives
    )


def named(panels: list[Panel], key: str) -> Any:
    """The figure of a key."""
    ((found,),) = [panel.figures for panel in panels if panel.key == key]
    return found


def failures(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the log says of figures that cannot be drawn."""
    return [each.getMessage() for each in caplog.records if each.name.startswith("dashboards.")]


@pytest.mark.parametrize("part", range(4))
def test_every_figure_of_every_study_can_be_drawn(
    whatever: Store, part: int, caplog: pytest.LogCaptureFixture
) -> None:
    for place in range(part, len(COMBINATIONS), 4):
        page = study_document(whatever, str(place)).as_json()
        # JSON has no NaN and no infinity, and no browser reads them.
        json.loads(page, parse_constant=pytest.fail)
        view = read_study(whatever, str(place))
        assert len(view.trials) == COMBINATIONS[place][0]
        figures, left_out = published_figures(view)
        assert figures
        assert left_out == ()
        assert failures(caplog) == [], COMBINATIONS[place]


def test_a_report_on_a_third_of_them(whatever: Store, caplog: pytest.LogCaptureFixture) -> None:
    names = [str(place) for place in range(0, len(COMBINATIONS), 3)]
    text = report(whatever, names, [])
    assert text.count('class="figures"') == len(names)
    assert failures(caplog) == []


def test_many_trials_and_one_without_a_value(store: Store) -> None:
    for state, n in (("WAITING", 1000), ("FAIL", 30), ("RUNNING", 30), ("PRUNED", 30)):
        trials = draw_trials(n, [COMPLETE]) + draw_trials(1, [TrialState[state]])
        add_trials(store.engine, foreign(store, state), trials)
        document = study_document(store, state)
        (strip,) = [each for each in named(list(document.panels), "history").data if each.yaxis]
        assert list(strip.x) == [n]
    assert publish(store, "WAITING").figures.keys() >= {"history", "contour", "slices"}


def test_reports_of_another_tool_are_no_epochs_that_were_trained(store: Store) -> None:
    trials = draw_trials(6, [COMPLETE, PRUNED, TrialState.FAIL], steps=(1, 2, 3))
    add_trials(store.engine, foreign(store, "steps"), trials)
    document = study_document(store, "steps")
    for text in (document.lead, document.summary, document.details):
        assert "epochs" not in str(text)
        assert "of training" not in str(text)
    view = read_study(store, "steps")
    (counted,) = how_it_went(view, is_running=False)
    assert counted == "6 trials: 2 complete, 2 pruned and 2 failed."
    assert [row[0] for row in best_sheet(view).rows][:3] == ["state", "objective", "reports"]


def test_a_baseline_without_a_finite_value_is_none_to_compare_with(store: Store) -> None:
    add_trials(
        store.engine,
        foreign(store, "infinite"),
        draw_trials(6, [COMPLETE], values="never finite"),
        baselines=1,
    )
    assert study_document(store, "infinite").outcome


def test_a_study_without_trials(store: Store) -> None:
    foreign(store, "none")
    assert study_document(store, "none").panels == ()
    assert "No trial has begun yet." in report(store, ["none"], [])
    assert publish(store, "none").figures == {}


@pytest.mark.parametrize(("steps", "shown"), [((0,), (-0.5, 0.5)), ((-3, 0, 2), (-3.5, 2.5))])
def test_curves_begin_at_the_first_step(
    store: Store, steps: tuple[int, ...], shown: tuple[float, float]
) -> None:
    """Optuna's own examples count steps from 0, and a pruner may stop a trial there."""
    add_trials(
        store.engine, foreign(store, "steps"), draw_trials(30, [PRUNED, COMPLETE], steps=steps)
    )
    view = read_study(store, "steps")
    curves = named(study_panels(view), "learning-curves")
    low, high = curves.layout.xaxis.range
    assert (low, high) == shown
    ends = [trace for trace in curves.data if trace.mode == "markers"]
    assert sum(len(trace.x) for trace in ends) == 30
    assert all(low < x < high for trace in curves.data for x in trace.x if x is not None)
    assert curves.layout.xaxis.title.text == "step"


def test_a_curve_that_ends_in_no_number_has_its_mark_before(store: Store) -> None:
    trial = optuna.create_trial(state=PRUNED, intermediate_values={0: 0.5, 1: float("nan")})
    add_trials(store.engine, foreign(store, "nan"), [trial])
    curves = named(study_panels(read_study(store, "nan")), "learning-curves")
    (end,) = [trace for trace in curves.data if trace.mode == "markers"]
    assert (list(end.x), list(end.y)) == ([0], [0.5])


def test_the_front_of_many_objectives_is_that_of_the_definition(store: Store) -> None:
    trials = draw_trials(200, [COMPLETE], n_objectives=3)
    add_trials(store.engine, foreign(store, "front", 3), [*trials, *trials[:20]])
    found = read_study(store, "front").trials
    metrics = [Metric(name="m", words="m", maximize=each) for each in (False, True, False)]

    def is_dominated(one: tuple[float, ...]) -> bool:
        signed = [(a, -b, c) for a, b, c in (each.values for each in found)]
        own = (one[0], -one[1], one[2])
        return any(
            each != own and all(a <= b for a, b in zip(each, own, strict=True)) for each in signed
        )

    expected = {each.number for each in found if not is_dominated(each.values)}
    front = pareto_front(found, metrics)
    assert {each.number for each in front} == expected
    assert len(front) == len(expected) > 5
    # As many on the front as there are trials: each is compared with all before it.
    line = [
        replace(each, values=(float(number), -float(number), 0.0))
        for number, each in enumerate(found)
    ]
    assert len(pareto_front(line, [Metric(name="m", words="m")] * 3)) == len(found)


def broken(_: Any) -> Panel:
    """Draws nothing, for want of something that a figure needs."""
    raise ValueError("a reason\nof two lines")


def test_a_figure_that_fails_costs_that_figure_alone(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    add_study(store, n_trials=60, confirmed=True)
    add_benchmark(store)
    (record,) = load_benchmarks(store)
    sound = {panel.key for panel in study_panels(read_study(store, "made"))}
    monkeypatch.setattr(study_figures, "contour_panel", broken)
    monkeypatch.setattr(benchmark_figures, "curves_panel", broken)

    def said() -> list[str]:
        lines = failures(caplog)
        caplog.clear()
        assert all("\n" not in line and "ValueError" in line for line in lines)
        return lines

    for make, key in (
        (lambda: study_document(store, "made"), "contour"),
        (lambda: benchmark_document(store, record), "benchmark-curves"),
    ):
        document = make()
        assert named(list(document.panels), key).layout.annotations[0].text.endswith("drawn.")
        assert "cannot be drawn" in document.as_json().decode()
        assert len(said()) == 1
    text = report(store, ["made"], [record.name])
    assert text.count("This figure cannot be drawn.") == 2
    assert len(said()) == 2
    assert {panel for panel in publish(store, "made").figures if panel in sound} == sound
    assert len(said()) == 1


def test_numbers_that_fail_cost_their_figure_alone(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    add_study(store, n_trials=60)
    monkeypatch.setattr(StudyView, "importances", property(broken))
    panels = study_panels(read_study(store, "made"))
    assert named(panels, "importances").layout.annotations
    assert len(panels) == 8
    assert len(failures(caplog)) == 1
