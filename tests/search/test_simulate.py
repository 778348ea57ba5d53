"""The cost of samplers and pruners: known answers, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.simulate.__main__ import choose_ways, main
from search.simulate.cost import CostTable, Row, Way, measure
from search.simulate.curves_file import LearningCurves, RecordedRun
from space import parse_space
from space.errors import UsageError, UserError
from tests.benchmarks import search_cost
from tests.benchmarks.results import read_result

from .made_curves import SPACE, a_run, made_curves

NONE = {"name": "none"}
RANDOM = {"name": "random"}


def flat(error: float, fresh: float, seconds: float = 2.0) -> RecordedRun:
    """A run that says the same in each of its 4 epochs."""
    return a_run(error, error, error, error, seconds=seconds, fresh=fresh)


@pytest.fixture
def curves() -> LearningCurves:
    """Five points on two seeds. Point 3 is the best, 1 is within a point of it; the search's first
    seed takes point 0 for the best, which is worth little.
    """
    return made_curves(
        [
            [flat(0.05, 0.30), flat(0.40, 0.50)],
            [flat(0.20, 0.21), flat(0.20, 0.20)],
            [flat(0.30, 0.25), flat(0.30, 0.35)],
            [flat(0.10, 0.20), flat(0.10, 0.20)],
            [flat(0.50, 0.50), flat(0.50, 0.50)],
        ]
    )


@pytest.fixture
def slope() -> LearningCurves:
    """Forty points, each worth less the further it is from point 30."""
    errors = [0.1 + abs(point - 30) / 100 for point in range(40)]
    return made_curves([[flat(error, error)] for error in errors])


def cost(curves: LearningCurves, *ways: Way, **settings: Any) -> CostTable:
    """The table of some ways, one worker, a budget that suffices."""
    given = {"n_seeds": 6, "n_workers": 1, "max_epochs": 400, "tolerance": 0.01, **settings}
    return measure(curves, ways, **given)


def every_point(curves: LearningCurves, **settings: Any) -> Row:
    """The row of a full grid."""
    return cost(curves, Way(sampler=None, pruner=NONE), **settings).rows[0]


def test_a_full_grid_costs_what_its_order_says(curves: LearningCurves) -> None:
    table = cost(curves, Way(sampler=None, pruner=NONE))
    assert (table.n_points, table.grid_epochs, table.n_recorded_seeds) == (5, 20, 2)
    assert table.best == pytest.approx(0.20)
    assert table.n_within == 2
    firsts = []
    for seed in range(6):
        order = np.random.default_rng(seed).permutation(5).tolist()
        seen = [[0.05, 0.4][seed % 2], 0.2, 0.3, 0.1, 0.5]
        best = None
        for n, point in enumerate(order, start=1):
            if best is None or seen[point] < seen[best]:
                best = point
            if best in (1, 3):
                firsts.append(4 * n)
                break
        else:
            firsts.append(10_000)
    low, median, high = (sorted(firsts)[i] for i in (2, 3, 4))
    row = table.rows[0]
    assert [each or 10_000 for each in row.epochs_by_seed] == firsts
    reached = [each for each in (low, median, high) if each < 10_000]
    found = (row.epochs.low, row.epochs.median, row.epochs.high)
    assert [each for each in found if each is not None] == reached
    assert row.epochs.median is not None
    assert row.seconds.median == pytest.approx(2 * row.epochs.median)
    assert row.share_of_grid == pytest.approx(row.epochs.median / 20)
    assert row.share_reached == sum(each < 10_000 for each in firsts) / 6
    # At its end a grid on the first seed picks point 0 (0.40), on the second point 3 (0.20).
    assert row.final_value == pytest.approx(0.30)
    assert row.final_share == 0.5
    assert row.trials == {"COMPLETE": 5.0}
    assert (row.sampler, row.pruner) == ("every point", "none")


def test_quartiles_of_an_even_number_of_seeds_are_the_higher_ones(curves: LearningCurves) -> None:
    row = every_point(curves, n_seeds=4, n_workers=1, tolerance=1e-6)
    orders = [np.random.default_rng(seed).permutation(5).tolist() for seed in range(4)]
    # Point 3 is good; on the first seed it is never the best once point 0 was seen.
    firsts = sorted(
        float("inf")
        if seed % 2 == 0 and order.index(0) < order.index(3)
        else 4 + 4 * order.index(3)
        for seed, order in enumerate(orders)
    )
    assert firsts[1] != firsts[2]
    found = (row.epochs.low, row.epochs.median, row.epochs.high)
    expected = [each if each < float("inf") else None for each in (firsts[1], firsts[2], firsts[3])]
    assert list(found) == expected


def test_workers_share_the_time_but_not_the_epochs(curves: LearningCurves) -> None:
    alone, together = every_point(curves), every_point(curves, n_workers=5)
    assert together.seconds.high == pytest.approx(8.0)
    assert alone.seconds.high is not None
    assert alone.seconds.high > 8.0
    assert together.epochs.low is not None
    assert together.epochs.low > 15


def test_replicates_are_further_recorded_seeds_and_their_mean_decides(
    curves: LearningCurves,
) -> None:
    table = cost(curves, Way(sampler=None, pruner=NONE, replicates=2))
    row = table.rows[0]
    # On both seeds together point 3 is the best, whichever comes first; each costs 8 epochs.
    assert row.final_value == pytest.approx(0.20)
    assert (row.share_reached, row.final_share) == (1.0, 1.0)
    orders = [np.random.default_rng(seed).permutation(5).tolist() for seed in range(6)]
    firsts = sorted(8 * (1 + min(order.index(1), order.index(3))) for order in orders)
    # Point 0's mean is 0.225, above point 1's 0.2: whoever meets 1 or 3 is there.
    assert (row.epochs.low, row.epochs.median) == (firsts[2], firsts[3])
    assert row.seconds.median == pytest.approx(2 * firsts[3])
    assert row.share_of_grid == pytest.approx(firsts[3] / 40)


def test_a_tolerance_and_a_budget_decide_who_got_there(curves: LearningCurves) -> None:
    wide = every_point(curves, tolerance=1.0)
    assert (wide.epochs.low, wide.epochs.high, wide.share_reached) == (4, 4, 1.0)
    random = Way(sampler=RANDOM, pruner=NONE)
    assert cost(curves, random).rows[0].share_reached > 0.5
    short = cost(curves, random, max_epochs=3).rows[0]
    assert (short.epochs.median, short.share_of_grid, short.share_reached) == (None, None, 0.0)
    assert (short.final_value, short.early_value, short.trials) == (None, None, {})
    # A tenth of the grid is 2 epochs, when no trial is complete; a longer one's is 8.
    assert every_point(curves).early_value is None


def test_a_pruner_that_stops_all_but_the_best_saves_epochs(curves: LearningCurves) -> None:
    asha = {"name": "asha", "min_resource": 1, "reduction_factor": 2}
    table = cost(
        curves,
        Way(sampler=RANDOM, pruner=NONE),
        Way(sampler=RANDOM, pruner=asha),
        max_epochs=200,
    )
    plain, pruned = table.rows
    assert plain.trials == {"COMPLETE": 50.0}
    assert pruned.trials["PRUNED"] > 20
    assert sum(pruned.trials.values()) > 60
    assert (pruned.sampler, pruned.pruner) == ("random", "asha, reduction_factor 2")


def test_each_seed_of_the_sampler_proposes_otherwise_and_repeats_itself(
    curves: LearningCurves,
) -> None:
    random = Way(sampler=RANDOM, pruner=NONE)
    assert cost(curves, random) == cost(curves, random)
    table = cost(curves, random, n_seeds=20, max_epochs=40)
    assert table.rows[0].epochs.low != table.rows[0].epochs.high


def written(curves: LearningCurves, directory: Path) -> str:
    """The file of some curves."""
    path = directory / "curves.json"
    path.write_text(curves.to_text())
    return str(path)


def test_json_says_where_it_comes_from(
    curves: LearningCurves, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(curves, tmp_path)
    options = ["--seeds", "2", "--epochs", "40", "--sampler", "random", "--pruner", "none"]
    assert main(["--curves", path, *options, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["command"].endswith(
        f"-m search.simulate --curves {path} " + " ".join(options) + " --format json"
    )
    assert found["versions"]["optuna"]
    assert found["hardware"]["cpus"] > 0
    assert "git_commit" in found
    assert found["curves"]["provenance"] == {"command": "by hand"}
    assert [row["sampler"] for row in found["table"]["rows"]] == ["every point", "random"]
    assert found["table"]["max_epochs"] == 40
    assert any("nearest" in note for note in found["notes"])


@pytest.mark.parametrize("form", ["text", "markdown"])
def test_the_table_shows_every_way_and_its_limits(
    slope: LearningCurves, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    path = written(slope, tmp_path)
    sampler = "{name: tpe, n_startup_trials: 2}"
    options = ["--seeds", "2", "--tolerance", "0", "--sampler", sampler, "--format", form]
    main(["--curves", path, *options])
    shown = capsys.readouterr().out.replace("\\_", "_")
    assert "tpe, n_startup_trials 2" in shown
    assert "every point" in shown
    assert "not told apart" in shown
    assert "not reached" in shown


def test_the_grid_that_is_compared_with_has_as_many_seeds(
    curves: LearningCurves, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(curves, tmp_path)
    main(["--curves", path, "--seeds", "2", "--sampler", "random", "--replicates", "2"])
    shown = capsys.readouterr().out
    assert "5 points x 4 epochs x 2 seeds = 40 epochs" in shown
    assert "13 epochs a search" in shown
    assert "trained on 2 of the 2 recorded seeds" in shown


def test_without_settings_the_standard_list_is_tried_without_repetition(
    curves: LearningCurves,
) -> None:
    ways = choose_ways(curves)
    assert (ways[0].sampler, ways[1]) == (None, Way(sampler=RANDOM, pruner=NONE))
    assert len(ways) == len({str(way) for way in ways}) > 10
    assert {"name": "asha", "min_resource": 3} in [way.pruner for way in ways]
    # No decision falls before epoch 5 of 4.
    assert 5 not in [way.pruner.get("min_resource") for way in ways]
    # The space's own sampler is random and its own pruner none.
    assert all(way.sampler in (None, RANDOM) or way.pruner == NONE for way in ways)


def test_given_samplers_meet_all_given_pruners(curves: LearningCurves) -> None:
    ways = choose_ways(curves, ["tpe", "qmc"], ["none", "{name: asha, min_resource: 2}"])
    given = [(way.sampler, way.pruner) for way in ways[2:]]
    assert [each and each["name"] for each, _ in given] == ["tpe", "tpe", "qmc", "qmc"]
    assert [each["name"] for _, each in given] == ["none", "asha"] * 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "one of the arguments --curves --study is required"),
        (["--study", "a"], "not allowed with argument"),
        (["--sampler", "tpee"], "did you mean 'tpe'"),
        (["--sampler", "{name: tpe, multivariat: false}"], "did you mean 'multivariate'"),
        (["--sampler", "[1]"], "expected a name, or"),
        (["--sampler", "{name"], "--sampler"),
        (["--sampler", "grid"], "a grid needs a finite set of values"),
        (["--pruner", "wilcoxon"], "trains replicates in turn"),
        (["--replicates", "3"], "curves of 2 seeds"),
        (["--pruner", "{name: asha, min_resource: 9}"], "at most training.epochs, 4"),
        (["--tolerance", "-1"], "not a number of at least 0"),
        (["--tolerance", "a"], "not a number of at least 0"),
        (["--seeds", "0"], "at least 1"),
    ],
)
def test_what_cannot_be_simulated_is_refused(
    curves: LearningCurves, tmp_path: Path, options: list[str], said: str
) -> None:
    given = ["--curves", written(curves, tmp_path)] if options else []
    with pytest.raises(UserError) as refused:
        main([*given, *options])
    assert said in str(refused.value)


NEVER = "{name: median, n_startup_trials: 1000}"
"""A pruner that stops nothing."""
HALVES = "{name: asha, reduction_factor: 2}"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        # Two trials at a time of 4 epochs each: none is complete after 6.
        (["--epochs", "6"], "no search of 6 epochs came within 0.005 of the best of 40 points"),
        (["--epochs", "6", "--sampler", "random", "--pruner", "none"], "no search of 6 epochs"),
        (
            ["--sampler", "random", "--pruner", NEVER],
            "all 2 settings came out alike in 4 searches of 53 epochs each over 40 points",
        ),
        (["--tolerance", "0.31"], "--tolerance 0.31: all 40 points are within it of the best"),
    ],
)
def test_a_table_that_tells_no_setting_from_another_is_refused(
    slope: LearningCurves, tmp_path: Path, options: list[str], said: str
) -> None:
    given = ["--curves", written(slope, tmp_path), "--seeds", "4", "--tolerance", "0.005"]
    with pytest.raises(UsageError, match=re.escape(said)):
        main([*given, *options])


def test_rows_that_came_out_alike_are_named(
    slope: LearningCurves, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = ["--seeds", "4", "--sampler", "random", "--pruner", NEVER, "--pruner", HALVES]
    assert main(["--curves", written(slope, tmp_path), *options]) == 0
    alike = [line for line in caplog.messages if "came out alike" in line]
    assert [line.rpartition(": ")[2] for line in alike] == [
        "random with none; random with median, n_startup_trials 1000"
    ]


def test_a_table_in_which_nothing_was_reached_stands_where_its_rows_differ(
    slope: LearningCurves, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--seeds", "2", "--epochs", "20", "--tolerance", "0", "--format", "json"]
    given = ["--curves", written(slope, tmp_path), "--sampler", "random", "--pruner", HALVES]
    assert main([*given, *options]) == 0
    rows = json.loads(capsys.readouterr().out)["table"]["rows"][1:]
    assert [row["share_reached"] for row in rows] == [0, 0]
    assert rows[0]["final_value"] != rows[1]["final_value"]


def test_a_search_alone_that_reached_nothing_stands_beside_the_grid(
    slope: LearningCurves, tmp_path: Path
) -> None:
    options = ["--seeds", "2", "--epochs", "20", "--tolerance", "0"]
    given = ["--curves", written(slope, tmp_path), "--sampler", "random", "--pruner", "none"]
    assert main([*given, *options]) == 0


def test_the_studys_own_wilcoxon_pruner_gives_way_to_none() -> None:
    space = {**SPACE, "replicates": 2, "pruner": {"name": "wilcoxon"}}
    parse_space(space, "space")
    curves = made_curves([[flat(0.1, 0.1)], [flat(0.2, 0.2)]], **space)
    assert {way.pruner["name"] for way in choose_ways(curves, ["tpe"])} == {"none"}


def test_the_benchmark_keeps_every_row_as_numbers(curves: LearningCurves, tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    options = ["--curves", written(curves, tmp_path), "--seeds", "2", "--json", str(kept)]
    assert search_cost.main(options) == 0
    (table,) = read_result(kept).tables
    assert len(table.rows) == len(choose_ways(curves))
    first = dict(zip(table.columns, table.rows[0], strict=True))
    assert (first["sampler"], first["good at the end %"]) == ("every point", 50)
    assert first["worth at the end"] == pytest.approx(0.30)
