"""Checkpoints at places elsewhere: fsspec's memory, and an S3 server."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import search
from search.runs.checkpoints import require_writable
from space.errors import CheckpointError, UsageError
from space.files import places
from space.files.places import place_of, read_place, retried
from space.files.writing import write_whole
from tests.search.conftest import SPACE
from tests.search.here import Here
from trainables import load_weights
from trainables.worker import assigned

pytest.importorskip("moto")

TRAINED: dict[str, Any] = {
    "study": "closed",
    "sampler": SPACE["sampler"],
    "model": {"name": "mlp", "width": 4},
    "data": {"source": "digits", "n_train_pairs": 60},
    "parameters": {"learning_rate": {"type": "float", "low": 1e-3, "high": 1e-2}},
    "training": {"epochs": 4},
    "resources": {"runs_per_trainable": 1},
    "keep_weights": True,
    "budget": {"trials": 2},
}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    import boto3
    import s3fs

    for name, value in {
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": server,
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    found = boto3.resource("s3").Bucket("studies")
    found.create()
    yield found
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture(autouse=True)
def every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints are due after every epoch."""
    monkeypatch.setattr(assigned, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(assigned, "CHECKPOINT_SHARE", 1e9)


@pytest.mark.parametrize("url", ["s3://studies/c", "memory://studies/c"])
def test_runs_go_on_from_there(url: str, here: Here, bucket: Any, tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 's.db'}"

    def stop() -> None:
        raise KeyboardInterrupt

    here.at[5] = stop
    with pytest.raises(KeyboardInterrupt):
        search.launch(TRAINED, storage=storage, checkpoints=url, progress=False)
    left = list(place_of(url).rglob("*.pt"))
    assert len(left) == 2
    study = search.launch(TRAINED, storage=storage, checkpoints=url, progress=False)
    assert study.counts["COMPLETE"] == 2
    assert here.n_epochs == 8  # None was trained twice.
    assert not list(place_of(url).rglob("*.pt"))
    assert len(list(place_of(url).rglob("*.safetensors"))) == 2
    assert not (tmp_path / "checkpoints").exists()
    search.export(study, tmp_path / "b.yaml", weights=tmp_path / "w", checkpoints=url)
    assert (tmp_path / "w").stat().st_size > 1000


def test_a_lost_bucket_costs_speed_alone(
    here: Here,
    bucket: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(places, "WAITS", (0.0,))

    def lose() -> None:
        bucket.objects.all().delete()
        bucket.delete()

    here.at[3] = lose
    study = search.launch(
        TRAINED,
        storage=f"sqlite:///{tmp_path / 's.db'}",
        checkpoints="s3://studies/lost",
        progress=False,
    )
    assert study.counts["COMPLETE"] == 2
    assert "goes on without" in caplog.text
    assert "weights" in caplog.text
    with pytest.raises(CheckpointError, match="studies/lost"):
        require_writable(place_of("s3://studies/lost"))


def test_what_passes_by_waiting_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "WAITS", (0.0, 0.0))
    place = place_of("memory://tried/again")
    failures: list[Exception] = [ValueError("busy"), TimeoutError()]

    def write() -> str:
        if failures:
            raise failures.pop()
        return "written"

    assert retried(place, write) == "written"
    failures[:] = [ValueError("busy")] * 3
    with pytest.raises(OSError, match="ValueError: busy"):
        retried(place, write)
    failures[:] = [ValueError("a bug of ours")]
    with pytest.raises(ValueError, match="bug"):
        retried(Path("here"), write)
    write_whole(place_of("memory://a/new/file"), "te", b"xt")
    assert read_place(place_of("memory://a/new/file")) == b"text"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("s3://key:secret@bucket/x", "environment"),
        ("nonsense://x/y", "no kind"),
        ("gs://bucket/x", "install gcsfs"),
    ],
)
def test_places_that_are_refused(text: str, said: str) -> None:
    with pytest.raises(CheckpointError, match=said):
        place_of(text)
    with pytest.raises(CheckpointError, match=said):
        load_weights(text)
    with pytest.raises(UsageError, match="--checkpoints"):
        search.launch("mlp", checkpoints=text)
