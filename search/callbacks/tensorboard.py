"""Event files for TensorBoard, by its own writer: PyTorch is not loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
from tensorboard.plugins.text.metadata import create_summary_metadata
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from search.callbacks.callback import Callback, ToldEpoch, ToldRun

__all__ = ["TensorBoard"]

_STATE = "state"
"""The text in which a run's state stands."""


class _Known(NamedTuple):
    """What the event files of a run have."""

    n_epochs: int
    state: str
    """What it ended in, or was interrupted as; empty where neither was written."""


class TensorBoard(Callback):
    """Writes a folder a run; a run that goes on gets a further file in its own."""

    catches_up = True

    def __init__(self, folder: str) -> None:
        """
        Args:
            folder: What ``tensorboard --logdir`` is given.
        """
        self._folder = Path(folder)
        self._writers: dict[str, EventFileWriter] = {}

    def has(self, run: ToldRun) -> bool:
        """See `Callback`."""
        return self._known(run) == (run.n_epochs, run.state)

    def begin(self, run: ToldRun) -> int:
        """See `Callback`."""
        known = self._known(run)
        self._writers[run.uid] = EventFileWriter(str(self._place(run)))
        start = plugin_data_pb2.SessionStartInfo(
            group_name=run.name, start_time_secs=run.started_at.timestamp()
        )
        for key, value in (run.params or run.config).items():
            if isinstance(value, bool):
                start.hparams[key].bool_value = value
            elif isinstance(value, int | float):
                start.hparams[key].number_value = value
            elif isinstance(value, str):
                start.hparams[key].string_value = value
        self._write(
            run,
            run.started_at.timestamp(),
            0,
            _session(metadata.SESSION_START_INFO_TAG, session_start_info=start),
            _text("config", _table(run.config)),
            _text("provenance", _table(run.provenance)),
        )
        return known.n_epochs

    def epochs(self, run: ToldRun, epochs: Sequence[ToldEpoch]) -> None:
        """See `Callback`."""
        for each in epochs:
            # One event an epoch: it is there with all its metrics, or not at all.
            self._write(run, each.reported_at.timestamp(), each.epoch, *_scalars(each.metrics))
        self._writers[run.uid].flush()

    def end(self, run: ToldRun) -> None:
        """See `Callback`."""
        status = api_pb2.STATUS_FAILURE if run.state == "FAIL" else api_pb2.STATUS_SUCCESS
        seconds = (run.ended_at or run.started_at).timestamp()
        info = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=seconds)
        self._write(
            run,
            seconds,
            run.n_epochs,
            _session(metadata.SESSION_END_INFO_TAG, session_end_info=info),
            *_scalars(run.kept, "kept/"),
            _text(_STATE, f"{run.state}\n\n{run.reason or ''}"),
        )
        self._writers.pop(run.uid).close()

    def close(self) -> None:
        """See `Callback`."""
        while self._writers:
            self._writers.popitem()[1].close()

    def _place(self, run: ToldRun) -> Path:
        return self._folder / run.group / run.slug

    def _write(self, run: ToldRun, seconds: float, step: int, *values: Any) -> None:
        event = Event(wall_time=seconds, step=step, summary=Summary(value=values))
        self._writers[run.uid].add_event(event)

    def _known(self, run: ToldRun) -> _Known:
        known = _Known(0, "")
        for event in self._events(run):
            texts = {
                value.tag: value.tensor.string_val[0].decode()
                for value in event.summary.value
                if value.tensor.string_val
            }
            if _STATE in texts:
                known = known._replace(state=texts[_STATE].partition("\n")[0])
            elif not texts:
                known = known._replace(n_epochs=max(known.n_epochs, event.step))
        return known

    def _events(self, run: ToldRun) -> Iterator[Event]:
        for path in sorted(self._place(run).glob("events.out.tfevents.*")):
            yield from EventFileLoader(str(path)).Load()


def _scalars(metrics: Mapping[str, float], prefix: str = "") -> list[Any]:
    return [Summary.Value(tag=prefix + key, simple_value=each) for key, each in metrics.items()]


def _text(tag: str, text: str) -> Any:
    return Summary.Value(
        tag=tag,
        metadata=create_summary_metadata(display_name=tag, description=""),
        tensor=TensorProto(dtype=DT_STRING, string_val=[text.encode()]),
    )


def _table(values: Mapping[str, Any]) -> str:
    """A table in Markdown."""
    return "\n".join(["| | |", "|---|---|", *(f"| {key} | {values[key]} |" for key in values)])


def _session(tag: str, **info: Any) -> Any:
    data = plugin_data_pb2.HParamsPluginData(version=metadata.PLUGIN_DATA_VERSION, **info)
    return Summary.Value(
        tag=tag, metadata=metadata.create_summary_metadata(data), tensor=metadata.NULL_TENSOR
    )
