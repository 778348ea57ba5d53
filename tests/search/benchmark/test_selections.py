"""A benchmark's table of what both states of its runs give."""

from __future__ import annotations

import csv
import io

import pytest

from dashboards.numbers.results import collect
from dashboards.numbers.tables import BenchmarkTable, benchmark_table
from dashboards.tables.formats import render
from dashboards.tables.selections import selections_sheet
from search.benchmark.configs import benchmark_configs
from storage import Store
from tests.search.results_store import add_run, begin_launch, named_config
from trainables.shipped.digit_pairs.config import DIGIT_PAIRS


def made(store: Store, selection: str, *, known: bool = True) -> BenchmarkTable:
    """Six seeds of one config, whose other state has a test error that is 0.01 higher."""
    named = named_config("MLP")
    config = named.config.with_values({"training.selection": selection})
    named = type(named).of_config(config, name="MLP")
    launch_id = begin_launch(store)
    for seed in range(6):
        other = {"test_error": 0.31 + 0.001 * seed}
        errors = (0.2, 0.25, 0.3 + 0.001 * seed)
        add_run(store, launch_id, named, seed, errors, other=other if known else None)
    return benchmark_table(collect(store, benchmark_configs([named], range(6))), DIGIT_PAIRS)


@pytest.mark.parametrize(
    ("selection", "cells"),
    [("metric", ("30.25", "31.25", "+1.00")), ("loss", ("31.25", "30.25", "-1.00"))],
)
def test_both_states_stand_side_by_side(
    store: Store, selection: str, cells: tuple[str, ...]
) -> None:
    table = made(store, selection)
    sheet = selections_sheet(table)
    assert sheet is not None
    ((name, n, *found, _),) = sheet.rows
    assert (name, n) == ("MLP", "6")
    assert [cell.partition(" ")[0] for cell in found] == list(cells)
    text = render(table, "text")
    assert sheet.title in text
    assert ("error is optimistic: it is the lowest" in text) is (selection == "metric")
    (first, *_) = csv.DictReader(io.StringIO(render(table, "csv")))
    assert (first["test_error"], first["other_test_error"]) == ("0.3", "0.31")
    assert first["other_val_error"] == ""


def test_runs_of_older_releases_have_no_such_table(store: Store) -> None:
    table = made(store, "metric", known=False)
    assert selections_sheet(table) is None
    assert "by loss" not in render(table, "text")
