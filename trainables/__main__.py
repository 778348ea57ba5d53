"""``python -m trainables``: the networks, their sizes and their costs."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict, dataclass

from space.terminal.command import JSON, Command, count_of
from space.terminal.printing import say_json, say_table
from trainables.shipped.digit_pairs.config import ModelConfig
from trainables.shipped.digit_pairs.flops import forward_flops
from trainables.shipped.digit_pairs.models.registry import MODELS, build_model


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
        model = build_model(ModelConfig(name=name, width=width))
        rows.append(ModelRow(name, model.n_parameters(), forward_flops(model), model.has_aux))
    return rows


@Command.of(
    "trainables",
    "List the networks that a config can name.",
    count_of("--width", "width of the networks; default: 128", default=128),
    JSON,
    examples=("", "--width 32 --json"),
)
def main(options: Namespace) -> None:
    """Print the networks."""
    rows = model_rows(options.width)
    if options.json:
        say_json([asdict(row) for row in rows])
        return
    say_table(
        ("model", "parameters", "forward FLOPs a pair", "aux heads"),
        [
            (r.name, f"{r.parameters:,}", f"{r.forward_flops:,}", "yes" if r.aux_heads else "no")
            for r in rows
        ],
    )


if __name__ == "__main__":
    main.run()
