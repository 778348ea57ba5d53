"""The real libraries, read back: TensorBoard, MLflow and W&B show what the store has."""

from __future__ import annotations

import math
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from search.callbacks import Callback
from search.callbacks.find import makers
from search.launch.plan import Plan
from search.runs.lease import reclaim_stale
from space.study.callbacks import CallbackList
from storage import Store
from trainables.worker import assigned

from ..conftest import ASHA, Recorder, new_ledger, work
from .conftest import Tell

pytestmark = pytest.mark.filterwarnings("ignore")  # the libraries' own
MakePlan = Callable[..., Plan]


def made(**named: Any) -> Callback:
    pytest.importorskip(named["name"])
    (maker,) = makers(CallbackList.model_validate({"callbacks": [named]}).callbacks)
    return maker.make()


Truth = dict[str, tuple[str, dict[int, float]]]


@pytest.fixture
def killed_twice(
    plan_for: MakePlan,
    store: Store,
    recorder: Recorder,
    teller: Tell,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[Callable[[], Callback]], Truth]:
    """A study whose launches die, the first told of half its epochs and the second of none.

    Each launch's callback is a new one, as in a new process. Returned is what the store has: run ->
    its state and the errors of its epochs.
    """
    monkeypatch.setattr(assigned, "CHECKPOINT_SECONDS", 0.0)

    def make(callback: Callable[[], Callback]) -> Truth:
        plan = plan_for(pruner={**ASHA, "min_resource": 3}, budget={"trials": 6})
        for n_steps, looks in ((2, True), (3, False), (None, True)):
            ledger, study = new_ledger(plan, store, recorder)
            reclaim_stale(study, store, launch_id=ledger._launch_id)
            told = callback()
            tell = teller(ledger, told)
            if looks:
                tell.look()
            work(ledger, plan, n_steps=n_steps)
            if n_steps is None:
                assignment = ledger.next_assignment()
                assert assignment is None
            if looks:
                tell.look()
                tell.look()
            told.close()
            store.end_launch(ledger._launch_id, "died")
        epochs = store.epochs(run.run_id for run in store.runs(study._study_id))
        runs = {run.trial_id: run for run in store.runs(study._study_id)}
        return {
            f"trial {trial.number}": (
                trial.state.name,
                {each.epoch: each["val_error"] for each in epochs[runs[trial._trial_id].run_id]},
            )
            for trial in study.trials
        }

    return make


def test_tensorboard(
    killed_twice: Callable[[Callable[[], Callback]], Truth], tmp_path: Path
) -> None:
    folder = tmp_path / "board"
    truth = killed_twice(lambda: made(name="tensorboard", folder=str(folder)))
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import metadata

    found = {}
    for place in sorted((folder / "closed").iterdir()):
        board = EventAccumulator(str(place), purge_orphaned_data=False).Reload()
        scalars = board.Scalars("val_error")
        assert [each.step for each in scalars] == list(range(1, len(scalars) + 1))
        texts = (
            board.Tensors("state/text_summary")
            if "state/text_summary" in board.Tags()
            else (board.Tensors("state"))
        )
        state = texts[-1].tensor_proto.string_val[0].decode().partition("\n")[0]
        name = place.name.rpartition("-")[0].replace("-", " ")
        found[name] = (state, {each.step: each.value for each in scalars})
        (kept,) = {each.value for each in board.Scalars("kept/val_error")[-1:]}
        assert kept == pytest.approx(min(found[name][1].values()))
        plugins = board.PluginTagToContent("hparams")
        started = metadata.parse_session_start_info_plugin_data(
            plugins[metadata.SESSION_START_INFO_TAG]
        )
        assert set(started.hparams) == {"learning_rate", "weight_decay"}
        assert metadata.SESSION_END_INFO_TAG in plugins
    assert_same(found, truth)


def test_mlflow(
    killed_twice: Callable[[Callable[[], Callback]], Truth],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path / 'ml.db'}"
    truth = killed_twice(lambda: made(name="mlflow", uri=uri))
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("closed")
    found = {}
    words = {"COMPLETE": "FINISHED", "PRUNED": "KILLED", "FAIL": "FAILED"}
    for run in client.search_runs([experiment.experiment_id]):
        history = client.get_metric_history(run.info.run_id, "val_error")
        state = run.data.tags["search.state"]
        found[run.info.run_name] = (state, {each.step: each.value for each in history})
        assert len(history) == len({each.step for each in history})
        assert run.info.status == words[state]
        assert run.data.metrics["kept/val_error"] == min(each.value for each in history)
        assert float(run.data.params["learning_rate"]) > 0
        assert len(run.data.tags["search.config_hash"]) > 10
        assert run.data.tags["search.data_fingerprint"]
        assert ("pruned after" in run.data.tags["search.reason"]) == (state == "PRUNED")
    assert_same(found, truth)


def test_wandb(killed_twice: Callable[[Callable[[], Callback]], Truth], tmp_path: Path) -> None:
    folder = tmp_path / "out"
    truth = killed_twice(lambda: made(name="wandb", folder=str(folder)))
    import wandb

    wandb.teardown()  # Its process has written everything then.
    found = {}
    for path in (folder / "wandb").glob("offline-run-*/run-*.wandb"):
        name, tags, errors = "", [], {}
        for record in wandb_records(path):
            kind = record.WhichOneof("record_type")
            if kind == "run":
                name, tags = record.run.display_name or name, list(record.run.tags) or tags
            elif kind == "history":
                row = {
                    item.key or "/".join(item.nested_key): item.value_json
                    for item in record.history.item
                }
                errors[int(row["_step"])] = float(row["val_error"])
        assert name not in found
        found[name] = (tags[0], errors)
    assert_same(found, truth)


def wandb_records(path: Path) -> Iterator[Any]:
    """The records of an offline run: a log of LevelDB's format with a header of 7 bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, parts = path.read_bytes(), 7, b""
    assert data.startswith(b":W&B")
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        parts += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # a whole one, or a last part
            record = Record()
            record.ParseFromString(parts)
            parts = b""
            yield record


def assert_same(found: Truth, truth: Truth) -> None:
    assert {state for state, _ in truth.values()} == {"COMPLETE", "PRUNED"}
    assert {name: state for name, (state, _) in found.items()} == {
        name: state for name, (state, _) in truth.items()
    }
    for name, (_, errors) in truth.items():
        assert list(found[name][1]) == list(errors)
        assert all(math.isclose(found[name][1][k], errors[k], rel_tol=1e-6) for k in errors)


def test_tensorboard_loads_no_pytorch() -> None:
    pytest.importorskip("tensorboard")
    code = "import sys, search.callbacks.tensorboard as _; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
