"""A public table as curves, over which searches are replayed."""

from __future__ import annotations

import pytest

from search.simulate.cost import Way, measure
from space.errors import UsageError
from tests.benchmarks.searching.public_tables import curves_of, main

SPACE = {"alpha": [1e-8, 1e-4, 1.0], "depth": [1, 2], "learning_rate_init": [1e-5, 1e-2]}
RESULTS = {
    f"{alpha}{depth}{rate}": {
        "val_acc": [0.5 + 0.1 * alpha + 0.05 * depth + 0.1 * rate + 0.01 * i for i in range(3)],
        "train_time": [20.0, 21.0, 22.0],
    }
    for alpha in range(3)
    for depth in range(2)
    for rate in range(2)
}


def test_a_table_is_curves_of_one_epoch() -> None:
    """One setting has two seeds: no setting has more."""
    fewer = {**RESULTS, "000": {"val_acc": [0.5, 0.51], "train_time": [20.0, 21.0]}}
    curves = curves_of("hpobench/made", SPACE, fewer)
    assert (len(curves.points), curves.n_seeds, curves.epochs) == (12, 2, 1)
    last = curves.points[-1]
    assert last.params == {"alpha": 1.0, "depth": 2, "learning_rate_init": 1e-2}
    assert [run.metrics["val_error"][0] for run in last.runs] == pytest.approx([0.15, 0.14])
    assert [run.epoch_seconds for run in last.runs] == [20.0, 21.0]
    parameters = curves.space.parameters
    assert {name: getattr(each, "log", None) for name, each in parameters.items()} == {
        "alpha": True,
        "depth": False,
        "learning_rate_init": True,
    }


def test_searches_find_the_best_of_it() -> None:
    curves = curves_of("hpobench/made", SPACE, RESULTS)
    ways = [Way(sampler={"name": "random"}, pruner={"name": "none"})]
    table = measure(curves, ways, n_seeds=2, n_workers=2, max_epochs=60, tolerance=0.001)
    assert table.best == pytest.approx(0.14)
    assert [row.behind for row in table.rows] == pytest.approx([0.0])
    assert table.rows[0].trials == {"COMPLETE": 60}


def test_a_table_of_no_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="expected one of hpobench, hpolib, nasbench201, a /"):
        main(["--tables", "mine/segment"])
