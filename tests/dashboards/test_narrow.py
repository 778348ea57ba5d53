"""What figures are on a narrow screen, and axes that count."""

from __future__ import annotations

import itertools
import json
from typing import Any

import optuna
import pytest
from optuna.distributions import IntDistribution

from dashboards.figures.counts import count_axis
from dashboards.figures.narrow import GAP
from dashboards.figures.panel import Panel
from dashboards.figures.study.panels import study_panels
from dashboards.numbers.study.view import read_study
from dashboards.pages.study_page import study_document
from storage import Store
from tests.dashboards.shelf import Shelf


def places(panel: Panel) -> list[tuple[float, float]]:
    """Where the plots of a narrow figure lie, in pixels from the bottom."""
    narrow = panel.narrow
    whole = narrow["height"] - narrow["margin"]["t"] - narrow["margin"]["b"]
    return [
        (whole * value[0], whole * value[1])
        for path, value in narrow.items()
        if path.startswith("yaxis") and path.endswith(".domain")
    ]


@pytest.mark.parametrize(("key", "n"), [("slices", 4), ("contour", 2), ("cost", 2)])
def test_plots_stand_one_below_the_other(shelf: Shelf, key: str, n: int) -> None:
    panel = shelf.panels(n_trials=60)[key]
    found = places(panel)
    assert len(found) == n
    assert all(high - low >= 150 for low, high in found)
    for (low, _), (_, high) in itertools.pairwise(found):
        assert low - high >= GAP - 1
    for index in range(n):
        number = index + 1 if index else ""
        assert panel.narrow[f"xaxis{number}.domain"] == [0, 1]
        assert panel.narrow[f"yaxis{number}.title.text"]
        assert panel.narrow[f"yaxis{number}.showticklabels"]


def test_losses_keep_the_title_of_each_config_above_its_plot(shelf: Shelf) -> None:
    errors = {name: {0: 0.3, 1: 0.2} for name in ("one", "two", "three", "four")}
    panel = shelf.benchmark_panels(errors)["benchmark-losses"]
    assert len(places(panel)) == 4
    titles = [str(note.text) for note in panel.figure.layout.annotations]
    assert [title.split("<br>")[0] for title in titles] == list(errors)
    for index in range(4):
        high = panel.narrow[f"yaxis{index + 1 if index else ''}.domain"][1]
        assert panel.narrow[f"annotations[{index}].y"] == high
        assert panel.narrow[f"annotations[{index}].x"] == 0.5
        name = f"xaxis{index + 1 if index else ''}"
        below = panel.narrow.get(f"{name}.title.text") or panel.figure.layout[name].title.text
        assert below == "epoch"


def test_parallel_axes_keep_their_distance(shelf: Shelf) -> None:
    panel = shelf.panels(n_trials=60)["parallel-coordinates"]
    (trace,) = panel.figure.data
    margin = panel.narrow["margin"]
    between = (panel.narrow["width"] - margin["l"] - margin["r"]) / (len(trace.dimensions) - 1)
    assert between >= 120


def test_a_page_is_told(shelf: Shelf) -> None:
    panels = shelf.panels(n_trials=60)
    told = json.loads(study_document(shelf.store(n_trials=60), "made").as_json())["panels"]
    assert [each["narrow"] for each in told] == [
        json.loads(json.dumps(panel.narrow)) for panel in panels.values()
    ]


def test_four_parameters_stand_two_abreast(shelf: Shelf) -> None:
    layout = shelf.panels(n_trials=60)["slices"].figure.layout
    assert layout.xaxis.domain == layout.xaxis3.domain
    assert layout.xaxis.domain[1] - layout.xaxis.domain[0] > 0.4


@pytest.mark.parametrize(
    ("lowest", "highest", "expected"), [(0, 0, 1), (0, 2, 1), (1, 11, 1), (0, 11, None)]
)
def test_few_are_counted_one_by_one(lowest: int, highest: int, expected: int | None) -> None:
    assert count_axis(lowest, highest).get("dtick") == expected


def test_trials_and_epochs_are_counted_in_whole_numbers(shelf: Shelf) -> None:
    panels = shelf.panels(n_trials=3)

    def dticks(key: str) -> list[Any]:
        return [axis.dtick for axis in panels[key].figure.select_xaxes()]

    assert dticks("history") == [1]
    assert dticks("cost") == [1, 1]


def test_short_trials_and_whole_parameters_have_no_fractions(store: Store) -> None:
    study = optuna.create_study(study_name="short", storage=store.optuna_storage)
    distributions = {"depth": IntDistribution(1, 4), "width": IntDistribution(1, 999)}
    for depth, width in ((1, 16), (2, 64), (4, 640)):
        study.add_trial(
            optuna.create_trial(
                params={"depth": depth, "width": width},
                distributions=dict(distributions),
                intermediate_values={epoch: 1 / epoch for epoch in (1, 2, 3)},
                value=0.5,
            )
        )
    panels = {panel.key: panel for panel in study_panels(read_study(store, "short"))}
    assert panels["learning-curves"].figure.layout.xaxis.dtick == 1
    assert panels["cost"].figure.layout.yaxis.dtick == 1
    assert panels["slices"].figure.layout.xaxis.dtick == 1
    assert panels["slices"].figure.layout.xaxis2.dtick is None


def test_epochs_of_a_short_benchmark_have_no_fractions(shelf: Shelf) -> None:
    panel = shelf.benchmark_panels({"one": {0: 0.3}, "two": {0: 0.3}})["benchmark-losses"]
    assert {axis.dtick for axis in panel.figure.select_xaxes()} == {1}
