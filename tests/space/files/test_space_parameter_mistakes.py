"""Every kind of mistake in a parameter or its condition, with the exact sentence it gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ..conftest import refusal

# Where a value is put, the value (... removes the key), and what the sentence says after the file.
_BAD: list[tuple[str, Any, str]] = [
    # parameters
    ("parameters", {}, "parameters: empty; expected at least one entry"),
    (
        "parameters.weight_deca",
        {"type": "float", "low": 0, "high": 1},
        "parameters.weight_deca: unknown parameter; allowed: model, width, augment, batch_size, "
        "learning_rate, learning_rate_decay, weight_decay, optimizer, momentum, schedule, "
        "step_epochs, warmup_epochs, clip_norm, shuffle, selection, precision, tf32, aux_weight, "
        "options.NAME; "
        "did you mean 'weight_decay'?",
    ),
    (
        "parameters.learning_rate.type",
        "flaot",
        "parameters.learning_rate.type: found 'flaot'; allowed: float, int, categorical; did you "
        "mean 'float'?",
    ),
    (
        "parameters.learning_rate.type",
        ...,
        "parameters.learning_rate.type: required, but missing; allowed: float, int, categorical",
    ),
    ("parameters.learning_rate", 1e-3, "parameters.learning_rate: found 0.001; expected a mapping"),
    ("parameters.learning_rate.low", ..., "parameters.learning_rate.low: required, but missing"),
    (
        "parameters.learning_rate.lo",
        1,
        "parameters.learning_rate.lo: unknown key of float; allowed: high, log, low, step, type, "
        "when; did you mean 'low'?",
    ),
    (
        "parameters.learning_rate.low",
        "1e-3x",
        "parameters.learning_rate.low: found '1e-3x'; expected a number",
    ),
    (
        "parameters.learning_rate.low",
        1.0,
        "parameters.learning_rate.low: found 1; expected at most high, 0.01",
    ),
    (
        "parameters.learning_rate.low",
        0,
        "parameters.learning_rate.low: found 0; expected more than 0, since the scale is "
        "logarithmic",
    ),
    (
        "parameters.learning_rate.step",
        0.001,
        "parameters.learning_rate.step: expected either 'log' or 'step', not both",
    ),
    (
        "parameters.aux_weight.high",
        0.95,
        "parameters.aux_weight.high: found 0.95; expected low plus a whole number of steps, such "
        "as 0.9",
    ),
    (
        "parameters.aux_weight.step",
        1e-9,
        "parameters.aux_weight.step: found 1e-09; over a million steps",
    ),
    (
        "parameters.aux_weight",
        {"type": "float", "low": 0.9, "high": 0.9001, "step": 1e-10},
        "parameters.aux_weight.step: found 1e-10, which is lost in the rounding of the bounds; "
        "expected a larger step, such as 1e-07",
    ),
    (
        "parameters.aux_weight",
        {"type": "float", "low": -1e8 - 10, "high": -1e8, "step": 0.1},
        "parameters.aux_weight.step: found 0.1, which is lost in the rounding of the bounds; "
        "expected a larger step, such as 10",
    ),
    (
        "parameters.aux_weight.high",
        1.0,
        "parameters.aux_weight.high: found 1; training.aux_weight must be less than 1",
    ),
    (
        "parameters.width.high",
        130,
        "parameters.width.high: found 130; expected low plus a whole number of steps, such as 128",
    ),
    ("parameters.width.low", 0, "parameters.width.low: found 0; model.width must be at least 1"),
    ("parameters.width.low", 16.0, "parameters.width.low: found 16; expected an integer"),
    (
        "parameters.precision",
        {"type": "categorical", "choices": ["float32", "float16"]},
        "parameters.precision.choices.1: found 'float16'; training.precision must be 'float32' or "
        "'bfloat16'",
    ),
    (
        "parameters.model.choices",
        [],
        "parameters.model.choices: empty; expected at least one entry",
    ),
    (
        "parameters.model.choices",
        ["siamese-aux", "a", "a"],
        "parameters.model.choices.2: found 'a' a second time",
    ),
    (
        "parameters.model.choices",
        ["siamese-aux", None],
        "parameters.model.choices.1: found null; expected true or false, an integer, a number or "
        "a string",
    ),
    # conditions
    (
        "parameters.aux_weight.when.parameter",
        "modl",
        "parameters.aux_weight.when.parameter: found 'modl', which is not searched; searched: "
        "learning_rate, width, model; did you mean 'model'?",
    ),
    (
        "parameters.aux_weight.when.in",
        ["siamse"],
        "parameters.aux_weight.when.in.0: found 'siamse'; model allows siamese, siamese-aux",
    ),
    (
        "parameters.aux_weight.when.in",
        ["siamese", None],
        "parameters.aux_weight.when.in.1: found null; expected true or false, an integer, a number "
        "or a string",
    ),
    (
        "parameters.aux_weight.when",
        {"parameter": "model"},
        "parameters.aux_weight.when: expected either 'in' or 'above' and 'below' (one of them or "
        "both)",
    ),
    (
        "parameters.aux_weight.when",
        {"parameter": "model", "above": 1},
        "parameters.aux_weight.when: model is categorical; expected 'in' instead",
    ),
    (
        "parameters.aux_weight.when",
        {"parameter": "learning_rate", "in": [0.001]},
        "parameters.aux_weight.when.in: learning_rate is a float; expected 'above' or 'below' "
        "instead",
    ),
    (
        "parameters.aux_weight.when",
        {"parameter": "width", "above": 128},
        "parameters.aux_weight.when: never holds: width is a whole number from 16 to 128 in steps "
        "of 16",
    ),
    (
        "parameters.model.when",
        {"parameter": "aux_weight", "above": 0.5},
        "parameters.aux_weight.when: conditions go round in a circle: aux_weight -> model -> "
        "aux_weight",
    ),
]


@pytest.mark.parametrize(("key", "value", "sentence"), _BAD, ids=[row[2][:60] for row in _BAD])
def test_a_mistake_gets_its_sentence(
    tree: dict[str, Any], tmp_path: Path, key: str, value: Any, sentence: str
) -> None:
    path = tmp_path / "bad.yaml"
    assert refusal(tree, path, key, value) == f"{path}: {sentence}"
