"""Files of curves: written by a replay, read back as they were, refused where they are wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from search.simulate.curves_file import read_curves
from space.errors import SpaceError, UserError

from ..made_curves import a_run, made_curves


def written(directory: Path) -> Path:
    """The file of two points with two runs each."""
    curves = made_curves([[a_run(0.5, 0.4, 0.3, 0.2, fresh=0.25)] * 2, [a_run(0.5, 0.4)] * 2])
    path = directory / "curves.json"
    path.write_text(curves.to_text())
    return path


def test_a_file_reads_back_as_it_was_written(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert read_curves(path).to_text() == path.read_text()


def test_the_recorded_file_is_still_read() -> None:
    path = Path(__file__).parents[2] / "benchmarks" / "curves" / "mlp.json"
    curves = read_curves(path)
    assert (len(curves.points), curves.n_seeds, curves.epochs) == (144, 4, 25)
    assert curves.true_values().min() == pytest.approx(0.2038, abs=1e-4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "learning-curves/9"}, "format: found"),
        ({"points": []}, "points: empty"),
        ({"extra": 1}, "unknown key"),
    ],
)
def test_a_file_that_is_wrong_is_refused_in_one_sentence(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    path = written(tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(SpaceError, match=said):
        read_curves(path)


@pytest.mark.parametrize(
    ("mend", "said"),
    [
        (lambda point: point["runs"].pop(), r"points.1.runs: found 1 run, not 2 as in the first"),
        (
            lambda point: point["params"].update(width=1),
            r"points.1.params: found weight_decay, width; expected",
        ),
        (
            lambda point: point["runs"][0]["metrics"]["val_loss"].pop(),
            r"val_loss: found 1 epoch; expected",
        ),
        (
            lambda point: point["runs"][1].update(
                metrics={"val_error": [0.5] * 5, "val_loss": [1.0] * 5}
            ),
            "expected at most training.epochs, 4",
        ),
        (lambda point: point["runs"][1]["metrics"].pop("val_loss"), "expected .* val_loss"),
        (lambda point: point["runs"][1].update(fresh="low"), "fresh: found 'low'"),
    ],
)
def test_a_point_that_does_not_fit_the_others_is_named(
    tmp_path: Path, mend: Any, said: str
) -> None:
    path = written(tmp_path)
    tree = json.loads(path.read_text())
    mend(tree["points"][1])
    path.write_text(json.dumps(tree))
    with pytest.raises(SpaceError, match=said):
        read_curves(path)


@pytest.mark.parametrize("content", [b"", b"[1, 2]", b"\xff\xfe", b"{", b"[" * 100_000])
def test_what_is_no_file_of_curves_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "f.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"not a file of learning curves; .* makes one"):
        read_curves(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.json: no such file"):
        read_curves(tmp_path / "none.json")
