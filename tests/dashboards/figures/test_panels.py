"""Panels of several plots, the width that a plot needs, and axes that count."""

from __future__ import annotations

import json
from typing import Any

import optuna
import pytest
from optuna.distributions import IntDistribution

from dashboards.figures.study.panels import study_panels
from dashboards.figures.template import count_axis
from dashboards.numbers.study.view import read_study
from dashboards.pages.study_page import study_document
from storage import Store
from tests.dashboards.made.shelf import Shelf


@pytest.mark.parametrize(("key", "n"), [("slices", 4), ("contour", 2), ("cost", 2)])
def test_plots_stand_for_themselves(shelf: Shelf, key: str, n: int) -> None:
    figures = shelf.panels(n_trials=60)[key].figures
    assert len(figures) == n
    for figure in figures:
        assert figure.layout.xaxis.title.text
        assert figure.layout.yaxis.title.text
        assert figure.layout.height >= 300


def test_losses_keep_the_title_of_each_config_above_its_plot(shelf: Shelf) -> None:
    errors = {name: {0: 0.3, 1: 0.2} for name in ("one", "two", "three", "four")}
    panel = shelf.benchmark_panels(errors)["benchmark-curves"]
    titles = [figure.layout.title.text for figure in panel.figures]
    assert titles == [f"{name}, 2 seeds" for name in errors]
    assert {figure.layout.xaxis.title.text for figure in panel.figures} == {"epoch"}


def test_parallel_axes_keep_their_distance(shelf: Shelf) -> None:
    panel = shelf.panels(n_trials=60)["parallel-coordinates"]
    (figure,) = panel.figures
    margin = figure.layout.margin
    between = (panel.width - margin.l - margin.r) / (len(figure.data[0].dimensions) - 1)
    assert between >= 120


def test_a_page_is_told(shelf: Shelf) -> None:
    panels = shelf.panels(n_trials=60)
    told = json.loads(study_document(shelf.store(n_trials=60), "made").as_json())["panels"]
    assert [each["width"] for each in told] == [panel.width for panel in panels.values()]
    assert [len(each["figures"]) for each in told] == [len(p.figures) for p in panels.values()]


@pytest.mark.parametrize(
    ("lowest", "highest", "expected"), [(0, 0, 1), (0, 2, 1), (1, 11, 1), (0, 11, None)]
)
def test_few_are_counted_one_by_one(lowest: int, highest: int, expected: int | None) -> None:
    assert count_axis(lowest, highest).get("dtick") == expected


def test_trials_and_epochs_are_counted_in_whole_numbers(shelf: Shelf) -> None:
    panels = shelf.panels(n_trials=3)

    def dticks(key: str) -> list[Any]:
        return [figure.layout.xaxis.dtick for figure in panels[key].figures]

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
    assert panels["learning-curves"].figures[0].layout.xaxis.dtick == 1
    assert panels["cost"].figures[0].layout.yaxis.dtick == 1
    assert panels["slices"].figures[0].layout.xaxis.dtick == 1
    assert panels["slices"].figures[1].layout.xaxis.dtick is None


def test_epochs_of_a_short_benchmark_have_no_fractions(shelf: Shelf) -> None:
    panel = shelf.benchmark_panels({"one": {0: 0.3}, "two": {0: 0.3}})["benchmark-curves"]
    assert {figure.layout.xaxis.dtick for figure in panel.figures} == {1}
