"""``python -m trainables``: the networks, their sizes and their costs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from space.config import ModelConfig
from trainables.command_line import positive_int, run_command, table
from trainables.flops import forward_flops
from trainables.models.registry import MODELS, build_model


@dataclass(frozen=True)
class ModelRow:
    """One network."""

    name: str
    """Its name in a config."""
    parameters: int
    """Trainable parameters."""
    forward_flops: int
    """Floating-point operations of a forward pass for one pair."""
    aux_heads: bool
    """Whether it predicts the digits too."""


def model_rows(width: int) -> list[ModelRow]:
    """Every network at one width.

    Args:
        width: The width.

    Returns:
        A row a network, in the order of the report's Table I.
    """
    rows = []
    for name in MODELS:
        model = build_model(ModelConfig(name=name, width=width), seed=0)
        rows.append(ModelRow(name, model.n_parameters(), forward_flops(model), model.has_aux))
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: Its arguments; those of the process by default.

    Returns:
        Exit status.
    """
    parser = argparse.ArgumentParser(
        prog="python -m trainables", description="Lists the networks that a config can name."
    )
    parser.add_argument(
        "--width", type=positive_int, default=128, help="width of the networks (default: 128)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)

    def listing() -> str:
        rows = model_rows(options.width)
        if options.json:
            return json.dumps([asdict(row) for row in rows], indent=2)
        cells = [
            (r.name, f"{r.parameters:,}", f"{r.forward_flops:,}", "yes" if r.aux_heads else "no")
            for r in rows
        ]
        return table(("model", "parameters", "forward FLOPs a pair", "aux heads"), cells)

    return run_command(listing)


if __name__ == "__main__":
    sys.exit(main())
