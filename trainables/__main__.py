"""``python -m trainables``: what is shipped to be trained, and whether one's own can be."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict, dataclass

from space.files.overrides import parse_override
from space.terminal.command import EXIT_DONE, EXIT_NOTHING, JSON, SET, Command, Option, count_of
from space.terminal.printing import say, say_json, say_table


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
    from trainables.shipped.digit_pairs.config import ModelConfig
    from trainables.shipped.digit_pairs.flops import forward_flops
    from trainables.shipped.digit_pairs.models.registry import MODELS, build_model

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
    from trainables.finding.find import SHIPPED, find_trainable

    rows = []
    for name in SHIPPED:
        trainable = find_trainable(name)
        config = trainable.config_type
        metrics = [metric.name.removeprefix("val_") for metric in config.measured.metrics
                   if metric.name.startswith("val_")]  # fmt: skip
        rows.append(TrainableRow(name, trainable.about, tuple(metrics), tuple(config.searchable())))
    return rows


def _list(options: Namespace) -> None:
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


main = Command(
    "trainables",
    "List what is shipped to be trained, and the networks of digit pairs.",
    count_of("--width", "width of the networks; default: 128", default=128),
    JSON,
    examples=("--width 32 --json", "check mine.py:Flowers"),
    work=_list,
)


@main.part(
    "check",
    Option("name", metavar="NAME", help="a shipped trainable, file.py:Name or package.module:Name"),
    SET.but(help="a setting that is not to be the default, e.g. options.width=8; default: none"),
    JSON,
    help="try out whether something can be trained, an exit status of 1 if not",
    examples=("mine.py:Flowers", "digit-pairs --set model.name=mlp --json"),
)
def _check(options: Namespace) -> int:
    from trainables.check.checks import check_trainable

    found = check_trainable(options.name, [parse_override(each) for each in options.set])
    if options.json:
        say_json([asdict(each) for each in found])
    else:
        for each in found:
            say(f"{'ok' if each.ok else 'FAIL':<4}  {each.what}: {each.said}")
    return EXIT_DONE if all(each.ok for each in found) else EXIT_NOTHING


if __name__ == "__main__":
    main.run()
