"""What a search loses whose sampler and pruner see a part of its trials: beside one that sees all.

    python -m tests.benchmarks.searching.history [--trials 1000] [--histories 100 250]
        [--seeds 10] [--pruners none asha] [--json FILE]

Every search is Optuna's own loop over storage in memory, with the sampler, the pruner and the view
of past trials that launches have. What is searched are closed forms:

    hartmann     Hartmann's function of 4 parameters, which has local minima
    valley       Rosenbrock's function of 4 parameters: a narrow bent valley
    noisy        a bowl of 4 parameters; a trial's value has noise of a fixed spread, so that lucky
                 trials look better than they are. What is compared is the value without noise

Under a pruner a trial reports 9 times, on its way from a value that has little to do with its last
one. Searches of one seed go together: they are the same until one sees less than the other. Only
the time that the process has the processor counts.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import optuna

from dashboards.statistics.means import compare_paired
from search.trials.history import bounded
from search.trials.sampling import history_of, make_pruner, make_sampler, propose
from space import Space
from storage.commands.kit import configure_logging
from tests.benchmarks.results import Cell, Table, add_json_option, publish

N_REPORTS = 9
NOISE = 0.1
WHOLE = 10**9

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


def space_of(pruner: str, history: int, seed: int) -> Space:
    """The space of a search."""
    prunes = {"name": pruner} if pruner == "none" else {"name": pruner, "history": history}
    parameters = {
        name: {"type": "float", "low": 1e-6, "high": 0.999999}
        for name in ("learning_rate", "weight_decay", "aux_weight", "sleep")
    }
    tree: dict[str, Any] = {
        "study": "history",
        "trainable": "closed-form",
        "training": {"epochs": N_REPORTS},
        "parameters": parameters,
        "sampler": {"name": "tpe", "seed": seed, "history": history},
        "pruner": prunes,
        "budget": {"trials": 1},
    }
    return Space.recorded(tree)


def search(
    problem: str, pruner: str, n_trials: int, history: int, seed: int
) -> tuple[float, float]:
    """Search once.

    Returns:
        The function at the trial that looked best, and the processor's seconds.
    """
    function, noise = PROBLEMS[problem]
    space = space_of(pruner, history, seed)
    rng = np.random.default_rng(seed)
    whole = optuna.storages.InMemoryStorage()
    seen_by_pruner = bounded(whole, history_of(space.pruner))
    study = optuna.create_study(
        storage=bounded(whole, history_of(space.sampler), [False]),
        sampler=make_sampler(space, n_existing_trials=0),
    )
    judged = optuna.Study(study.study_name, seen_by_pruner, pruner=make_pruner(space))
    best = (math.inf, math.inf)
    began = time.process_time()
    for _ in range(n_trials):
        trial = study.ask()
        worth = function(np.array(list(propose(trial, space).values())))
        value = worth + noise * rng.standard_normal()
        detour = rng.standard_normal()
        if pruner != "none":
            for step in range(1, N_REPORTS):
                trial.report(value + detour * math.exp(-step / 2), step)
                if judged.pruner.prune(judged, whole.get_trial(trial._trial_id)):
                    study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                    break
            else:
                study.tell(trial, value)
                best = min(best, (value, worth))
            continue
        study.tell(trial, value)
        best = min(best, (value, worth))
    return best[1], time.process_time() - began


def main(argv: list[str]) -> int:
    """Search and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=1_000)
    parser.add_argument("--histories", type=int, nargs="+", default=[100, 250])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument("--pruners", nargs="+", choices=("none", "asha"), default=["none", "asha"])
    add_json_option(parser)
    options = parser.parse_args(argv)
    configure_logging(verbose=False)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rows: list[list[Cell]] = []
    for problem in options.problems:
        for pruner in options.pruners:
            found: dict[int, list[float]] = {}
            for history in (WHOLE, *options.histories):
                done = [
                    search(problem, pruner, options.trials, history, seed)
                    for seed in range(options.seeds)
                ]
                found[history] = [worth for worth, _ in done]
                row: list[Cell] = [
                    problem,
                    pruner,
                    "all" if history == WHOLE else history,
                    float(np.mean(found[history])),
                ]
                if history == WHOLE:
                    row += [None] * 4
                else:
                    compared = compare_paired(found[history], found[WHOLE])
                    low, high = compared.interval or (None, None)
                    row += [compared.mean_difference, low, high, compared.p_value]
                seconds = sum(took for _, took in done) / len(done)
                rows.append([*row, seconds])
                print(*rows[-1], file=sys.stderr, flush=True)
    publish(
        title=f"Searches of {options.trials:,} trials that see a part of them",
        module="tests.benchmarks.searching.history",
        argv=argv,
        tables=[
            Table(
                title="Above the minimum, where the best trial of a search lies",
                columns=[
                    "function", "pruner", "trials seen", "mean", "minus that of all", "95 % from",
                    "to", "p", "CPU seconds a search",
                ],
                rows=rows,
            )
        ],
        notes=[
            f"Means over {options.seeds} seeds; differences are seed by seed. A sampler sees, "
            "beside the newest trials, the 25 best before them; a pruner does not.",
        ],
        json_file=options.json,
    )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
