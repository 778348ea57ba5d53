"""What a race costs and saves: seeds added until there is an answer, where the truth is known.

    python -m tests.benchmarks.statistics.race_calibration [--simulations 1000] [--max-seeds 30]
        [--seed 0] [--json FILE]

False verdicts: one config that equals the reference, or differs from it by the margin, from the
scenarios of `scenarios`; the race looks after every seed and ends at its first answer. Beside it
stands what looking as often with the sign-flip test would say, which is meant for a number of seeds
that is settled before. Families: 6 configs that equal the reference, raced side by side, each until
it has an answer of its own; one wrong answer among the 6 counts.

Seeds saved: configs with a true difference, in standard deviations of the differences of single
seeds, raced, beside a fixed ten with the sign-flip test. Seeds are the mean over configs; what is
saved is a share of ten, and negative where the race takes more, as it does where ten seeds would
often have found nothing. The last column is the like for like: the number of seeds, settled before,
with which the sign-flip test finds as many of the differences as the race.

`allowed` is the largest share of false verdicts that a procedure of level 5 % exceeds with a
probability below 0.1 % (binomial).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dashboards.statistics.means import holm
from dashboards.statistics.sign_flips import SignFlips
from dashboards.statistics.wagers import Wagers
from space.terminal.command import EXIT_DONE, Parser, positive_int, run_command
from space.terminal.command import seed as seed_option
from tests.benchmarks.results import Cell, Table, add_json_option, publish
from tests.benchmarks.statistics.report_calibration import ALPHA
from tests.benchmarks.statistics.scenarios import OUTSIDE, SCENARIOS, draw_pairs
from tests.benchmarks.statistics.verdict_calibration import MARGIN, N_CONFIGS, allowed_share

FIXED = 10
DIFFERENCES = (0.0, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0)


@dataclass(frozen=True, kw_only=True)
class Raced:
    """How races ended.

    Attributes:
        seeds: Seeds of a config, in the mean.
        found: Share of the configs called better.
        wrong: Share of the configs called worse.
        any_verdict: Share of the races in which any config was called better or worse.
        equivalent: Share of the configs called equivalent.
    """

    seeds: float
    found: float
    wrong: float
    any_verdict: float
    equivalent: float


def race(
    differences_KN: NDArray[np.float64], *, margin: float | None = None
) -> list[tuple[str, int]]:
    """Race K configs: the answer of each and the seeds it took, of N at the most."""
    n_configs, n_seeds = differences_KN.shape
    n_seen = [2] * n_configs
    answers = ["undecided"] * n_configs
    for n in range(2, n_seeds + 1):
        n_seen = [n if answers[k] == "undecided" else n_seen[k] for k in range(n_configs)]
        seen = [differences_KN[k, : n_seen[k]] for k in range(n_configs)]
        adjusted = holm([Wagers(each).p_value(0.0) for each in seen])
        answers = [
            "undecided" if p > ALPHA else "better" if np.mean(each) < 0 else "worse"
            for p, each in zip(adjusted, seen, strict=True)
        ]
        if margin is not None:
            equivalent = holm([_within(each, margin) for each in seen])
            answers = [
                "equivalent" if p <= ALPHA else found
                for p, found in zip(equivalent, answers, strict=True)
            ]
        if "undecided" not in answers:
            break
    return list(zip(answers, n_seen, strict=True))


def _within(differences_N: NDArray[np.float64], margin: float) -> float:
    shifted = [towards * differences_N - margin for towards in (1, -1)]
    return max(Wagers(each).p_value(0.0) / 2 if np.mean(each) < 0 else 1.0 for each in shifted)


def simulate_races(differences_SKN: NDArray[np.float64], *, margin: float | None = None) -> Raced:
    """Race S times K configs on N seeds at the most, of these differences from the reference."""
    ended = [race(each, margin=margin) for each in differences_SKN]
    answers = [[answer for answer, _ in configs] for configs in ended]
    every = [answer for configs in answers for answer in configs]
    return Raced(
        seeds=float(np.mean([n for configs in ended for _, n in configs])),
        found=every.count("better") / len(every),
        wrong=every.count("worse") / len(every),
        any_verdict=float(
            np.mean([{"better", "worse"} & {*configs} != set() for configs in answers])
        ),
        equivalent=every.count("equivalent") / len(every),
    )


def looks_with_sign_flips(differences_SN: NDArray[np.float64]) -> float:
    """Share of comparisons that the sign-flip test rejects after any of the seeds from 6 on."""
    n_seeds = differences_SN.shape[1]
    return float(
        np.mean(
            [
                any(SignFlips.of(each[:n]).p_value(0.0) <= ALPHA for n in range(6, n_seeds + 1))
                for each in differences_SN
            ]
        )
    )


def of_scenario(
    scenario: str, n_simulations: int, n_seeds: int, seed: int, difference: float = 0.0
) -> NDArray[np.float64]:
    """The differences of so many pairs of a scenario, shape (S, 1, N)."""
    draw, rng = draw_pairs(scenario, n_seeds, seed)
    pairs = [draw(rng, n_seeds, difference) for _ in range(n_simulations)]
    return np.array([[values - reference] for values, reference in pairs])


def of_difference(
    difference: float, n_configs: int, n_simulations: int, n_seeds: int, seed: int
) -> NDArray[np.float64]:
    """Differences of configs that share their reference, of unit scatter, shape (S, K, N)."""
    rng = np.random.default_rng([seed, n_configs])
    errors = rng.normal(0, np.sqrt(0.5), (n_simulations, n_configs + 1, n_seeds))
    differences: NDArray[np.float64] = errors[:, 1:] - errors[:, :1] - difference
    return differences


def found_by(n: int, differences_SKN: NDArray[np.float64]) -> float:
    """Share of the configs that the first n seeds and the sign-flip test call better."""
    n_found = 0
    for differences_KN in differences_SKN[:, :, :n]:
        adjusted = holm([SignFlips.of(each).p_value(0.0) for each in differences_KN])
        n_found += int(np.sum((adjusted <= ALPHA) & (differences_KN.mean(axis=1) < 0)))
    return n_found / float(np.prod(differences_SKN.shape[:2]))


def seeds_to_find(share: float, differences_SKN: NDArray[np.float64]) -> int | None:
    """The fewest seeds with which the sign-flip test calls such a share better, if any do."""
    few, enough = 2, int(differences_SKN.shape[2])
    if share < ALPHA or found_by(enough, differences_SKN) < share:
        return None
    while enough - few > 1:
        between = (few + enough) // 2
        if found_by(between, differences_SKN) < share:
            few = between
        else:
            enough = between
    return enough


def main(argv: list[str]) -> int:
    """Simulate and print the tables."""
    parser = Parser(
        prog="python -m tests.benchmarks.statistics.race_calibration", description=__doc__
    )
    parser.add_argument("--simulations", type=positive_int, default=1_000, metavar="N")
    parser.add_argument("--max-seeds", type=positive_int, default=30, metavar="N")
    parser.add_argument("--seed", type=seed_option, default=0)
    add_json_option(parser)
    options = parser.parse_args(argv)
    n_simulations, n_seeds, seed = options.simulations, options.max_seeds, options.seed
    allowed = allowed_share(n_simulations)
    false_rows: list[list[Cell]] = []
    for scenario in SCENARIOS | OUTSIDE:
        equal = of_scenario(scenario, n_simulations, n_seeds, seed)
        at_margin = of_scenario(scenario, n_simulations, n_seeds, seed, MARGIN)
        false_rows.append(
            [
                scenario,
                simulate_races(equal).any_verdict,
                simulate_races(at_margin, margin=MARGIN).equivalent,
                allowed,
                looks_with_sign_flips(equal[:, 0]),
            ]
        )
    family = simulate_races(of_difference(0.0, N_CONFIGS, n_simulations, n_seeds, seed))
    saved_rows: list[list[Cell]] = []
    for n_configs in (1, N_CONFIGS):
        n_races = max(1, n_simulations // n_configs)
        for difference in DIFFERENCES:
            drawn = of_difference(difference, n_configs, n_races, n_seeds, seed)
            raced = simulate_races(drawn)
            saved_rows.append(
                [
                    n_configs,
                    difference,
                    found_by(FIXED, drawn),
                    raced.found,
                    raced.wrong,
                    raced.seeds,
                    f"{1 - raced.seeds / FIXED:.0%}",
                    seeds_to_find(raced.found, drawn),
                ]
            )
    level = f"level {ALPHA:.0%}"
    publish(
        title="Races where the truth is known",
        module="tests.benchmarks.statistics.race_calibration",
        argv=argv,
        tables=[
            Table(
                title=f"A look after every seed up to {n_seeds}: share of false verdicts, {level}",
                columns=[
                    "scenario",
                    "no difference: better or worse",
                    f"differing by the margin {MARGIN}: equivalent",
                    "allowed",
                    "no difference, sign-flip test at every look",
                ],
                rows=false_rows,
            ),
            Table(
                title=f"Races of {N_CONFIGS} configs that equal the reference",
                columns=["any called better or worse", "allowed"],
                rows=[[family.any_verdict, allowed]],
            ),
            Table(
                title=f"Seeds saved against a fixed {FIXED}, of {n_seeds} at the most",
                columns=[
                    "configs",
                    "difference / scatter",
                    f"fixed {FIXED}: found",
                    "raced: found",
                    "raced: wrong sign",
                    "raced: seeds a config",
                    "saved",
                    "fixed seeds that find as often",
                ],
                rows=saved_rows,
            ),
        ],
        notes=[
            f"Shares of {n_simulations:,} simulated comparisons or races a row. allowed: the "
            "largest share that a procedure of the level exceeds with a probability below 0.1 %. "
            "skewed and one-collapses stand outside the guarantee. scatter: the standard deviation "
            "of the difference on one seed. saved: negative where ten seeds would often have found "
            "nothing; the last column is the number of seeds, settled before, with which the "
            "sign-flip test finds as many of the differences as the race.",
        ],
        json_file=options.json,
    )
    return EXIT_DONE


if __name__ == "__main__":
    run_command(main)
