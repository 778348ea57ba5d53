"""Recording curves: a file that says what ordinary runs said, and reads back as it was written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from search.record_curves import centres, fresh_pairs, main
from search.runs.seeds import replicate_config
from search.simulate.curves_file import read_curves
from space import FloatParameter, IntParameter, parse_space
from space.errors import SpaceError, UserError
from trainables.data.pairs import draw_train_validation
from trainables.data.sources import load_source
from trainables.loop.training import Training
from trainables.resolve import resolve_config

SPACE: dict[str, Any] = {
    "study": "tiny",
    "model": {"name": "mlp", "width": 4},
    "data": {"source": "digits", "n_train_pairs": 60, "data_seed": 1000},
    "training": {"epochs": 3, "batch_size": 20, "training_seed": 1000},
    "parameters": {
        "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
        "weight_decay": {"type": "categorical", "choices": [0.0, 1e-2]},
    },
    "budget": {"trials": 1},
}


def record(directory: Path, *options: str, **changes: Any) -> Path:
    """Record the tiny space; gives the file."""
    space, output = directory / "space.yaml", directory / "made" / "curves.json"
    space.write_text(json.dumps({**SPACE, **changes}))
    main(["--space", str(space), "--output", str(output), *options])
    return output


def test_a_recorded_run_is_that_of_a_trial_with_the_same_params_and_seed(tmp_path: Path) -> None:
    options = ("--cells", "learning_rate=3", "--seeds", "2", "--together", "4")
    curves = read_curves(record(tmp_path, *options))
    assert [point.params["learning_rate"] for point in curves.points[::2]] == pytest.approx(
        [10**-3.5, 10**-2.5, 10**-1.5], rel=1e-5
    )
    assert [point.params["weight_decay"] for point in curves.points] == [0.0, 1e-2] * 3
    images = load_source(curves.space.data, "train")
    config = resolve_config(curves.space.resolve(curves.points[3].params))
    for seed, recorded in enumerate(curves.points[3].runs):
        run = Training(replicate_config(config, seed), images, torch.device("cpu"))
        while not run.finished:
            run.run_epoch()
        assert recorded.val_error == pytest.approx([each.val_error for each in run.history])
        assert recorded.val_loss == pytest.approx([each.val_loss for each in run.history], rel=1e-4)
        fresh = fresh_pairs(curves.space, images, seed)
        assert recorded.fresh_error == pytest.approx(run.evaluate_kept(fresh)[1])
    assert curves.provenance["data_source"] == "digits"
    assert curves.truth == "mean over 2 seeds of the error on 540 fresh pairs each"


def test_fresh_pairs_share_no_image_with_the_run_they_judge() -> None:
    space = parse_space(SPACE, "space")
    images = load_source(space.data, "train")
    own = draw_train_validation(images, replicate_config(space.config, 1).data)
    seen = {
        image.numpy().tobytes()
        for part in (own.train, own.validation)
        for image in part.x_N2HW.flatten(0, 1)
    }
    fresh = fresh_pairs(space, images, 1)
    assert len(seen) == 120
    assert len(fresh) == 540
    assert not seen & {image.numpy().tobytes() for image in fresh.x_N2HW.flatten(0, 1)}


def test_models_of_several_widths_are_recorded_each_with_its_like(tmp_path: Path) -> None:
    parameters = {"width": {"type": "int", "low": 2, "high": 4}}
    curves = read_curves(record(tmp_path, "--seeds", "1", parameters=parameters))
    assert [point.params["width"] for point in curves.points] == [2, 3, 4]
    assert all(len(point.runs[0].val_error) == 3 for point in curves.points)


def test_a_run_whose_loss_is_not_finite_ends_early_and_is_worth_nothing(tmp_path: Path) -> None:
    parameters = {"learning_rate": {"type": "categorical", "choices": [1e-3, 1e38]}}
    curves = read_curves(record(tmp_path, "--seeds", "1", parameters=parameters))
    good, bad = (point.runs[0] for point in curves.points)
    assert len(good.val_error) == 3
    assert len(bad.val_error) < 3
    assert bad.fresh_error is None
    assert [value < 1 for value in curves.true_values()] == [True, False]


def test_cells_of_equal_size_cover_the_range_on_its_scale() -> None:
    linear = FloatParameter(type="float", low=0.8, high=1.0)
    assert centres(linear, 4) == pytest.approx([0.825, 0.875, 0.925, 0.975])
    whole = IntParameter(type="int", low=1, high=1000, log=True)
    assert centres(whole, 3) == [3, 32, 316]
    steps = FloatParameter(type="float", low=0.0, high=1.0, step=0.5)
    assert centres(steps, 9) == [0.0, 0.5, 1.0]


@pytest.mark.parametrize(
    ("options", "changes", "said"),
    [
        (["--cells", "learning_rat=3"], {}, "did you mean 'learning_rate'"),
        (["--cells", "learning_rate"], {}, "is not PARAMETER=N"),
        (["--cells", "learning_rate=0"], {}, "at least 1"),
        (["--cells", "learning_rate=9999"], {}, "points, over 10,000: give --cells"),
        ([], {"model": {"name": "closed-form"}}, "is not trained"),
        ([], {"data": {"source": "digits", "n_train_pairs": 600}}, "leaves no fresh pair"),
    ],
)
def test_what_cannot_be_recorded_is_refused_before_training(
    tmp_path: Path, options: list[str], changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        record(tmp_path, *options, **changes)


def test_an_output_that_cannot_be_written_is_found_out_first(tmp_path: Path) -> None:
    (tmp_path / "made").write_text("a file")
    with pytest.raises(UserError, match=r"--output .* cannot be written"):
        record(tmp_path)


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
    path = record(tmp_path, "--seeds", "1", "--cells", "learning_rate=1")
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(SpaceError, match=said):
        read_curves(path)


@pytest.mark.parametrize(
    ("mend", "said"),
    [
        (lambda point: point["runs"].pop(), r"points.1.runs: found 1 run, not 2 as in the first"),
        (lambda point: point["params"].pop("weight_decay"), r"points.1.params: found learning"),
        (lambda point: point["runs"][0]["val_loss"].pop(), r"val_loss: found 2 epochs"),
        (lambda point: point["runs"][1].update(val_error=[0.5] * 4, val_loss=[1.0] * 4), "at most"),
        (lambda point: point["runs"][1].update(fresh_error=2.0), "fresh_error: found 2"),
    ],
)
def test_a_point_that_does_not_fit_the_others_is_named(
    tmp_path: Path, mend: Any, said: str
) -> None:
    path = record(tmp_path, "--seeds", "2", "--cells", "learning_rate=1")
    tree = json.loads(path.read_text())
    mend(tree["points"][1])
    path.write_text(json.dumps(tree))
    with pytest.raises(SpaceError, match=said):
        read_curves(path)


@pytest.mark.parametrize("content", [b"", b"[1, 2]", b"\xff\xfe", b"{", b"[" * 100_000])
def test_what_is_no_file_of_curves_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "f.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match="not a file of learning curves; make one with"):
        read_curves(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.json: cannot be read: No such file"):
        read_curves(tmp_path / "none.json")
