"""The command that lists what can be trained."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from space.errors import UsageError
from trainables import __main__ as listing
from trainables.finding.find import SHIPPED
from trainables.shipped.digit_pairs.models import MODELS
from trainables.shipped.digit_pairs.models.layers import scaled


def test_listing_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert listing.main(["--width", "4", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    rows = found["models"]
    assert [row["name"] for row in rows] == list(MODELS)
    assert [row["name"] for row in found["trainables"]] == list(SHIPPED)
    table = next(row for row in found["trainables"] if row["name"] == "table-mlp")
    assert table["metrics"] == ["mae", "r2", "loss"]
    assert {"learning_rate", "width", "csv"} <= set(table["searchable"])
    sizes = [392, *(scaled(n, 4) for n in (350, 250, 200, 20)), 2]
    n_weights = sum(n_in * n_out for n_in, n_out in pairwise(sizes))
    assert rows[0] == {
        "name": "mlp",
        "parameters": n_weights + sum(sizes[1:]),
        # Two operations for each weight of the five linear layers; biases are not counted.
        "forward_flops": 2 * n_weights,
        "aux_heads": False,
    }
    assert [row["name"] for row in rows if row["aux_heads"]] == ["deepconvnet-aux", "siamese-aux"]


def test_listing_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert listing.main(["--width", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    first, lines = lines[: len(SHIPPED) + 1], lines[len(SHIPPED) + 2 :]
    assert [line.split()[0] for line in first] == ["trainable", *SHIPPED]
    assert "Which of ten digits" in " ".join(first)
    assert len(lines) == 1 + len(MODELS)
    assert " ".join(lines[0].split()) == "model parameters forward FLOPs a pair aux heads"
    assert lines[-1].startswith("siamese-aux")
    assert lines[-1].endswith("yes")
    assert len({len(line) for line in lines}) == 1


@pytest.mark.parametrize("width", ["0", "-3", "wide", "1.5"])
def test_bad_arguments_are_refused(width: str) -> None:
    with pytest.raises(UsageError, match="whole number of at least 1"):
        listing.main(["--width", width])
