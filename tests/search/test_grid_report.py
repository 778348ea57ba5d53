"""The grid report: curves and verdicts on stores whose truth is known."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.numbers.study.grid import GridCurve, GridReport, curve_of, read_grid
from dashboards.statistics.means import compare_paired, holm
from dashboards.statistics.verdicts import seeds_needed
from dashboards.story import grid_outcome
from dashboards.tables.drawing import escape_markdown
from search.grid_report import main, render
from search.launch.plan import Plan
from search.runs.seeds import replicate_config
from search.trials.feasible import resolved
from space.errors import UsageError, UserError
from space.metrics import Metric
from storage import Store
from tests.records import begin_run, epoch, record_epoch
from tests.search.conftest import new_launch, new_ledger, open_study
from trainables.shipped.digit_pairs.config import DIGIT_PAIRS

from .conftest import Recorder, work

MakePlan = Callable[..., Plan]
WEIGHTS = [round(0.1 * step, 1) for step in range(10)]
GRID: dict[str, Any] = {
    "study": "grid",
    "parameters": {
        "augment": {"type": "categorical", "choices": [False, True]},
        "aux_weight": {"type": "float", "low": 0.0, "high": 0.9, "step": 0.1},
    },
    "sampler": {"name": "grid"},
    "budget": {"time_limit": "1h"},
}


def noisy(means: dict[float, float], n: int, *, scatter: float = 0.002) -> dict[Any, Any]:
    """Errors around the means: what a seed adds to all points, and a little of their own."""
    rng = random.Random(0)
    shared = [rng.gauss(0, 0.03) for _ in range(n)]
    return {
        value: {seed: mean + common + rng.gauss(0, scatter) for seed, common in enumerate(shared)}
        for value, mean in means.items()
    }


def fill(plan: Plan, store: Store, errors: dict[Any, dict[int, float]]) -> optuna.Study:
    """A study whose trials are complete with given errors: by (augment, weight), then by seed."""
    study = open_study(plan, store)
    launch_id = store.begin_launch(new_launch(plan, study._study_id))
    for (augment, weight), of_point in errors.items():
        params = {"augment": augment, "aux_weight": weight}
        study.enqueue_trial(params)
        trial = study.ask()
        trial.suggest_categorical("augment", [False, True])
        trial.suggest_float("aux_weight", 0.0, 0.9, step=0.1)
        assert trial.params == params
        for replicate, error in of_point.items():
            config = replicate_config(resolved(plan.space, params), replicate)
            run = begin_run(
                store,
                launch_id,
                trial._trial_id,
                study_id=study._study_id,
                replicate=replicate,
                of=config,
            )
            # The second epoch is kept: it validates best.
            for number, val_error in enumerate([error + 0.1, error, error + 0.2], start=1):
                record_epoch(store, run, epoch(number, val_error=val_error), best_epoch=2)
            store.end_run(run.run_id, "complete")
        study.tell(trial, sum(of_point.values()) / len(of_point))
    return study


ERROR = DIGIT_PAIRS.metric("val_error")


def text_of(curve: GridCurve, metric: Metric = ERROR) -> str:
    report = GridReport(
        study="grid",
        storage="s",
        measured=DIGIT_PAIRS,
        selections=("metric",),
        metric=metric,
        parameter="aux_weight",
        reference=0.6,
        curves=(curve,),
        data_source="mnist",
        trials={"COMPLETE": len(curve.points)},
    )
    return grid_outcome(report, curve)


def bowl(best: float, depth: float) -> dict[float, float]:
    return {weight: 0.1 + depth * (weight - best) ** 2 for weight in WEIGHTS}


def test_the_best_reference_is_called_best() -> None:
    curve = curve_of({}, noisy(bowl(0.6, 1.0), 10), 0.6)
    found = curve.finding
    assert (found.verdict, found.n, found.n_points) == ("best", 10, 10)
    assert found.rival in (0.5, 0.7)
    assert found.behind is not None
    assert found.behind == pytest.approx(-0.01, abs=0.003)
    assert found.n_worse == 9
    words, by = text_of(curve), -100 * found.behind
    assert words.startswith(
        f"aux_weight 0.6 has the lowest mean of 10 points, {by:.2f} percentage points lower than "
        f"the next, {found.rival:g} (paired over 10 seeds, 95 % interval of 0.6 minus "
        f"{found.rival:g} "
    )
    assert "9 of the other 9 points are distinguishably worse; 10 seeds would have shown" in words


def test_a_worse_reference_is_called_worse_and_by_how_much() -> None:
    curve = curve_of({}, noisy(bowl(0.2, 1.0), 10), 0.6)
    found = curve.finding
    assert (found.verdict, found.rival, found.n) == ("worse", 0.2, 10)
    assert found.behind == pytest.approx(0.16, abs=0.003)
    words = text_of(curve)
    assert words.startswith(
        f"aux_weight 0.6 is worse than 0.2 by {100 * found.behind:.2f} percentage points (paired"
    )
    assert "3 of the other 9 points are distinguishably worse" in words
    # 0.7, 0.8 and 0.9 lie farther from the bottom.
    assert found.n_worse == 3


def test_noise_is_called_noise() -> None:
    curve = curve_of({}, noisy(dict.fromkeys(WEIGHTS, 0.1), 10, scatter=0.02), 0.6)
    found = curve.finding
    assert found.verdict == "within noise"
    assert found.rival == min(curve.points, key=lambda point: point.summary.mean).value
    assert found.behind is not None
    assert found.behind > 0
    assert "is within noise of the lowest mean of 10 points" in text_of(curve)


def test_noise_is_seldom_called_a_difference() -> None:
    """Under no difference "worse" is said in at most 5 % of the curves."""
    rng = random.Random(1)
    n_curves, n_worse = 100, 0
    for _ in range(n_curves):
        points = {w: {s: rng.gauss(0.1, 0.02) for s in range(8)} for w in (0.5, 0.6, 0.7)}
        n_worse += curve_of({}, points, 0.6).finding.verdict == "worse"
    # P(more than 11 of 100 at 5 %) is 0.4 %, and the test is discrete, so below 5 %.
    assert n_worse <= 11


def test_too_few_seeds_are_owned_up_to() -> None:
    curve = curve_of({}, noisy(bowl(0.2, 1.0), 5, scatter=1e-6), 0.6)
    assert curve.finding.verdict == "within noise"
    assert "With 5 seeds no difference between 10 points could have been shown" in text_of(curve)
    assert "that takes 9 or more" in text_of(curve)


def test_one_other_point_is_one() -> None:
    words = text_of(curve_of({}, noisy({0.5: 0.3, 0.6: 0.1}, 10), 0.6))
    assert ". The other point is distinguishably worse; 10 seeds" in words
    words = text_of(curve_of({}, noisy({0.5: 0.1, 0.6: 0.1}, 10), 0.6))
    assert ". The other point is not distinguishably worse" in words


@pytest.mark.parametrize("n_points", [2, 3, 10, 20])
def test_the_seeds_needed_are_the_fewest_that_can_show_anything(n_points: int) -> None:
    def smallest(n: int) -> float:
        paired = compare_paired([0.1] * n, [0.9] * n)
        return float(holm([paired.p_value] * (n_points - 1))[0])

    needed = seeds_needed(n_points)
    assert smallest(needed) <= 0.05 < smallest(needed - 1)


@given(st.lists(st.lists(st.integers(0, 40), min_size=8, max_size=8), min_size=2, max_size=4))
def test_negated_and_maximised_a_curve_says_the_same(values: list[list[int]]) -> None:
    points = {0.5 + place: dict(enumerate(map(float, row))) for place, row in enumerate(values)}
    negated = {at: {seed: -each for seed, each in row.items()} for at, row in points.items()}
    down, up = curve_of({}, points, 0.5), curve_of({}, negated, 0.5, maximize=True)
    assert down.finding == up.finding
    for one, other in zip(down.points, up.points, strict=True):
        if one.comparison is not None and other.comparison is not None:
            assert one.comparison.verdict == other.comparison.verdict


def test_a_maximised_metric_is_called_by_its_own_words() -> None:
    accuracy = replace(ERROR, words="validation accuracy", maximize=True)
    points = noisy(bowl(0.2, 1.0), 10)
    worse = curve_of({}, points, 0.6, maximize=True)
    assert text_of(worse, accuracy).startswith("aux_weight 0.6 is worse than 0.9 by 33.")
    best = replace(curve_of({}, points, 0.9, maximize=True), reference=0.9)
    assert best.finding.verdict == "best"
    assert (
        "has the highest mean of 10 points, 12.98 percentage points higher than the next, 0.8"
        in text_of(best, accuracy)
    )


def test_points_are_paired_over_the_seeds_they_share() -> None:
    points = {
        0.5: {0: 0.10, 1: 0.20, 2: 0.30, 7: 0.01},
        0.6: {0: 0.15, 1: 0.25, 2: 0.38, 3: 0.9},
        0.7: {3: 0.1, 9: 0.1},
    }
    curve = curve_of({"model": "m"}, points, 0.6)
    first, reference, lonely = curve.points
    assert first.comparison is not None
    assert first.comparison.seeds == (0, 1, 2)
    assert first.comparison.paired.mean_difference == pytest.approx(-0.06)
    assert reference.comparison is lonely.comparison is None
    assert first.summary.n == 4
    assert curve.finding.behind == pytest.approx(0.06)
    assert (curve.finding.n, curve.finding.n_points) == (3, 2)


def test_without_a_shared_seed_nothing_is_said() -> None:
    for points in ({0.5: {0: 0.1}, 0.6: {1: 0.1}}, {0.5: {0: 0.1, 1: 0.2}, 0.4: {0: 0.1}}):
        curve = curve_of({}, points, 0.6)
        assert curve.finding.verdict == "not known"
        assert "cannot be judged" in text_of(curve)


def test_level_points_are_best() -> None:
    curve = curve_of({}, {w: {0: 0.1, 1: 0.2} for w in (0.5, 0.6)}, 0.6)
    assert (curve.finding.verdict, curve.finding.behind) == ("best", 0.0)
    assert "level with 0.5" in text_of(curve)


def test_a_study_gives_a_curve_for_each_group(plan_for: MakePlan, store: Store) -> None:
    plan = plan_for(**GRID, replicates=10)
    truths = {False: bowl(0.6, 1.0), True: bowl(0.3, 1.0)}
    errors = {
        (augment, weight): of_weight
        for augment, means in truths.items()
        for weight, of_weight in noisy(means, 10).items()
    }
    study = fill(plan, store, errors)
    report = read_grid(store, "grid", parameter="aux_weight", reference=0.6)
    assert [curve.group for curve in report.curves] == [{"augment": False}, {"augment": True}]
    assert [curve.finding.verdict for curve in report.curves] == ["best", "worse"]
    assert report.curves[1].finding.rival == pytest.approx(0.3)
    assert (report.metric.name, report.data_source, report.trials) == (
        "val_error", "none", {"COMPLETE": 20},
    )  # fmt: skip
    for curve in report.curves:
        assert [point.value for point in curve.points] == WEIGHTS
        for point in curve.points:
            assert point.values == errors[bool(curve.group["augment"]), point.value]
            assert point.summary.mean == pytest.approx(
                next(
                    trial.value
                    for trial in study.trials
                    if trial.params == {**curve.group, "aux_weight": point.value}
                )
            )


def test_a_real_grid_with_replicates_a_baseline_and_an_interruption(
    plan_for: MakePlan, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_for(**GRID, replicates=2, baselines=[{"aux_weight": 0.6}])
    ledger, study = new_ledger(plan, store, Recorder())
    work(ledger, plan, n_workers=3, n_steps=40)
    ledger.interrupt("the test ends")
    assert main(["--study", "grid", "--storage", str(store.url.database)]) == 0
    n_complete = sum(trial.state.name == "COMPLETE" for trial in study.trials)
    assert 4 < n_complete < 21
    printed = capsys.readouterr().out
    assert f"{n_complete} complete trials in {store.name}; not counted: 3 WAITING" in printed
    report = read_grid(store, "grid", parameter="aux_weight", reference=0.6)
    points = [(curve.group["augment"], p.value) for curve in report.curves for p in curve.points]
    of_trials = {
        (trial.params["augment"], round(trial.params["aux_weight"], 1))
        for trial in study.trials
        if trial.state.name == "COMPLETE"
    }
    assert points == sorted(of_trials)
    assert all(point.summary.n == 2 for curve in report.curves for point in curve.points)


def test_a_point_that_was_trained_twice_counts_once(plan_for: MakePlan, store: Store) -> None:
    plan = plan_for(**GRID, replicates=2)
    errors = {(False, 0.5): {0: 0.1, 1: 0.2}, (False, 0.6): {0: 0.3, 1: 0.3}}
    fill(plan, store, errors)
    fill(plan, store, {(False, 0.6): {0: 0.3, 1: 0.3, 2: 0.6}})
    (curve,) = read_grid(store, "grid", parameter="aux_weight", reference=0.6).curves
    assert [point.values for point in curve.points] == [
        {0: 0.1, 1: 0.2},
        {0: 0.3, 1: 0.3, 2: 0.6},
    ]


def test_text_markdown_and_json_say_the_same(plan_for: MakePlan, store: Store) -> None:
    errors = {(False, weight): of_weight for weight, of_weight in noisy(bowl(0.2, 1.0), 9).items()}
    fill(plan_for(**GRID, replicates=9), store, errors)
    report = read_grid(store, "grid", parameter="aux_weight", reference=0.6)
    (curve,) = report.curves
    text, markdown = render(report, "text"), render(report, "markdown")
    assert (text + markdown).count("the validation error is optimistic") == 2
    tree = json.loads(render(report, "json"))
    assert tree["curves"][0]["sentence"] == grid_outcome(report, curve)
    assert [point["value"] for point in tree["curves"][0]["points"]] == WEIGHTS
    assert tree["curves"][0]["points"][0]["values"]["8"] == errors[False, 0.0][8]
    assert tree["curves"][0]["finding"]["verdict"] == "worse"
    assert grid_outcome(report, curve) in text
    assert escape_markdown(grid_outcome(report, curve)) in markdown
    for shown in (text, markdown):
        assert "augment False" in shown
        for point in curve.points:
            assert f"{100 * point.summary.mean:.2f}" in shown
    rows = [line for line in markdown.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(WEIGHTS)
    columns = [cell.strip() for cell in rows[0].split("|")]
    place, comparison = columns.index("p"), curve.points[0].comparison
    assert comparison is not None
    assert columns[place + 1] == "p (Holm)"
    assert [cell.strip() for cell in rows[2].split("|")][place : place + 2] == [
        f"{comparison.paired.p_value:.2g}",
        f"{comparison.adjusted_p_value:.2g}",
    ]
    assert "p and the second interval are of one comparison alone" in markdown
    assert len({row.count("|") for row in rows}) == 1
    lines = {line.split()[0]: line for line in text.splitlines() if line.startswith("       ")}
    assert lines["0.6"].endswith("reference")
    assert lines["0.2"].endswith("better")
    assert lines["0.9"].endswith("worse")
    assert all(line == line.rstrip() for line in text.splitlines())


def test_a_difference_of_zero_has_no_sign(plan_for: MakePlan, store: Store) -> None:
    level = {0: 0.1, 1: 0.2, 2: 0.3}
    errors = {
        (False, 0.5): {seed: error - 1e-12 for seed, error in level.items()},
        (False, 0.6): level,
        (False, 0.7): {seed: error + 1e-12 for seed, error in level.items()},
    }
    fill(plan_for(**GRID, replicates=3), store, errors)
    report = read_grid(store, "grid", parameter="aux_weight", reference=0.6)
    markdown = render(report, "markdown")
    assert markdown.count("| 0.00 |") == 2
    assert "-0.00" not in markdown
    assert "+0.00" not in markdown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--study", "grdi"], "no study 'grdi'"),
        (["--parameter", "aux_wieght"], "did you mean 'aux_weight'?"),
        (["--parameter", "augment"], "are no numbers"),
        (["--reference", "0.65"], "no complete trial has it; aux_weight is 0.5, 0.6."),
        (["--reference", "nan"], "no complete trial has it"),
        (["--reference", "x"], "--reference"),
        (["--format", "latex"], "--format"),
        (["--storage", "/absent/s.db"], "/absent/s.db"),
    ],
)
def test_a_mistake_is_one_sentence(
    plan_for: MakePlan, store: Store, arguments: list[str], words: str
) -> None:
    fill(plan_for(**GRID), store, {(False, w): {0: 0.1} for w in (0.5, 0.6)})
    with pytest.raises(UserError) as caught:
        main(["--study", "grid", "--storage", str(store.url.database), *arguments])
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_studies_without_a_curve_are_refused(plan_for: MakePlan, store: Store) -> None:
    def read(study: str) -> GridReport:
        return read_grid(store, study, parameter="aux_weight", reference=0.6)

    open_study(plan_for(**GRID), store)
    with pytest.raises(UsageError, match="no trial is complete yet"):
        read("grid")
    fill(plan_for(**GRID | {"study": "point"}), store, {(False, 0.6): {0: 0.1, 1: 0.2}})
    with pytest.raises(UsageError, match="no two complete trials differ in aux_weight alone"):
        read("point")
    optuna.create_study(study_name="theirs", storage=store.optuna_storage)
    with pytest.raises(UsageError, match=r"not begun by search\.launch"):
        read("theirs")
