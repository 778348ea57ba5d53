"""The command that lists the networks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from space.errors import UsageError
from trainables import __main__ as listing
from trainables.models import MODELS

ROOT = Path(__file__).parents[2]


def test_listing_as_json() -> None:
    child = subprocess.run(
        [sys.executable, "-W", "error", "-m", "trainables", "--json"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    rows = json.loads(child.stdout)
    assert [row["name"] for row in rows] == list(MODELS)
    assert rows[0] == {
        "name": "mlp",
        "parameters": 279_562,
        # Two operations for each weight of the five linear layers; biases are not counted.
        "forward_flops": 2 * (392 * 350 + 350 * 250 + 250 * 200 + 200 * 20 + 20 * 2),
        "aux_heads": False,
    }
    assert [row["name"] for row in rows if row["aux_heads"]] == ["deepconvnet-aux", "siamese-aux"]
    assert child.stderr == ""


def test_listing_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert listing.main(["--width", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(MODELS)
    assert " ".join(lines[0].split()) == "model parameters forward FLOPs a pair aux heads"
    assert lines[-1].startswith("siamese-aux")
    assert lines[-1].endswith("yes")
    assert len({len(line) for line in lines}) == 1


@pytest.mark.parametrize("width", ["0", "-3", "wide", "1.5"])
def test_bad_arguments_are_refused(width: str) -> None:
    with pytest.raises(UsageError, match="whole number of at least 1"):
        listing.main(["--width", width])
