"""A study's figures: the right number of points, units, links, and names shown as text."""

from __future__ import annotations

import json
import re
from typing import Any

import optuna
import pytest
from plotly.io.json import to_json_plotly

from dashboards.figures.panel import Panel
from dashboards.figures.study.drawing import hover, log_ticks, thinned
from dashboards.figures.study.panels import MAX_TRIALS, study_panels
from dashboards.figures.template import DARK, LIGHT, escape
from dashboards.numbers.study.view import StudyView, read_study
from dashboards.story import grid_outcome
from storage import Store
from tests.dashboards.made.shelf import Shelf

TAG = re.compile(r"<(?!/?(b|br|span|extra)\b)")
"""Of HTML that plotly would render, all but what we write ourselves."""


def points(panel: Panel, *, mode: str = "markers") -> list[int]:
    """The trials that have points in a figure, one entry a point."""
    return [
        data[0]
        for figure in panel.figures
        for trace in figure.data
        if mode in (getattr(trace, "mode", None) or "") and trace.customdata is not None
        for data in trace.customdata
    ]


def named(panel: Panel, word: str) -> Any:
    """The trace whose name begins with a word."""
    (found,) = [each for each in panel.figures[0].data if (each.name or "").startswith(word)]
    return found


def texts(value: Any) -> list[str]:
    """Every text in a figure's JSON."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for each in value.values() for text in texts(each)]
    return [text for each in value for text in texts(each)] if isinstance(value, list) else []


SEARCH: dict[str, Any] = {"n_trials": 100}
"""A study that has ended."""


@pytest.fixture(scope="module")
def view(shelf: Shelf) -> StudyView:
    return shelf.study(**SEARCH)


@pytest.fixture(scope="module")
def panels(shelf: Shelf) -> dict[str, Panel]:
    return shelf.panels(**SEARCH)


def test_every_panel_of_a_search_that_ended(panels: dict[str, Panel]) -> None:
    assert list(panels) == [
        "history",
        "learning-curves",
        "contour",
        "slices",
        "parallel-coordinates",
        "importances",
        "timeline",
        "cost",
    ]
    for panel in panels.values():
        assert panel.figures[0].layout.template == LIGHT
        assert panel.caption.endswith(".")
        assert "paper_bgcolor" not in panel.figures[0].layout.to_plotly_json()


def test_history_has_a_point_a_trial_and_two_lines(
    view: StudyView, panels: dict[str, Panel]
) -> None:
    history = panels["history"]
    assert sorted(points(history)) == list(range(100))
    for state, word in (("COMPLETE", "complete"), ("PRUNED", "pruned"), ("FAIL", "failed")):
        assert len(named(history, word).x) == view.counts[state]
    best = named(history, "best so far")
    assert list(best.x[:-1]) == view.best_so_far.number_I.tolist()
    assert list(best.y[:-1]) == pytest.approx(view.best_so_far.value_I)
    assert best.x[-1] == 99
    baseline = named(history, "baseline")
    assert view.baseline is not None
    assert set(baseline.y) == {view.baseline.values[0]}
    assert history.figures[0].layout.yaxis.title.text == "validation error (% of pairs)"


def test_trials_without_a_value_stand_in_a_strip(shelf: Shelf) -> None:
    how = {"n_trials": 60, "running": True}
    view, panels = shelf.study(**how), shelf.panels(**how)
    strip = named(panels["history"], "waiting")
    assert strip.yaxis == "y2"
    assert [data[0] for data in strip.customdata] == [60, 61]
    assert len(named(panels["history"], "running").x) == view.counts["RUNNING"] == 4


def test_curves_end_where_their_trials_did(view: StudyView, panels: dict[str, Panel]) -> None:
    curves = panels["learning-curves"].figures[0]
    reported = [each for trace in curves.data if trace.mode == "lines" for each in trace.y]
    assert sum(y is not None for y in reported) == sum(len(t.reports) for t in view.trials)
    ends = {
        data[0]: x
        for trace in curves.data
        if trace.mode == "markers"
        for data, x in zip(trace.customdata, trace.x, strict=True)
    }
    assert ends == {trial.number: trial.n_epochs for trial in view.trials}
    assert {shape.x0 for shape in curves.layout.shapes} == {3, 9} == set(view.rungs)
    names = curves.layout.annotations
    assert [note.text for note in names] == ["rung 3", "rung 9"]
    # In the figure, where lower values are better: above it is the legend.
    assert {(note.y, note.yanchor) for note in names} == {(0, "bottom")}


def test_contours_are_of_what_matters_most(view: StudyView, panels: dict[str, Panel]) -> None:
    shares = view.importances[0].shares
    most, *others = sorted(shares, key=lambda name: -shares[name])
    axes = [
        (f.layout.xaxis.title.text, f.layout.yaxis.title.text) for f in panels["contour"].figures
    ]
    assert axes == [(most, other) for other in others[:2]]
    assert len(points(panels["contour"])) == 2 * view.counts["COMPLETE"]


def test_slices_hold_every_trial_once_a_parameter(
    view: StudyView, panels: dict[str, Panel]
) -> None:
    n = view.counts["COMPLETE"] + view.counts["PRUNED"]
    assert len(points(panels["slices"])) == 4 * n


def test_parallel_coordinates_hold_the_complete_trials(
    view: StudyView, panels: dict[str, Panel]
) -> None:
    (trace,) = panels["parallel-coordinates"].figures[0].data
    assert [each.label for each in trace.dimensions] == [
        *view.distributions,
        "validation error (% of pairs)",
    ]
    for dimension in trace.dimensions:
        assert len(dimension["values"]) == view.counts["COMPLETE"]
    # The best line is drawn last, so it lies on top.
    assert view.best is not None
    assert trace.line.color[-1] == view.best.values[0]


def test_a_bar_for_every_segment(view: StudyView, panels: dict[str, Panel]) -> None:
    bars = panels["timeline"].figures[0].data
    assert sum(len(trace.x) for trace in bars) == len(view.timeline) == 101
    workers = panels["timeline"].figures[0].layout.yaxis.ticktext
    assert set(workers) == {"host 0", "host 1", "host 2", "host 3", "earlier launch"}


def test_cost_ends_at_the_sums(view: StudyView, panels: dict[str, Panel]) -> None:
    spent, whole = panels["cost"].figures[0].data[:2]
    assert spent.y[-1] == view.cost.epochs_T[-1]
    assert whole.y[-1] == view.cost.epochs_T[-1] + view.cost.saved_epochs_T[-1]
    assert f"saved {view.cost.saved_epochs_T[-1]:,} epochs" in panels["cost"].caption


def test_points_lead_to_their_trials(view: StudyView) -> None:
    linked = study_panels(view, trial_url=lambda number: f"/trials/{number}")
    panels = {panel.key: panel for panel in linked}
    for key in ("history", "contour", "slices", "timeline"):
        for trace in panels[key].figures[0].data:
            for data in trace.customdata if trace.customdata is not None else ():
                assert data[1] == f"/trials/{data[0]}"


def test_a_grid_has_its_curves_with_intervals_and_the_baselines_value(shelf: Shelf) -> None:
    view, panels = shelf.study(grid=6), shelf.panels(grid=6)
    assert "contour" not in panels
    grid = panels["grid"].figures[0]
    (line,) = grid.layout.shapes
    assert line.x0 == line.x1 == 0.6
    assert grid.layout.annotations[0].text == "compared with 0.6"
    assert view.grid is not None
    means = [trace for trace in grid.data if trace.mode == "lines+markers"]
    assert [trace.name for trace in means] == ["deepconvnet-aux", "siamese-aux"]
    for trace, curve in zip(means, view.grid.curves, strict=True):
        for index, point in enumerate(curve.points):
            assert point.summary.interval is not None
            low, high = point.summary.interval
            assert trace.y[index] == pytest.approx(point.summary.mean, rel=1e-4)
            assert trace.y[index] + trace.error_y.array[index] == pytest.approx(high, rel=1e-3)
            assert trace.y[index] - trace.error_y.arrayminus[index] == pytest.approx(low, rel=1e-3)
    seeds = [trace for trace in grid.data if trace.mode == "markers"]
    assert sum(len(trace.x) for trace in seeds) == 2 * 10 * 6
    assert named(panels["history"], "complete").error_y.array is not None


def test_a_grids_caption_says_what_each_curve_shows(shelf: Shelf) -> None:
    view, panels = shelf.study(grid=6), shelf.panels(grid=6)
    assert view.grid is not None
    found = [grid_outcome(view.grid, curve) for curve in view.grid.curves]
    assert len(set(found)) == 2
    caption = panels["grid"].caption
    assert caption.endswith(f" deepconvnet-aux: {found[0]} siamese-aux: {found[1]}")


def test_two_objectives_have_a_front_and_no_record(shelf: Shelf) -> None:
    how = {"n_trials": 80, "two_objectives": True}
    view, panels = shelf.study(**how), shelf.panels(**how)
    assert "learning-curves" not in panels
    front = named(panels["pareto-front"], "Pareto front")
    assert [data[0] for data in front.customdata] == list(view.front)
    assert len(points(panels["pareto-front"])) == view.counts["COMPLETE"]
    assert panels["pareto-front"].figures[0].layout.yaxis.title.text == "number of parameters"
    assert not [t for t in panels["history"].figures[0].data if t.name.startswith("best so far")]
    assert len(panels["importances"].figures[0].data) == 2


def test_a_study_of_one_trial_has_few_and_one_of_none_has_none(shelf: Shelf) -> None:
    assert shelf.panels(n_trials=0) == {}
    few = ["history", "learning-curves", "timeline", "cost"]
    assert list(shelf.panels(n_trials=1)) == few


def test_names_are_shown_as_text(shelf: Shelf) -> None:
    panels = shelf.panels(n_trials=60, hostile=True, running=True)
    said = [
        text
        for panel in panels.values()
        for figure in panel.figures
        for text in texts(json.loads(to_json_plotly(figure)))
    ]
    assert any("&lt;img src=x" in text for text in said)
    for text in said:
        assert not TAG.search(text), text
    # What is filled in by plotly holds nothing that a user chose.
    for panel in panels.values():
        for trace in panel.figures[0].data:
            assert "img" not in (getattr(trace, "hovertemplate", None) or "")


def test_many_trials_are_thinned_and_the_caption_says_so(shelf: Shelf) -> None:
    view = shelf.study(n_trials=300)
    panels = {panel.key: panel for panel in study_panels(view, max_trials=50)}
    assert "50 of 300 trials are drawn" in panels["history"].caption
    shown = points(panels["history"])
    assert len(shown) == len(set(shown)) == 50
    assert {*view.front, *view.best_so_far.number_I.tolist(), 0} <= set(shown)
    for panel in panels.values():
        assert len(set(points(panel))) <= 50
    # Sums are of all trials, however few are drawn.
    assert panels["cost"].figures[0].data[0].y[-1] == view.cost.epochs_T[-1]
    assert MAX_TRIALS >= 500


def test_thinning_spreads_evenly_and_keeps_what_matters(view: StudyView) -> None:
    trials = view.trials
    kept = [trial.number for trial in thinned(trials, 6, {50})]
    assert kept == sorted(kept)
    assert len(kept) == 6
    assert {0, 50, 1, 99} <= set(kept)
    assert thinned(trials, 1000, set()) == list(trials)
    assert len(thinned(trials, 1, {50, 60})) == 1


def test_hover_texts_name_trial_values_and_params(view: StudyView) -> None:
    said = hover(view, view.trials[0])
    assert said.startswith("<b>trial 0</b> complete, baseline<br>validation error ")
    assert "<br>25 epochs, " in said
    assert "<br>learning_rate 0.001" in said
    assert "aux_weight" not in hover(view, view.trials[0], only="learning_rate")
    failed = next(trial for trial in view.trials if trial.state == "FAIL")
    assert "the loss is not finite in epoch 4" in hover(view, failed)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (1e-6, 1e-2, [1e-6, 1e-5, 1e-4, 1e-3, 1e-2]),
        (3e-4, 1e-2, [3e-4, 1e-3, 3e-3, 1e-2]),
        (1e-3, 4e-3, [1e-3, 2e-3]),
        (1.1e-3, 1.5e-3, [1.1e-3, 1.5e-3]),
    ],
)
def test_ticks_of_a_logarithmic_axis(low: float, high: float, ticks: list[float]) -> None:
    assert log_ticks(low, high) == pytest.approx(ticks)


def test_dark_paper_has_the_same_settings_in_other_colours() -> None:
    light, dark = LIGHT.to_plotly_json(), DARK.to_plotly_json()
    assert json.dumps(light) != json.dumps(dark)
    assert light["layout"].keys() == dark["layout"].keys()
    assert light["layout"]["colorway"] == dark["layout"]["colorway"]


def test_escaping() -> None:
    assert escape("<b>a & b</b>\n'") == "&lt;b&gt;a &amp; b&lt;/b&gt;<br>'"


def test_each_objective_has_a_history_and_each_two_a_front(store: Store) -> None:
    study = optuna.create_study(
        study_name="three", storage=store.optuna_storage, directions=["minimize"] * 3
    )
    for values in ((1.0, 3.0, 2.0), (2.0, 1.0, 3.0), (3.0, 2.0, 1.0), (4.0, 4.0, 4.0)):
        trial = study.ask()
        trial.suggest_float("x", 0, 1)
        study.tell(trial, values)
    view = read_study(store, "three")
    assert view.front == (0, 1, 2)
    panels = {panel.key: panel for panel in study_panels(view)}
    for place, figure in enumerate(panels["history"].figures):
        (complete,) = [trace for trace in figure.data if trace.name == "complete"]
        assert list(complete.y) == [trial.values[place] for trial in view.trials]
    fronts = panels["pareto-front"].figures
    for figure, (first, second) in zip(fronts, ((0, 1), (0, 2), (1, 2)), strict=True):
        (front,) = [trace for trace in figure.data if trace.name == "Pareto front"]
        assert list(front.x) == [trial.values[first] for trial in view.trials[:3]]
        assert list(front.y) == [trial.values[second] for trial in view.trials[:3]]
        # With a third objective no line is the front.
        assert front.mode == "markers"
