"""Saves and restores a run.

A file is one line, ``trainables-checkpoint-1 <sha256 of the rest>``, then what `torch.save` writes.
torch's own format does not notice a changed byte inside a tensor; the checksum does.
"""

from __future__ import annotations

import hashlib
import io
import logging
from typing import Any

from space.errors import CheckpointError
from space.files.places import Place, found, read_place, retried
from space.files.writing import write_whole
from trainables.contract.run import Run

__all__ = ["delete_checkpoint", "is_checkpoint", "load_checkpoint", "save_checkpoint"]

_log = logging.getLogger(__name__)

_MAGIC = b"trainables-checkpoint-1 "


def save_checkpoint(run: Run, path: Place) -> None:
    """Writes a run's state, so that the file is at every moment either the old one or the new one.

    Args:
        run: The run, between two epochs.
        path: The file; its directory is made where it is missing.

    Raises:
        CheckpointError: If the file cannot be written.
    """
    import torch

    buffer = io.BytesIO()
    content = {
        "config_hash": run.config.config_hash(),
        "fingerprint": run.fingerprint,
        "state": run.state_dict(),
    }
    torch.save(content, buffer)
    payload = buffer.getbuffer()
    digest = hashlib.sha256(payload).hexdigest().encode()
    try:
        write_whole(path, _MAGIC + digest + b"\n", payload)
    except OSError as error:
        raise CheckpointError(
            f"the checkpoint {path} cannot be written ({error.strerror or error}): check the disk "
            "and the rights on its directory"
        ) from error


def load_checkpoint(run: Run, path: Place) -> None:
    """Brings a run to a saved state; its epochs to come are those of the run that was saved.

    Args:
        run: A run of the same config, on any device.
        path: What `save_checkpoint` wrote.

    Raises:
        CheckpointError: If the file cannot be read, is damaged, or is of another config or other
            data. The run is then as it was.
    """
    content = _read(path)
    own_hash = run.config.config_hash()
    if content["config_hash"] != own_hash:
        raise CheckpointError(
            f"the checkpoint {path} is of another config (hash {content['config_hash']}, not "
            f"{own_hash}): resume with the config it was saved under, or start anew without it"
        )
    if content["fingerprint"] != run.fingerprint:
        raise CheckpointError(
            f"the checkpoint {path} was trained on other images (fingerprint "
            f"{content['fingerprint']}, not {run.fingerprint}): bring back the data it was trained "
            "on, or start anew without it"
        )
    state = content["state"]
    run.load_state_dict({**state, "history": [_of_any_release(each) for each in state["history"]]})


def is_checkpoint(path: Place) -> bool:
    """Whether there is a file to go on from.

    Args:
        path: The file.

    Raises:
        CheckpointError: If it cannot be told.
    """
    try:
        return found(path)
    except OSError as error:
        raise CheckpointError(
            f"the checkpoint {path} cannot be looked for ({error.strerror or error}): check that "
            "its place can be reached"
        ) from error


def delete_checkpoint(path: Place) -> None:
    """Deletes the checkpoint of a run that needs none any more, if there is one.

    Where it cannot be deleted it stays, and a warning says so: it is in nobody's way.

    Args:
        path: The file.
    """
    try:
        if found(path):
            retried(path, lambda: path.unlink(missing_ok=True))
    except OSError as error:
        _log.warning("the checkpoint %s cannot be deleted (%s)", path, error.strerror or error)


def _of_any_release(epoch: dict[str, Any]) -> dict[str, Any]:
    """An epoch as `Epoch` has it; older releases wrote its metrics beside its number."""
    if "metrics" in epoch:
        return epoch
    others = {key: epoch[key] for key in ("epoch", "seconds")}
    return {**others, "metrics": {key: epoch[key] for key in epoch.keys() - others.keys()}}


def _read(path: Place) -> dict[str, Any]:
    try:
        data = read_place(path)
    except OSError as error:
        raise CheckpointError(
            f"the checkpoint {path} cannot be read ({error.strerror or error}): check its path, or "
            "start anew without it"
        ) from error
    header, _, payload = data.partition(b"\n")
    if not header.startswith(_MAGIC):
        raise CheckpointError(
            f"{path} is not a checkpoint of this version: check its path, or start anew without it"
        )
    if hashlib.sha256(payload).hexdigest().encode() != header.removeprefix(_MAGIC):
        raise CheckpointError(
            f"the checkpoint {path} is damaged or cut short: start anew without it, or from an "
            "earlier one"
        )
    import torch

    content: dict[str, Any] = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    return content
