"""What a search loses whose sampler and pruner see a part of its trials: beside one that sees all.

    python -m tests.benchmarks.searching.history [--trials 1000] [--history 250]
        [--seeds 6] [--random-seeds 12] [--json FILE]

Every search is Optuna's own loop over storage in memory, with the sampler, the pruner and the view
of past trials that launches have. What is searched are closed forms:

    hartmann     Hartmann's function of 4 parameters, which has local minima
    valley       Rosenbrock's function of 4 parameters: a narrow bent valley
    noisy        a bowl of 4 parameters; a trial's value has noise of a fixed spread, so that lucky
                 trials look better than they are. What is compared is the value without noise

What a search found is the mean of the function over the 10 trials that look best.

Under a pruner a trial reports 9 times, on its way from a value that has little to do with its last
one. Under a random sampler, which sees nothing, the pruner alone can lose something, and many seeds
are cheap. Searches of one seed go together: they are the same until one sees less than the other.

Every search of a seed is also compared with a random search of the same seed that stops nothing
and has as many reports as the search that sees all needed. What the latter is better by is its
gain; less than a tenth of the mean gain is held to be no loss, to either side. Only the time that
the process has the processor counts.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna

from dashboards.statistics.means import compare_paired
from dashboards.statistics.verdicts import answer
from search.trials.history import for_pruner, for_sampler
from search.trials.sampling import history_of, make_pruner, make_sampler, propose
from space import Space
from storage.commands.kit import configure_logging
from tests.benchmarks.results import Cell, Growing, add_json_option, draw_result, make_result

N_REPORTS = 9
NOISE = 0.1
WHOLE = 10**9
N_TOP = 10
MARGIN = 0.1
"""Of the gain over random search."""
WAYS = [
    ("tpe", "none"),
    ("tpe", "asha"),
    ("random", "asha"),
    ("random", "hyperband"),
    ("random", "median"),
]
"""Sampler and pruner."""

_WEIGHTS = np.array([1.0, 1.2, 3.0, 3.2])
_SCALES = np.array(
    [
        [10, 3, 17, 3.5],
        [0.05, 10, 17, 0.1],
        [3, 3.5, 1.7, 10],
        [17, 8, 0.05, 10],
    ]
)
_CENTRES = np.array(
    [
        [0.1312, 0.1696, 0.5569, 0.0124],
        [0.2329, 0.4135, 0.8307, 0.3736],
        [0.2348, 0.1451, 0.3522, 0.2883],
        [0.4047, 0.8828, 0.8732, 0.5743],
    ]
)


def hartmann(x_D: np.ndarray) -> float:
    """Hartmann's function on the unit cube, its minimum moved to 0.

    Source: Picheny, Wagner and Ginsbourger, A benchmark of kriging-based infill criteria for noisy
    optimization (2013), the 4-dimensional form without its scale.
    """
    exponents = (_SCALES * (x_D - _CENTRES) ** 2).sum(axis=1)
    return 3.73066 - float((_WEIGHTS * np.exp(-exponents)).sum())


def valley(x_D: np.ndarray) -> float:
    """Rosenbrock's function on the unit cube, which stands for -2 to 2; its minimum is 0."""
    x_D = 4 * x_D - 2
    return float((100 * (x_D[1:] - x_D[:-1] ** 2) ** 2 + (1 - x_D[:-1]) ** 2).sum()) / 100


def bowl(x_D: np.ndarray) -> float:
    """A bowl on the unit cube; its minimum is 0."""
    return float(((x_D - 0.37) ** 2).sum())


PROBLEMS: dict[str, tuple[Callable[[np.ndarray], float], float]] = {
    "hartmann": (hartmann, 0.0),
    "valley": (valley, 0.0),
    "noisy": (bowl, NOISE),
}
"""Name -> function of 4 parameters, noise of a trial's value (standard deviation)."""


@dataclass(frozen=True)
class Found:
    """What a search came to.

    Attributes:
        worth: The function's mean, without noise, over the trials that look best.
        n_reports: Reports of all trials; a trial under no pruner has one.
        seconds: The processor's.
    """

    worth: float
    n_reports: int
    seconds: float


def space_of(sampler: str, pruner: str, history: int, seed: int) -> Space:
    """The space of a search."""
    seen = {"history": history}
    parameters = {
        name: {"type": "float", "low": 1e-6, "high": 0.999999}
        for name in ("learning_rate", "weight_decay", "aux_weight", "sleep")
    }
    tree: dict[str, Any] = {
        "study": "history",
        "trainable": "closed-form",
        "training": {"epochs": N_REPORTS},
        "parameters": parameters,
        "sampler": {"name": sampler, "seed": seed, **(seen if sampler == "tpe" else {})},
        "pruner": {"name": pruner, **({} if pruner == "none" else seen)},
        "budget": {"trials": 1},
    }
    return Space.recorded(tree)


