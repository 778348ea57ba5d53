"""A benchmark's figures: the right number of points, at the right places, names shown as text."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from dashboards.figures.benchmark.panels import benchmark_panels
from dashboards.figures.panel import Panel
from dashboards.figures.template import LIGHT, PALETTE, config_colours
from dashboards.numbers.benchmark import read_benchmark
from storage import Store
from tests.dashboards.made.reported_benchmark import (
    ERRORS,
    HOSTILE,
    LOSSES,
    add_result,
    begin_launch,
    benchmark_config,
    reported,
    save,
)
from tests.dashboards.made.shelf import Shelf

KEYS = [
    "benchmark-seeds",
    "benchmark-differences",
    "benchmark-curves",
    "benchmark-parameters",
    "benchmark-seconds",
]


def traces(panel: Panel) -> dict[str, Any]:
    return {trace.name: trace for trace in panel.figures[0].data if trace.name}


def test_panels_come_in_order_in_the_house_template(shelf: Shelf) -> None:
    found = shelf.benchmark_panels(ERRORS)
    assert list(found) == KEYS
    for panel in found.values():
        assert panel.figures[0].layout.template == LIGHT
        assert panel.caption.endswith(".")


def test_every_seed_is_a_point_beside_mean_and_reported_value(shelf: Shelf) -> None:
    drawn = shelf.benchmark_panels(ERRORS, reported=reported())["benchmark-seeds"]
    found = traces(drawn)
    assert list(found["a seed"].x) == [0.30, 0.32, 0.34, 0.20, 0.25, 0.27, 0.1]
    # A seed has the same height in every row.
    heights = [round(y - math.floor(y + 0.5), 6) for y in found["a seed"].y]
    assert heights[:3] == heights[3:6]
    assert heights[2] == heights[6]
    means = found["mean, 95 % interval"]
    assert list(means.x) == pytest.approx([0.32, 0.24, 0.1])
    # Three seeds are too few for an interval.
    assert list(means.error_x.array) == [0, 0, 0]
    beside = found["reported, standard deviation"]
    assert list(beside.x) == [0.22] * 4
    assert list(beside.error_x.array) == [0.02] * 4
    assert len(drawn.figures[0].layout.yaxis.ticktext) == 4
    assert drawn.figures[0].layout.yaxis.ticktext[2] == "Siamese<br>1 of 3 seeds"


def test_without_reported_values_there_are_none_and_empty_rows_go(shelf: Shelf) -> None:
    drawn = shelf.benchmark_panels(ERRORS)["benchmark-seeds"]
    assert list(traces(drawn)) == ["a seed", "mean, 95 % interval"]
    assert len(drawn.figures[0].layout.yaxis.ticktext) == 3
    assert "reported" not in drawn.caption


def test_no_interval_of_errors_leaves_what_errors_can_be(shelf: Shelf) -> None:
    low = dict(enumerate([0.0, 0.0, 0.0, 0.0, 0.01, 0.05]))
    found = shelf.benchmark_panels({"low": low, "high": {0: 0.96, 1: 0.98, 2: 1.0}}, n_seeds=6)
    means = traces(found["benchmark-seeds"])["mean, 95 % interval"]
    assert means.x[0] - means.error_x.arrayminus[0] == pytest.approx(0)
    assert means.x[0] + means.error_x.array[0] == pytest.approx(0.05)
    for bars in found["benchmark-parameters"].figures[0].data:
        assert bars.y[0] - bars.error_y.arrayminus[0] >= -1e-9
        assert bars.y[0] + bars.error_y.array[0] <= 1 + 1e-9


def test_differences_carry_the_verdict(shelf: Shelf) -> None:
    ten = {seed: 0.3 + 0.001 * seed for seed in range(10)}
    better = {seed: error - 0.05 - 0.002 * (seed % 3) for seed, error in ten.items()}
    drawn = shelf.benchmark_panels({"one": ten, "two": better}, n_seeds=10)["benchmark-differences"]
    found = traces(drawn)
    assert len(found["a seed"].x) == 10
    assert found["a seed"].x[0] == pytest.approx(-0.05)
    mean = found["mean, 95 % interval"]
    assert mean.x[0] == pytest.approx(-0.05 - 0.002 * 9 / 10)
    assert mean.x[0] - mean.error_x.arrayminus[0] < mean.x[0] < mean.x[0] + mean.error_x.array[0]
    assert drawn.figures[0].layout.yaxis.ticktext == ("two<br>better",)
    assert mean.marker.symbol == ("triangle-left",)


def test_a_config_alone_is_compared_with_nothing(shelf: Shelf) -> None:
    assert list(shelf.benchmark_panels({"one": {0: 0.1, 1: 0.2}})) == [
        key for key in KEYS if key != "benchmark-differences"
    ]


def test_a_config_with_one_common_seed_has_a_point_and_no_interval(shelf: Shelf) -> None:
    drawn = shelf.benchmark_panels(ERRORS)["benchmark-differences"]
    mean = traces(drawn)["mean, 95 % interval"]
    assert list(mean.error_x.array)[1] == list(mean.error_x.arrayminus)[1] == 0
    assert drawn.figures[0].layout.yaxis.ticktext[1] == "Siamese<br>not compared: 1 common seed"


def test_losses_have_a_band_and_a_line_a_split_and_config(shelf: Shelf) -> None:
    drawn, *others = shelf.benchmark_panels(ERRORS)["benchmark-curves"].figures
    assert [len(each.data) for each in (drawn, *others)] == [6] * 3
    low, high, mean = drawn.data[:3]
    assert list(mean.x) == [1, 2, 3]
    assert list(low.y) == pytest.approx([train for train, _ in LOSSES])
    assert list(high.y) == pytest.approx([train + 0.02 for train, _ in LOSSES])
    assert list(mean.y) == pytest.approx([train + 0.01 for train, _ in LOSSES])
    assert [trace.name for trace in drawn.data if trace.name] == [
        "train loss",
        "validation loss",
    ]


def test_errors_against_costs_are_a_point_a_config(shelf: Shelf) -> None:
    found = shelf.benchmark_panels(ERRORS)
    parameters = found["benchmark-parameters"].figures[0]
    assert [trace.x[0] for trace in parameters.data] == [1_000, 10_000, 100_000]
    assert [trace.y[0] for trace in parameters.data] == pytest.approx([0.32, 0.24, 0.1])
    assert parameters.layout.xaxis.type == "log"
    seconds = found["benchmark-seconds"].figures[0]
    assert [trace.x[0] for trace in seconds.data] == pytest.approx([6.0, 6.0, 6.0])
    assert len({trace.marker.symbol for trace in seconds.data}) == 3


def test_seconds_of_unlike_machines_are_said_to_be_no_comparison(store: Store) -> None:
    configs = [benchmark_config("one"), benchmark_config("two", "convnet")]
    for config, processor in zip(configs, ("Abacus 7", "Abacus 8"), strict=True):
        launch_id = begin_launch(store, hardware={"processor": processor})
        add_result(store, launch_id, config, 0, 0.2)
    view = read_benchmark(store, save(store, configs))
    captions = {panel.key: panel.caption for panel in benchmark_panels(view)}
    assert "2 kinds of machine (Abacus 7, Abacus 8)" in captions["benchmark-seconds"]


def test_nothing_is_drawn_of_a_benchmark_that_nobody_has_run(shelf: Shelf) -> None:
    assert shelf.benchmark_panels({"one": {}}) == {}


def test_every_axis_has_a_unit_or_a_count(shelf: Shelf) -> None:
    for panel in shelf.benchmark_panels(ERRORS).values():
        titles = {
            axis.title.text
            for figure in panel.figures
            for axis in (figure.layout.xaxis, figure.layout.yaxis)
            if axis.title.text
        }
        assert titles <= {
            "test error (% of pairs)",
            "difference in test error<br>(% of pairs)",
            "epoch",
            "loss (nats)",
            "number of parameters",
            "training time of a run (s)",
        }
        assert panel.figures[0].layout.xaxis.title.text or panel.key == "benchmark-curves"


def test_a_hostile_name_is_shown_as_text(shelf: Shelf) -> None:
    hostile = {HOSTILE: {0: 0.3, 1: 0.2}, f"two {HOSTILE}": {0: 0.2, 1: 0.3}}
    for panel in shelf.benchmark_panels(hostile, reported=reported()).values():
        drawn = panel.figures[0].to_json()
        assert "<img" not in drawn
        assert "<b>" not in drawn
        assert "&lt;img" in drawn
        assert "hovertemplate" not in panel.figures[0].to_dict()["data"][0]


def test_configs_have_colours_of_their_own_the_same_in_every_figure(shelf: Shelf) -> None:
    errors = {name: {0: 0.3, 1: 0.2} for name in ("one", "two", "three", "four")}
    found = shelf.benchmark_panels(errors)
    colours = [trace.marker.color for trace in found["benchmark-parameters"].figures[0].data]
    assert colours == list(PALETTE[:4])
    seconds = found["benchmark-seconds"].figures[0].data
    assert [trace.marker.color for trace in seconds] == colours
    seeds = traces(found["benchmark-seeds"])["a seed"]
    assert list(seeds.marker.color) == [colour for colour in colours for _ in range(2)]


def test_a_config_keeps_its_colour_while_others_are_missing(store: Store) -> None:
    one, two = benchmark_config("one", "siamese"), benchmark_config("two", "siamese")
    other = two.config.with_values({"training.learning_rate": 1e-2})
    seeded = [{"data.data_seed": s, "training.training_seed": s} for s in range(3)]
    hashes = tuple(other.with_values(values).config_hash() for values in seeded)
    two = dataclasses.replace(two, config=other, config_hashes=hashes)
    add_result(store, begin_launch(store), two, 0, 0.2)
    view = read_benchmark(store, save(store, [one, two]))
    drawn = {panel.key: panel for panel in benchmark_panels(view)}
    (only,) = drawn["benchmark-parameters"].figures[0].data
    assert only.marker.color == PALETTE[1]


def test_more_configs_than_colours_use_them_again() -> None:
    colours = list(config_colours(map(str, range(10))).values())
    assert set(colours) == set(PALETTE)
    assert len(set(colours[:7])) == 7
