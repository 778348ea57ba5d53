"""Every verdict of the published store and of random ones, recomputed by `independent`.

The values are read by SQL alone, the answers by enumeration and SciPy: nothing is shared with what
is tested but the store.
"""

from __future__ import annotations

import math
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from dashboards.numbers.benchmark import read_benchmark
from dashboards.numbers.study.confirmation import Confirmation
from dashboards.numbers.study.grid import read_grid
from dashboards.numbers.study.view import read_study
from dashboards.statistics.means import compare_paired, holm
from dashboards.statistics.verdicts import Comparison, compare_all
from search.reproduction.aux_weight import PARAMETER, REPORTED, is_grid
from storage import BenchmarkRecord, Store, open_store
from storage.benchmarks import load_benchmarks
from tests.dashboards.made.reported_benchmark import made_benchmark, reported
from tests.dashboards.statistics import independent

DOCS = Path(__file__).resolve().parents[3] / "docs"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A copy of the store that the documentation is written from."""
    path = tmp_path_factory.mktemp("published") / "reproduction.db"
    shutil.copyfile(DOCS / "reproduction.db", path)
    store = open_store(str(path))
    yield store
    store.close()


def rows(store: Store, query: str, *values: object) -> list[tuple[object, ...]]:
    """What SQLite answers, past everything of ours."""
    with sqlite3.connect(f"file:{store.url.database}?mode=ro", uri=True) as file:
        return file.execute(query, values).fetchall()


def measured_values(store: Store, hashes: Sequence[str], fingerprint: str) -> dict[int, float]:
    """Seed -> test error, of the first run of each hash on some data."""
    found: dict[int, float] = {}
    for seed, config_hash in enumerate(hashes):
        of_hash = rows(
            store,
            "SELECT value FROM search_runs JOIN search_results USING (run_id)"
            " JOIN search_result_metrics USING (run_id)"
            " WHERE config_hash = ? AND data_fingerprint = ? AND name = 'test_error'"
            " ORDER BY run_id LIMIT 1",
            config_hash,
            fingerprint,
        )
        for (value,) in of_hash:
            found[seed] = float(str(value))
    return found


def check(compared: Sequence[Comparison], found: dict[str, tuple[str, float]]) -> int:
    """Compare both; say how many there are."""
    assert {each.name for each in compared} == found.keys()
    for each in compared:
        said, p_value = found[each.name]
        assert each.answer == said, each
        assert each.verdict.startswith(said)
        assert each.adjusted_p_value == pytest.approx(p_value)
    return len(found)


def check_benchmark(store: Store, record: BenchmarkRecord) -> int:
    """Recompute a benchmark's verdicts; say how many there are."""
    table, fingerprint = read_benchmark(store, record).table, record.data_fingerprint
    values = {
        config.name: measured_values(store, config.config_hashes, fingerprint)
        for config in record.configs
    }
    compared = [row.comparison for row in table.rows if row.comparison is not None]
    failed = {row.name: len(row.result.failed) for row in table.rows}
    n = 0
    if values[table.reference]:
        found = independent.verdicts(
            values, table.reference, maximize=False, margin=table.margin, failed=failed
        )
        n += check(compared, found)
    for row in table.rows:
        for each in row.reported:
            if each.metric != table.metric or each.comparison is None:
                continue
            said, (low, high) = independent.consistency(
                list(values[row.name].values()),
                each.reported.mean,
                each.reported.std,
                each.reported_n,
                1_000,
            )
            assert each.verdict == said
            assert each.comparison.interval == pytest.approx((low, high))
            n += 1
    return n


def test_every_benchmark_of_the_published_store(published: Store) -> None:
    n = 0
    for record in load_benchmarks(published):
        n += check_benchmark(published, record)
    assert n >= 10


def confirmed_values(store: Store, study_id: int, trial_id: int) -> dict[int, float]:
    """Fresh seed -> the lowest validation error of the trial's run on it."""
    return {
        int(str(replicate)): float(str(value))
        for replicate, value in rows(
            store,
            "SELECT replicate, min(value) FROM search_runs JOIN search_epoch_metrics USING (run_id)"
            " WHERE study_id = ? AND trial_id = ? AND purpose = 'confirm' AND state = 'complete'"
            " AND name = 'val_error' GROUP BY run_id",
            study_id,
            trial_id,
        )
    }


def check_confirmation(store: Store, study_id: int, found: Confirmation) -> int:
    """Recompute a confirmation's verdicts; say how many there are."""
    assert found.baseline is not None
    values = {
        str(trial.trial_number): confirmed_values(store, study_id, trial.trial_id)
        for trial in found.trials
    }
    winner = min(values, key=lambda number: np.mean(list(values[number].values())))
    assert str(found.winner.trial_number) == winner
    said = independent.verdicts(values, str(found.baseline), maximize=False, failed={})
    return check([*found.comparisons.values()], said)


def test_every_study_of_the_published_store(published: Store) -> None:
    n = 0
    for name, study_id in rows(published, "SELECT study_name, study_id FROM studies"):
        if is_grid(str(name)):
            n += check_grid(published, str(name), int(str(study_id)))
        else:
            confirmation = read_study(published, str(name)).confirmation
            if confirmation is not None:
                n += check_confirmation(published, int(str(study_id)), confirmation)
    assert n >= 20


