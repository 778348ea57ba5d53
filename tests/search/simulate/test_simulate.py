"""The cost of samplers and pruners: known answers, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.simulate.__main__ import main
from search.simulate.cost import CostTable, Row, Way, measure
from search.simulate.curves_file import LearningCurves, RecordedRun
from search.simulate.ways import choose_ways
from space import parse_space
from space.errors import UsageError, UserError
from tests.benchmarks.results import read_result
from tests.benchmarks.searching import search_cost

from ..made_curves import SPACE, a_run, made_curves

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


def good_from(orders: list[list[int]], seen: list[list[float]], good: list[list[int]]) -> list[int]:
    """Of each search in turn the epochs from which its best point so far is good to the end.

    Args:
        orders: The points in the order that the search tries them, 4 epochs each.
        seen: What the search sees of each point.
        good: The points that are good.

    Returns:
        The epochs; 0 where the last winner is not good.
    """
    found = []
    for order, values, fine in zip(orders, seen, good, strict=True):
        winners: list[tuple[int, int]] = []
        for n, point in enumerate(order, start=1):
            if not winners or values[point] < values[winners[-1][1]]:
                winners.append((4 * n, point))
        since = 0
        for n_epochs, point in winners:
            since = (since or n_epochs) if point in fine else 0
        found.append(since)
    return found


def test_a_winner_is_judged_by_the_seeds_that_its_search_did_not_see(
    curves: LearningCurves,
) -> None:
    table = cost(curves, Way(sampler=None, pruner=NONE))
    assert (table.n_points, table.grid_epochs, table.n_recorded_seeds) == (5, 20, 2)
    assert table.n_scored_seeds == 1
    assert table.best == pytest.approx(0.20)
    assert table.n_within == 2
    row = table.rows[0]
    # On the first seed a grid picks point 0, which is worth 0.50 on the second, 0.30 behind the
    # best there. On the second it picks point 3, which is the best on the first.
    assert row.good_share == 0.5
    assert row.behind == pytest.approx(0.15)
    orders = [np.random.default_rng(seed).permutation(5).tolist() for seed in range(6)]
    seen = [[0.05, 0.2, 0.3, 0.1, 0.5], [0.4, 0.2, 0.3, 0.1, 0.5]] * 3
    # Left out are the second seed's values and the first's in turn.
    expected = good_from(orders, seen, [[1, 3], [1, 3]] * 3)
    assert [each or 0 for each in row.epochs_by_seed] == expected
    assert [each > 0 for each in expected] == [False, True] * 3
    since = sorted(each for each in expected if each)
    assert (row.quarter_by, row.half_by) == (since[1], since[2])
    assert row.trials == {"COMPLETE": 5.0}
    assert (row.sampler, row.pruner) == ("every point", "none")


def test_a_lucky_run_on_the_searched_seed_is_no_good_setting() -> None:
    lucky = made_curves([[flat(0.1, 0.0), flat(0.1, 0.9)], [flat(0.2, 0.3), flat(0.2, 0.3)]])
    row = cost(lucky, Way(sampler=None, pruner=NONE), n_seeds=1).rows[0]
    # Over both seeds point 0 is worth 0.45; on the one that was left out 0.9, 0.6 behind.
    assert (row.good_share, row.half_by) == (0.0, None)
    assert row.behind == pytest.approx(0.6)


def test_a_good_winner_that_is_given_up_again_does_not_count() -> None:
    passing = made_curves([[flat(0.2, 0.5), flat(0.2, 0.1)], [flat(0.1, 0.5), flat(0.1, 0.8)]])
    orders = [np.random.default_rng(seed).permutation(2).tolist() for seed in range(6)]
    row = cost(passing, Way(sampler=None, pruner=NONE), n_seeds=6).rows[0]
    # Searches of the first seed meet point 0, which is good on the second, and leave it for 1.
    assert any(order == [0, 1] for order in orders[::2])
    assert row.epochs_by_seed[::2] == (None, None, None)
    # On the first seed both are worth 0.5: whatever comes first is good, and so is what follows.
    assert row.epochs_by_seed[1::2] == (4, 4, 4)


def test_workers_share_the_epochs(curves: LearningCurves) -> None:
    alone, together = every_point(curves), every_point(curves, n_workers=5)
    assert alone.good_share == together.good_share == 0.5
    assert together.half_by is not None
    assert together.half_by > 15


def test_replicates_are_further_recorded_seeds_and_their_mean_decides(
    curves: LearningCurves,
) -> None:
    table = cost(curves, Way(sampler=None, pruner=NONE, replicates=2))
    row = table.rows[0]
    # On both seeds together point 3 is the best, whichever comes first; each costs 8 epochs.
    assert (row.good_share, row.behind) == (1.0, pytest.approx(0.0))
    orders = [np.random.default_rng(seed).permutation(5).tolist() for seed in range(6)]
    firsts = [8 * (1 + min(order.index(1), order.index(3))) for order in orders]
    # Point 0's mean is 0.225, above point 1's 0.2: whoever meets 1 or 3 is there.
    assert list(row.epochs_by_seed) == firsts
    # There is no seed that the search has not seen.
    assert table.n_scored_seeds == 2


def test_a_tolerance_and_a_budget_decide_who_is_good(curves: LearningCurves) -> None:
    wide = every_point(curves, tolerance=1.0)
    assert (wide.quarter_by, wide.half_by, wide.good_share) == (4, 4, 1.0)
    random = Way(sampler=RANDOM, pruner=NONE)
    assert cost(curves, random).rows[0].good_share == 0.5
    short = cost(curves, random, max_epochs=3).rows[0]
    assert (short.half_by, short.behind, short.good_share, short.trials) == (None, None, 0.0, {})


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
    known = [each for each in table.rows[0].epochs_by_seed if each is not None]
    assert len(set(known)) > 1


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
    options = ["--seeds", "4", "--tolerance", "0.05", "--sampler", sampler, "--format", form]
    main(["--curves", path, *options])
    shown = capsys.readouterr().out.replace("\\_", "_")
    assert "tpe, n_startup_trials 2" in shown
    assert "every point" in shown
    assert "not told apart" in shown
    assert "a winner is judged by what its search saw, which flatters it" in shown
    assert "rows are not tested against each other" in shown


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
    assert [row["good_share"] for row in rows] == [0, 0]
    assert rows[0]["behind"] != rows[1]["behind"]


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
    assert first["behind the best"] == pytest.approx(0.15)
