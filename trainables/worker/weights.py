"""The weights of a finished run as a file, from which its network is made again.

A safetensors file: tensors alone, which cannot run code, and beside them, as text, the config they
belong to, the fingerprint of the data and the metrics of the epoch whose state they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upath import UPath

from space.epochs import Epoch
from space.errors import CheckpointError
from space.files.places import Place, place_of, read_place
from space.files.writing import write_whole
from space.trainable import find_trainable
from trainables.contract.run import Run
from trainables.finding.find import read_config, trainable_of

if TYPE_CHECKING:
    from torch import nn

    from space import RunConfig

__all__ = ["Weights", "load_weights", "loaded", "read_weights", "save_weights"]

_KIND = "digit-pair-search weights 1"


@dataclass(frozen=True, kw_only=True)
class Weights:
    """What a file of weights holds."""

    tensors: Mapping[str, Any]
    """Name -> tensor, on the CPU."""
    config: dict[str, Any]
    """The run's complete config, in plain values."""
    fingerprint: str
    """Identifies the data that it was trained on."""
    epoch: Epoch
    """The epoch whose state it is, with its metrics."""


def save_weights(run: Run, path: Place) -> None:
    """Write the weights of the state that a run keeps; a run that has none writes nothing.

    Args:
        run: The run, finished.
        path: The file; its directory is made where it is missing.

    Raises:
        CheckpointError: If it cannot be written.
    """
    tensors = run.weights()
    if not tensors or run.kept is None:
        return
    from safetensors.torch import save

    about = {
        "kind": _KIND,
        "config": json.dumps(run.config.model_dump(mode="json")),
        "fingerprint": run.fingerprint,
        "epoch": json.dumps(asdict(run.kept)),
    }
    content = save({name: each.cpu().contiguous() for name, each in tensors.items()}, about)
    try:
        write_whole(path, content)
    except OSError as error:
        raise CheckpointError(
            f"the weights {path} cannot be written ({error.strerror or error}): check the disk and "
            "the rights on its directory"
        ) from error


def read_weights(path: str | Path | UPath) -> Weights:
    """Read a file of weights; nothing in it is run.

    Args:
        path: A path, or a URL that fsspec knows.

    Raises:
        CheckpointError: If it cannot be read, or is none.
    """
    place = place_of(path) if isinstance(path, str) else path
    try:
        content = read_place(place)
    except OSError as error:
        raise CheckpointError(
            f"the weights {path} cannot be read ({error.strerror or error}): check the path"
        ) from error
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors = load(content)
        size = int.from_bytes(content[:8], "little")
        about = json.loads(content[8 : 8 + size]).get("__metadata__", {})
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"{path} holds no weights, or is damaged: {error}") from error
    if about.get("kind") != _KIND:
        raise CheckpointError(
            f"{path} does not say which config its weights belong to: it was not written by "
            "search.export --weights or keep_weights"
        )
    return Weights(
        tensors=tensors,
        config=json.loads(about["config"]),
        fingerprint=about["fingerprint"],
        epoch=Epoch(**json.loads(about["epoch"])),
    )


def load_weights(path: str | Path | UPath) -> nn.Module:
    """The network whose weights a file holds, on the CPU and in evaluation mode.

    What a user's own file defines is taken from that file, which has to be where the config says,
    as it was when the weights were trained.

    Args:
        path: As for `read_weights`.

    Raises:
        CheckpointError: If the file cannot be read, or its weights do not fit the network.
        SpaceError: If its trainable cannot be found, or is another by now.
    """
    _, network = loaded(read_weights(path), str(path))
    return network


def loaded(weights: Weights, name: str) -> tuple[RunConfig, nn.Module]:
    """The config and the network of some weights; see `load_weights`."""
    config = read_config(weights.config)
    find_trainable(config.trainable)  # Refuses one whose text is another by now.
    network: nn.Module = trainable_of(config).network(config)
    try:
        network.load_state_dict(dict(weights.tensors))
    except RuntimeError as error:
        raise CheckpointError(f"{name}: its weights do not fit the network: {error}") from error
    return config, network.eval()
