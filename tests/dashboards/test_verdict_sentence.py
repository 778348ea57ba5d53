"""What a comparison shows, in one sentence."""

from __future__ import annotations

import pytest

from dashboards.statistics.verdicts import compare_all
from dashboards.words import verdict_sentence
from space.metrics import Metric

ERROR = Metric("test_error", words="test error", unit="fraction of pairs")
SCATTER = [0.001, -0.002, 0.003, -0.001, 0.002, -0.003, 0.001, 0.0, -0.001, 0.002]


def said(by: float, *, n: int = 10, margin: float | None = None, n_failed: int = 0) -> str:
    reference = {seed: 0.2 + seed / 100 for seed in range(n)}
    config = {seed: reference[seed] + by + SCATTER[seed] for seed in range(n)}
    (found,) = compare_all(
        {"mlp": reference, "siamese": config}, "mlp", failed={"siamese": n_failed}, margin=margin
    )
    return verdict_sentence(found, ERROR, ERROR.notation([]))


@pytest.mark.parametrize(
    ("by", "options", "begins", "holds"),
    [
        (-0.05, {}, "siamese is better than mlp: the", "-4.98 [-5.12, -4.84] percentage points on"),
        (0.05, {"margin": 0.01}, "siamese is worse than mlp", "+5.02"),
        (
            0.0,
            {"margin": 0.01},
            "siamese and mlp are equivalent within 1.00 percentage points:",
            "on",
        ),
        (0.0, {}, "Whether siamese is better or worse than mlp is undecided", "true difference of"),
        (
            5e-4,
            {"margin": 0.001},
            "Whether siamese",
            "equivalent within 0.10 percentage points, is",
        ),
        (0.05, {"n": 3}, "Whether siamese", "on 3 seeds, and an answer takes 6 or more."),
        (0.05, {"n": 3, "margin": 0.1}, "Whether siamese", "an answer takes 5 or more."),
        (-0.05, {"n_failed": 2}, "siamese and mlp are not ranked: failed on 2 seeds", "-4.98"),
    ],
)
def test_the_answer_comes_with_what_it_rests_on(
    by: float, options: dict[str, float], begins: str, holds: str
) -> None:
    sentence = said(by, **options)  # type: ignore[arg-type]
    assert sentence.startswith(begins)
    assert holds in sentence
    assert sentence.endswith(".")
