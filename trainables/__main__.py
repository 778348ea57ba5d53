"""``python -m trainables``: what can be trained, and the networks of digit pairs."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict, dataclass

from space.terminal.command import JSON, Command, count_of
from space.terminal.printing import say, say_json, say_table
from trainables.finding.find import SHIPPED, find_trainable
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


@dataclass(frozen=True)
class TrainableRow:
    """One trainable that is shipped."""

    name: str
    """Its name in a file."""
    about: str
    """What it is."""
    metrics: tuple[str, ...]
    """What is measured, without a split in the names."""
    searchable: tuple[str, ...]
    """The settings that can be searched."""


def trainable_rows() -> list[TrainableRow]:
    """Every trainable that is shipped."""
    rows = []
    for name in SHIPPED:
        trainable = find_trainable(name)
        config = trainable.config_type
        metrics = [metric.name.removeprefix("val_") for metric in config.measured.metrics
                   if metric.name.startswith("val_")]  # fmt: skip
        rows.append(TrainableRow(name, trainable.about, tuple(metrics), tuple(config.searchable())))
    return rows


@Command.of(
    "trainables",
    "List what is shipped to be trained, and the networks of digit pairs.",
    count_of("--width", "width of the networks; default: 128", default=128),
    JSON,
    examples=("", "--width 32 --json"),
)
def main(options: Namespace) -> None:
    """Print the trainables and the networks."""
    rows, trainables = model_rows(options.width), trainable_rows()
    if options.json:
        say_json({"trainables": list(map(asdict, trainables)), "models": list(map(asdict, rows))})
        return
    say_table(
        ("trainable", "metrics", "what it is"),
        [(each.name, ", ".join(each.metrics), each.about) for each in trainables],
        left=frozenset(range(3)),
    )
    say()
    say_table(
        ("model", "parameters", "forward FLOPs a pair", "aux heads"),
        [
            (r.name, f"{r.parameters:,}", f"{r.forward_flops:,}", "yes" if r.aux_heads else "no")
            for r in rows
        ],
    )


if __name__ == "__main__":
    main.run()
