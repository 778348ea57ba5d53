"""Which parameters set the best trials apart, by PED-ANOVA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import create_trial

from dashboards.numbers.study.trials import StudyTrial
from space import Value
from space.metrics import Metric

__all__ = ["Importances", "importances"]

MIN_TRIALS = 10
"""With fewer complete trials there is nothing to be said."""
MIN_TOP = 5
"""The best tenth of the trials is looked at, and no fewer than these."""
USUAL = 0.95
"""Share of the trials that have a parameter for it to be assessed: conditional ones are not."""
MAX_TRIALS = 1000
"""Of more complete trials so many are looked at, spread evenly over the search."""


@dataclass(frozen=True, kw_only=True)
class Importances:
    """How far each parameter sets the best trials apart from the others.

    Attributes:
        metric: The objective.
        shares: Parameter -> share, largest first; they sum to 1.
        n_trials: Complete trials that were looked at.
        n_top: How many of them are the best ones.
    """

    metric: Metric
    shares: dict[str, float]
    n_trials: int
    n_top: int


def importances(
    trials: Sequence[StudyTrial],
    distributions: Mapping[str, BaseDistribution],
    metrics: Sequence[Metric],
) -> tuple[Importances, ...]:
    """Assess the parameters.

    Args:
        trials: The study's trials; complete ones within the distributions are looked at.
        distributions: What each parameter was drawn from, last of all.
        metrics: The objectives.

    Returns:
        One an objective; none where fewer than `MIN_TRIALS` trials are complete, fewer than two
        parameters vary, or all trials are alike in the objective. Parameters that only some trials
        have are left out, and so are the odd trials that lack one of the others.

    Source:
        Watanabe, Bansal, Hutter, PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in
        Arbitrary Subspaces, IJCAI 2023.
    """
    complete = [
        trial
        for trial in trials
        if trial.state == "COMPLETE"
        and len(trial.values) == len(metrics)
        and all(_contains(distributions[name], value) for name, value in trial.params.items())
    ]
    names = [
        name
        for name in distributions
        if sum(name in trial.params for trial in complete) >= USUAL * len(complete)
        and len({trial.params[name] for trial in complete if name in trial.params}) > 1
    ]
    complete = [trial for trial in complete if all(name in trial.params for name in names)]
    if len(complete) < MIN_TRIALS or len(names) < 2:
        return ()
    picked = np.linspace(0, len(complete) - 1, min(len(complete), MAX_TRIALS)).round().astype(int)
    complete = [complete[index] for index in picked]
    quantile = max(0.1, MIN_TOP / len(complete))
    # It brings scikit-learn along: a second that nothing else is to wait for.
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    found = []
    for index, metric in enumerate(metrics):
        if len({trial.values[index] for trial in complete}) < 2:
            continue
        # The evaluator takes lower values for better.
        study = optuna.create_study(direction="minimize")
        study.add_trials(
            [
                create_trial(
                    value=metric.rank(trial.values[index]),
                    params={name: trial.params[name] for name in names},
                    distributions={name: distributions[name] for name in names},
                )
                for trial in complete
            ]
        )
        evaluator = PedAnovaImportanceEvaluator(
            target_quantile=quantile, region_quantile=1.0, evaluate_on_local=True
        )
        shares = get_param_importances(study, evaluator=evaluator, params=names, normalize=True)
        found.append(
            Importances(
                metric=metric,
                shares={name: float(share) for name, share in shares.items()},
                n_trials=len(complete),
                n_top=round(quantile * len(complete)),
            )
        )
    return tuple(found)


def _contains(distribution: BaseDistribution, value: Value) -> bool:
    return distribution._contains(distribution.to_internal_repr(value))
