"""What a trained network says of new inputs: ``search predict --weights FILE --input FILE``."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from space.errors import UsageError
from space.files.reader import file_name
from space.terminal.command import Command, Option, count_of, local_path
from space.terminal.printing import say

if TYPE_CHECKING:
    from space import RunConfig

__all__ = ["main"]


@Command.of(
    "search.predict",
    "Apply the network of a file of weights to new inputs.",
    Option("--weights", required=True, metavar="FILE", help="what `search export --weights` wrote"),
    Option(
        "--input",
        type=local_path,
        required=True,
        metavar="FILE",
        help="a .npy file of inputs, (N, ...), as the network takes them; or a .csv of numbers",
    ),
    Option(
        "--output",
        type=local_path,
        required=True,
        metavar="FILE",
        help="where to write what it says, (N, ...): .npy, or .csv for one or two dimensions",
    ),
    count_of("--batch", "inputs at a time; default: 256", default=256),
    examples=("--weights best.safetensors --input x.npy --output y.csv",),
)
def main(options: Namespace) -> None:
    """Predict, and say what was written."""
    inputs, output = _read(Path(options.input)), Path(options.output)
    if output.suffix not in (".npy", ".csv"):
        raise UsageError(f"--output {file_name(output)}: name a .npy or a .csv file.")
    from trainables.worker.weights import loaded, read_weights

    weights = read_weights(options.weights)
    config, network = loaded(weights, options.weights)
    said = _predict(config, network, inputs, options.batch)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        if output.suffix == ".npy":
            np.save(output, said)
        else:
            np.savetxt(output, said.reshape(len(said), -1), delimiter=",", fmt="%.9g")
    except OSError as error:
        raise UsageError(
            f"--output {file_name(output)}: cannot be written ({error.strerror or error})."
        ) from error
    measured = type(config).measured
    found = ", ".join(
        f"{name} {measured.metric(name).show(value)}"
        for name, value in weights.epoch.metrics.items()
    )
    say(f"{file_name(output)}: {said.shape}, of the state of epoch {weights.epoch.epoch} ({found})")


def _read(path: Path) -> Any:
    try:
        if path.suffix == ".csv":
            return np.loadtxt(path, delimiter=",", dtype=np.float32, ndmin=2)
        return np.load(path, allow_pickle=False)
    except OSError as error:
        raise UsageError(
            f"--input {file_name(path)}: cannot be read ({error.strerror or error})."
        ) from error
    except (ValueError, EOFError) as error:
        said = f"--input {file_name(path)}: holds no array of numbers: {error}"
        raise UsageError(said) from error


def _predict(config: RunConfig, network: Any, inputs: Any, batch: int) -> Any:
    import torch

    from trainables.finding.find import trainable_of

    trainable = trainable_of(config)
    try:
        tensor = torch.as_tensor(inputs)
        if tensor.is_floating_point():
            tensor = tensor.float()
        with torch.no_grad():
            said = [trainable.predict(config, network, each) for each in torch.split(tensor, batch)]
        return torch.cat(said).float().numpy()
    except (RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(
            f"--input: the network of '{config.what}' cannot take inputs of shape "
            f"{tuple(inputs.shape)} and type {inputs.dtype}: {reason}"
        ) from error


if __name__ == "__main__":
    main.run()