def check_grid(store: Store, name: str, study_id: int) -> int:
    """Recompute a grid's verdicts; say how many there are."""
    n = 0
    points = rows(
        store,
        "SELECT trial_id, param_name, param_value, distribution_json FROM trial_params"
        " JOIN trials USING (trial_id) WHERE study_id = ? AND state = 'COMPLETE'"
        " ORDER BY trial_id",
        study_id,
    )
    of_trial: dict[int, dict[str, tuple[float, str]]] = {}
    for trial_id, parameter, value, distribution in points:
        trial = of_trial.setdefault(int(str(trial_id)), {})
        trial[str(parameter)] = float(str(value)), str(distribution)
    curves: dict[str, dict[str, dict[int, float]]] = {}
    for trial_id, params in of_trial.items():
        others = str(sorted((k, v) for k, (v, _) in params.items() if k != PARAMETER))
        point = curves.setdefault(others, {}).setdefault(f"{params[PARAMETER][0]:.6g}", {})
        for replicate, value in rows(
            store,
            "SELECT replicate, min(value) FROM search_runs JOIN search_epoch_metrics USING (run_id)"
            " WHERE trial_id = ? AND purpose = 'search' AND state = 'complete'"
            " AND name = 'val_error' GROUP BY run_id",
            trial_id,
        ):
            point.setdefault(int(str(replicate)), float(str(value)))
    expected = [
        independent.verdicts(values, f"{REPORTED:g}", maximize=False, failed={})
        for values in curves.values()
    ]
    for curve in read_grid(store, name, parameter=PARAMETER, reference=REPORTED).curves:
        shown = {
            f"{point.value:g}": (point.comparison.answer, point.comparison.adjusted_p_value)
            for point in curve.points
            if point.comparison is not None
        }
        assert any(
            shown.keys() == found.keys()
            and all(
                shown[each][0] == found[each][0] and shown[each][1] == pytest.approx(found[each][1])
                for each in shown
            )
            for found in expected
        )
        n += len(shown)
    return n


@pytest.mark.parametrize("seed", range(6))
def test_random_stores(store: Store, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n_seeds = int(rng.integers(3, 11))
    luck = rng.normal(0.2, 0.03, n_seeds)
    errors = {}
    for k, shift in enumerate([0.0, *rng.choice([-0.08, -0.02, 0.0, 0.001, 0.05], 4)]):
        of_config = np.round(np.clip(luck + shift + rng.normal(0, 0.01, n_seeds), 0, 1), 3)
        done = rng.random(n_seeds) < (1.0 if k < 3 else 0.8)
        errors[f"config-{k}"] = {s: float(of_config[s]) for s in range(n_seeds) if done[s]}
    record = made_benchmark(
        store,
        errors,
        n_seeds=n_seeds,
        models=("mlp", "convnet", "siamese-aux", "resnet", "siamese"),
        reported=reported(test_error=0.2),
    )
    assert check_benchmark(store, record) >= 2


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("is_raced", [False, True])
def test_random_results_with_a_margin(seed: int, is_raced: bool) -> None:
    rng = np.random.default_rng(seed)
    n, margin = int(rng.integers(4, 11)), 0.02
    results = {
        f"config-{k}": {
            s: round(float(0.2 + shift + rng.normal(0, rng.choice([0.002, 0.02]))), 3)
            for s in range(n)
        }
        for k, shift in enumerate([0.0, *rng.choice([-0.06, -0.02, 0.0, 0.02, 0.06], 3)])
    }
    failed = {"config-2": int(rng.integers(2))}
    maximize = bool(rng.integers(2))
    compared = compare_all(
        results, "config-0", failed=failed, margin=margin, maximize=maximize, is_raced=is_raced
    )
    found = independent.verdicts(
        results, "config-0", maximize=maximize, margin=margin, failed=failed, is_raced=is_raced
    )
    assert check(compared, found) == 3


def test_scipy_agrees_with_the_enumeration() -> None:
    rng = np.random.default_rng(0)
    for n in (5, 8, 12):
        values = np.round(rng.normal(0.005, 0.01, n), 3)
        exact = [independent.exact(each) for each in values]
        test = stats.permutation_test(
            (values,), np.sum, permutation_type="samples", n_resamples=math.inf
        )
        assert float(independent.two_sided(exact)) == pytest.approx(test.pvalue)
        less = stats.permutation_test(
            (values,),
            np.sum,
            permutation_type="samples",
            n_resamples=math.inf,
            alternative="less",
        )
        assert float(independent.one_sided(exact)) == pytest.approx(less.pvalue)


def test_random_patterns_are_close_to_all_of_them() -> None:
    rng = np.random.default_rng(1)
    values = np.round(rng.normal(0.004, 0.01, 16), 3)
    exact = float(independent.two_sided([independent.exact(each) for each in values]))
    shown = compare_paired(values, np.zeros(16)).p_value
    assert shown == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 10_000))


def test_holm_by_its_steps() -> None:
    rng = np.random.default_rng(2)
    for k in range(1, 8):
        p_values = rng.random(k) ** 3
        assert holm(p_values) == pytest.approx(independent.holm([*p_values]))
