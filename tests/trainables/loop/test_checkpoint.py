"""Saving and restoring runs."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from space.epochs import Epoch
from space.errors import CheckpointError
from tests.harness.configs import closed_form, open_run
from trainables.contract.run import Run
from trainables.contract.split_data import SplitData
from trainables.loop.training import Training
from trainables.shipped.digit_pairs.config import DigitPairsConfig
from trainables.worker.checkpoint import delete_checkpoint, load_checkpoint, save_checkpoint

MakeConfig = Callable[..., DigitPairsConfig]
MakeTraining = Callable[..., Training]

EVERYTHING = {
    "data__augment": True,
    "training__learning_rate_decay": 0.7,
    "training__weight_decay": 0.01,
    "training__learning_rate": 0.01,
}


def _history(run: Run) -> list[Epoch]:
    return [replace(metrics, seconds=0.0) for metrics in run.history]


def _finish(run: Run) -> None:
    while not run.finished:
        run.run_epoch()


@pytest.mark.parametrize(
    ("name", "stop_after"),
    [("mlp", 2), ("convnet", 0), ("convnet", 1), ("convnet", 3), ("resnet", 1), ("siamese-aux", 2)],
)
def test_resumed_run_equals_the_uninterrupted_one(
    name: str, stop_after: int, make_training: MakeTraining, tmp_path: Path
) -> None:
    whole = make_training(name, **EVERYTHING)
    _finish(whole)
    first = make_training(name, **EVERYTHING)
    for _ in range(stop_after):
        first.run_epoch()
    save_checkpoint(first, tmp_path / "run.ckpt")
    first.run_epoch()  # What comes after the checkpoint leaves it alone.

    resumed = make_training(name, **EVERYTHING)
    load_checkpoint(resumed, tmp_path / "run.ckpt")
    assert resumed.epoch == stop_after
    _finish(resumed)
    assert _history(resumed) == _history(whole)
    assert resumed.kept in resumed.history
    assert resumed.kept.epoch == whole.kept.epoch
    pairs = whole.parts["train"]
    assert resumed.measure(pairs, kept=True) == whole.measure(pairs, kept=True)
    states = resumed.network.state_dict(), whole.network.state_dict()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[1])


def test_kept_state_comes_back(make_training: MakeTraining, tmp_path: Path) -> None:
    run = make_training("convnet")
    _finish(run)
    save_checkpoint(run, tmp_path / "run.ckpt")
    again = make_training("convnet")
    load_checkpoint(again, tmp_path / "run.ckpt")
    assert again.finished
    assert again.kept == run.kept
    pairs = run.parts["train"]
    assert again.measure(pairs, kept=True) == run.measure(pairs, kept=True)


def test_state_in_memory_is_not_shared(make_training: MakeTraining) -> None:
    one, two = make_training("mlp"), make_training("mlp")
    one.run_epoch()
    two.load_state_dict(one.state_dict())
    before = one.measure(one.parts["train"])
    kept = one.measure(one.parts["train"], kept=True)
    two.run_epoch()
    assert one.measure(one.parts["train"]) == before
    assert one.measure(one.parts["train"], kept=True) == kept
    assert _history(one) == _history(two)[:1]
    one.run_epoch()
    assert _history(one) == _history(two)


def test_closed_form_resumes(tmp_path: Path) -> None:
    config = closed_form(training__epochs=9)
    whole, first, resumed = (open_run(config) for _ in range(3))
    _finish(whole)
    for _ in range(5):
        first.run_epoch()
    save_checkpoint(first, tmp_path / "run.ckpt")
    load_checkpoint(resumed, tmp_path / "run.ckpt")
    assert resumed.epoch == 5
    assert resumed.kept == first.kept
    _finish(resumed)
    assert _history(resumed) == _history(whole)
    assert resumed.kept in resumed.history
    assert resumed.kept.epoch == whole.kept.epoch


def test_checkpoint_of_another_config_is_refused(
    make_training: MakeTraining, tmp_path: Path
) -> None:
    save_checkpoint(make_training("mlp"), tmp_path / "run.ckpt")
    for other in (make_training("mlp", training__training_seed=5), make_training("convnet")):
        with pytest.raises(CheckpointError, match="of another config") as raised:
            load_checkpoint(other, tmp_path / "run.ckpt")
        assert str(tmp_path / "run.ckpt") in str(raised.value)


def test_checkpoint_of_other_images_is_refused(
    make_training: MakeTraining, make_config: MakeConfig, digits: SplitData, tmp_path: Path
) -> None:
    save_checkpoint(make_training("mlp"), tmp_path / "run.ckpt")
    changed = SplitData.build(
        "digits", "train", {"image": digits["image"] + 1, "label": digits["label"]}
    )
    run = open_run(make_config("mlp"), changed)
    with pytest.raises(CheckpointError, match="on other images"):
        load_checkpoint(run, tmp_path / "run.ckpt")


def _cut_short(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _one_byte_changed(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def _empty(data: bytes) -> bytes:
    return b""


def _foreign(data: bytes) -> bytes:
    return b"PK\x03\x04 something else\n" + data


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (_cut_short, "damaged or cut short"),
        (_one_byte_changed, "damaged or cut short"),
        (_empty, "not a checkpoint"),
        (_foreign, "not a checkpoint"),
    ],
)
def test_damaged_checkpoints_are_refused_and_the_run_goes_on(
    damage: Callable[[bytes], bytes], text: str, make_training: MakeTraining, tmp_path: Path
) -> None:
    path = tmp_path / "run.ckpt"
    run = make_training("mlp")
    run.run_epoch()
    save_checkpoint(run, path)
    path.write_bytes(damage(path.read_bytes()))
    fresh, untouched = make_training("mlp"), make_training("mlp")
    with pytest.raises(CheckpointError, match=text) as raised:
        load_checkpoint(fresh, path)
    assert str(path) in str(raised.value)
    _finish(fresh)
    _finish(untouched)
    assert _history(fresh) == _history(untouched)


def test_missing_files_and_directories(make_training: MakeTraining, tmp_path: Path) -> None:
    run = make_training("mlp")
    with pytest.raises(CheckpointError, match=r"cannot be read \(No such file"):
        load_checkpoint(run, tmp_path / "none.ckpt")
    save_checkpoint(run, tmp_path / "made" / "for it" / "run.ckpt")
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r"file/run.ckpt cannot be written \(File exists\)"):
        save_checkpoint(run, tmp_path / "file" / "run.ckpt")


def test_what_cannot_be_deleted_is_left_with_a_warning(
    make_training: MakeTraining,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = tmp_path / "run.ckpt"
    save_checkpoint(make_training("mlp"), path)
    delete_checkpoint(path / "under a file")

    def refuse(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched, caplog.at_level(logging.WARNING):
        patched.setattr(Path, "unlink", refuse)
        delete_checkpoint(path)
    assert caplog.messages == [f"the checkpoint {path} cannot be deleted (Permission denied)"]
    delete_checkpoint(path)
    assert not path.exists()
    delete_checkpoint(path)


def test_a_write_that_fails_leaves_the_old_checkpoint(
    make_training: MakeTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.ckpt"
    run = make_training("mlp")
    save_checkpoint(run, path)
    old = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    run.run_epoch()
    with pytest.raises(CheckpointError, match="No space left"):
        save_checkpoint(run, path)
    assert path.read_bytes() == old
    assert os.listdir(tmp_path) == ["run.ckpt"]


def test_a_checkpoint_of_an_older_release_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = open_run(closed_form(training__epochs=3))
    run.run_epoch()
    run.run_epoch()
    history = [
        {"epoch": each.epoch, **each.metrics, "seconds": each.seconds} for each in run.history
    ]
    state = run.state_dict()
    monkeypatch.setattr(run, "state_dict", lambda: {**state, "history": history})
    save_checkpoint(run, tmp_path / "old.ckpt")
    again = open_run(run.config)
    load_checkpoint(again, tmp_path / "old.ckpt")
    assert (again.history, again.kept) == (run.history, run.kept)