def search(
    problem: str, sampler: str, pruner: str, n_trials: int, history: int, seed: int
) -> Found:
    """Search once."""
    function, noise = PROBLEMS[problem]
    space = space_of(sampler, pruner, history, seed)
    rng = np.random.default_rng(seed)
    whole = optuna.storages.InMemoryStorage()
    study = optuna.create_study(
        storage=for_sampler(whole, history_of(space.sampler), [False]),
        sampler=make_sampler(space, n_existing_trials=0),
    )
    judged = optuna.Study(
        study.study_name, for_pruner(whole, history_of(space.pruner)), pruner=make_pruner(space)
    )
    n_steps = 1 if pruner == "none" else N_REPORTS
    n_reports, ended = 0, []
    began = time.process_time()
    for _ in range(n_trials):
        trial = study.ask()
        worth = function(np.array(list(propose(trial, space).values())))
        value = worth + noise * rng.standard_normal()
        detour = rng.standard_normal()
        for step in range(1, n_steps):
            trial.report(value + detour * math.exp(-step / 2), step)
            if judged.pruner.prune(judged, whole.get_trial(trial._trial_id)):
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                n_reports += step
                break
        else:
            study.tell(trial, value)
            n_reports += n_steps
            ended.append((value, worth))
    return Found(top(ended), n_reports, time.process_time() - began)


def random_worth(problem: str, n_trials: int, seed: int) -> float:
    """What a random search of so many trials found."""
    function, noise = PROBLEMS[problem]
    rng = np.random.default_rng(seed)
    worths = [function(x_D) for x_D in rng.uniform(size=(n_trials, 4))]
    return top([(worth + noise * rng.standard_normal(), worth) for worth in worths])


def top(ended: list[tuple[float, float]]) -> float:
    """The mean worth of the trials, each its value and its worth, that look best."""
    return float(np.mean([worth for _, worth in sorted(ended)[:N_TOP]]))


def row_of(
    problem: str, way: tuple[str, str], n_trials: int, history: int, seeds: int
) -> list[Cell]:
    """Searches that see a part beside searches that see all."""
    sampler, pruner = way
    n_steps = 1 if pruner == "none" else N_REPORTS
    part, everything, gains = [], [], []
    for seed in range(seeds):
        part.append(search(problem, *way, n_trials, history, seed))
        everything.append(search(problem, *way, n_trials, WHOLE, seed))
        rest = random_worth(problem, everything[-1].n_reports // n_steps, seed)
        gains.append(rest - everything[-1].worth)
    gain = float(np.mean(gains))
    compared = compare_paired(
        [each.worth for each in part],
        [each.worth for each in everything],
        margin=MARGIN * gain if gain > 0 else None,
    )
    low, high = compared.interval or (None, None)
    verdict = answer(compared, compared.p_value, compared.equivalence_p_value)
    means = [float(np.mean([each.worth for each in found])) for found in (everything, part)]
    n_reports = [sum(each.n_reports for each in found) for found in (part, everything)]
    return [
        problem, sampler, pruner, seeds, *means, gain, compared.mean_difference, low, high, verdict,
        n_reports[0] / n_reports[1],
        *(float(np.mean([each.seconds for each in found])) for found in (everything, part)),
    ]  # fmt: skip


def main(argv: list[str]) -> int:
    """Search and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=1_000)
    parser.add_argument("--history", type=int, default=250)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--random-seeds", type=int, default=12)
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    add_json_option(parser)
    options = parser.parse_args(argv)
    configure_logging(verbose=False)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    result = make_result(
        title=f"Searches of {options.trials:,} trials that see {options.history:,} of them",
        module="tests.benchmarks.searching.history",
        argv=argv,
        notes=[
            "Means over seeds; the difference, part minus all, is seed by seed, with its 95 % "
            "interval. The gain is over a random search of as many reports that stops nothing; "
            f"equivalent means that a difference of {MARGIN:.0%} of it, to either side, is ruled "
            "out. Reports and CPU seconds say what the search cost. A sampler sees the newest "
            "trials and the 25 best before them, a pruner an even sample.",
        ],
    )
    columns = [
        "function", "sampler", "pruner", "seeds", "sees all", "sees part", "gain of all",
        "part minus all", "from", "to", "answer", "reports, part / all", "CPU s, all",
        "CPU s, part",
    ]  # fmt: skip
    title = "Above the minimum, where the 10 trials that look best lie"
    table = Growing(result, title, columns, options.json)
    for way in reversed(WAYS):
        for problem in options.problems:
            seeds = options.seeds if way[0] == "tpe" else options.random_seeds
            table.add(row_of(problem, way, options.trials, options.history, seeds))
            print(*table.rows[-1], file=sys.stderr, flush=True)
    draw_result(table.result)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
