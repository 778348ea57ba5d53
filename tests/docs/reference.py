"""The pages of reference, drawn from the types and parsers: ``python -m tests.docs.reference``."""

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import search
from dashboards.pages.credentials import PASSWORD_VARIABLE, USER_VARIABLE
from search.__main__ import COMMANDS, command
from search.callbacks.messages import MESSAGES, SITE
from search.launch.plan import DATA_VARIABLE
from search.runs.actions import SUBMISSION_VARIABLE
from space.files.schema import config_schema, json_schema
from space.study.space import Space
from storage.commands.kit import STORAGE_VARIABLE
from trainables.finding.find import SHIPPED

__all__ = ["EXAMPLES", "FOLDER", "VARIABLES", "pages", "write"]

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference"
NOTE = "Written by `python -m tests.docs.reference` from the code; do not edit.\n"

Tree = Mapping[str, Any]

EXAMPLES = {
    "parameters": """\
parameters:
  optimizer: {type: categorical, choices: [adam, sgd]}
  learning_rate: {type: float, low: 1.0e-4, high: 1.0e-2, log: true}
  momentum: {type: float, low: 0.0, high: 0.9, step: 0.1, when: {parameter: optimizer, in: [sgd]}}
  batch_size: {type: int, low: 10, high: 50, step: 10}""",
    "objective": "objective: {metric: val_error, direction: minimize}",
    "sampler": "sampler: {name: tpe, n_startup_trials: 20}",
    "pruner": "pruner: {name: asha, min_resource: 3, reduction_factor: 3}",
    "baselines": "baselines: [{}, {learning_rate: 0.002}]",
    "warm_start": "warm_start: {study: mlp, top: 3}",
    "replicates": "replicates: 5",
    "constraints": 'constraints: ["n_parameters <= 1e6", "batch_size * learning_rate < 0.1"]',
    "prune_baselines": "prune_baselines: true",
    "confirm": "confirm: {top: 3, seeds: 8}",
    "budget": "budget: {trials: 60, time_limit: 2h, epochs: 1000}",
    "resources": "resources: {cpus: 1, gpus: 0.25, runs_per_trainable: 1}",
    "concurrency": "concurrency: 4",
    "limits": "limits: {trial_time: 30m, trial_memory: 4GiB, plateau: 50, failures_in_a_row: 10}",
    "keep_weights": "keep_weights: true",
    "model": "model: {name: convnet, width: 64}",
    "data": "data: {source: digits, data_seed: 1000}",
    "training": "training: {epochs: 10, learning_rate: 0.002}",
    "callbacks": "callbacks: [tensorboard, {name: mlflow, experiment: digits}]",
    "without_gpu": "without_gpu: {training: {epochs: 5}, budget: {trials: 20}}",
    "trainable": "trainable: digit-pairs",
    "study": "study: my-first.2",
}
"""Key of a space file -> how it may stand there."""

VARIABLES = {
    STORAGE_VARIABLE: "the store, where `--storage` is not given; the place for a password",
    DATA_VARIABLE: "the directory that holds `MNIST/raw`, where `data.root` is not given",
    USER_VARIABLE: "who may see the dashboards, beside the next",
    PASSWORD_VARIABLE: "the password; both or neither",
    MESSAGES: "who is told when a launch of a study or a benchmark ends or fails",
    SITE: "where the dashboards are, for the links of these messages",
    SUBMISSION_VARIABLE: "nothing of yours: an agent tells the command that it starts whose it is",
}
"""Environment variable -> what it says."""


def pages() -> dict[str, str]:
    """Name of a page -> its text."""

    return {
        "space_file.md": _joined(_space_file()),
        "trainables.md": _joined(_trainables()),
        "commands.md": _joined(_commands()),
        "python.md": _joined(_python()),
    }


def write() -> None:
    """Put the pages where they lie."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


def _joined(parts: Iterator[str]) -> str:
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _space_file() -> Iterator[str]:
    schema = json_schema()
    defs = schema["$defs"]
    yield "# Space files\n"
    yield NOTE
    yield (
        "A YAML file says what is searched. These are the keys that it may have for digit-pairs; "
        "the sections of other trainables are [here](trainables.md).\n"
    )
    yield _table(schema, defs)
    for key, field in schema["properties"].items():
        yield f"## {key}\n"
        yield f"{_text(field)}\n"
        yield f"```yaml\n{EXAMPLES[key]}\n```"
        for name in () if key == "without_gpu" else _named(field):
            yield from _type(name, defs)
    yield "## when\n"
    yield from _type("Condition", defs)
    configs = config_schema()
    yield "## Config files\n"
    yield f"{_prose(configs['description'])}\n"
    yield _table(configs, configs["$defs"])
    for name in ("NamedConfig", "Reported", "MeanStd"):
        yield from _type(name, configs["$defs"])


def _trainables() -> Iterator[str]:
    yield "# Trainables\n"
    yield NOTE
    yield "What is shipped: the sections of its configs, and what it measures.\n"
    seen = dict[str, str]()
    for trainable in SHIPPED:
        schema = json_schema(trainable)
        space = Space.of({"trainable": trainable})
        yield f"## {trainable}\n"
        yield "Searched by these names: " + ", ".join(
            f"`{name}`" for name in [*space.config_type.searchable(), *space.config_type.PATTERNS]
        )
        measured = space.config_type.measured
        rows = [(m.name, m.words, m.unit, m.better) for m in measured.metrics]
        yield _rows(("metric", "what it is", "unit", "better is"), rows)
        yield f"A run keeps the epoch that is best by {', then '.join(measured.kept_by)}.\n"
        for section in space.config_type.sections():
            (name,) = _named(schema["properties"][section])
            table = _table(schema["$defs"][name], schema["$defs"])
            yield f"### {section} of {trainable}\n"
            before = seen.setdefault(table, trainable)
            yield table if before == trainable else f"As of {before}.\n"


def _type(name: str, defs: Tree) -> Iterator[str]:
    """A type of a space file, and those of its choices."""
    found = defs[name]
    const = found.get("properties", {}).get("name") or found.get("properties", {}).get("type", {})
    yield f"### {const.get('const', name)}\n"
    yield f"{_text(found)}\n"
    yield _table(found, defs)


def _named(field: Tree) -> list[str]:
    """The types that a key's value may have, each once."""
    found = re.findall(
        r"'#/\$defs/(\w+)'", str({k: v for k, v in field.items() if k != "discriminator"})
    )
    return list(dict.fromkeys(found))


def _table(schema: Tree, defs: Tree) -> str:
    required = schema.get("required", ())
    rows = [
        (
            f"`{key}`",
            _takes(field, defs),
            "required" if key in required else _value(field.get("default", "")),
            _text(field),
        )
        for key, field in schema.get("properties", {}).items()
    ]
    return _rows(("key", "takes", "default", "meaning"), rows)


def _rows(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines
    )


def _text(field: Tree) -> str:
    return _prose(field.get("description", ""))


def _prose(text: str) -> str:
    """A docstring's text as Markdown, whose code has one backquote, not two."""
    text = inspect.cleandoc(text).replace("``", "`").replace("<", "&lt;").replace("*", "\\*")
    return " ".join(text.split())


def _value(value: object) -> str:
    if value == "" or value is None:
        return ""
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{shown}`"


def _takes(field: Tree, defs: Tree) -> str:
    """What a key takes, in words."""
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return name if "properties" in defs.get(name, {}) else _takes(defs[name], defs)
    for key in ("anyOf", "oneOf"):
        if key in field:
            return " or ".join(dict.fromkeys(_takes(each, defs) for each in field[key]))
    if "const" in field:
        return _value(field["const"])
    if "enum" in field:
        return ", ".join(map(_value, field["enum"]))
    kind = field.get("type", "anything")
    if isinstance(kind, list):
        return " or ".join(kind)
    if kind == "array":
        return f"a list of {_takes(field.get('items', {}), defs)}"
    if kind == "object":
        return "a mapping"
    words = {"string": "text", "boolean": "`true`, `false`", "null": "`null`"}
    return " ".join([words.get(kind, kind), *_bounds(field)])


def _bounds(field: Tree) -> Iterator[str]:
    for key, words in (
        ("minimum", "from"),
        ("exclusiveMinimum", "above"),
        ("maximum", "to"),
        ("exclusiveMaximum", "below"),
    ):
        if key in field:
            bound = field[key]
            yield f"{words} {bound:g}" if isinstance(bound, float) else f"{words} {bound}"


def _commands() -> Iterator[str]:
    yield "# Commands\n"
    yield NOTE
    yield "Each is typed as `search NAME` or as `python -m` with its module.\n"
    for name, (module, text) in COMMANDS.items():
        parser = command(name).build_parser()
        yield f"## search {name}\n"
        yield f"`python -m {module.removesuffix('.__main__')}`: {text}.\n"
        yield from _options(parser, f"search {name}")
    yield "## Environment variables\n"
    rows = [(f"`{name}`", meaning) for name, meaning in VARIABLES.items()]
    yield _rows(("variable", "what it says"), rows)


def _options(parser: argparse.ArgumentParser, typed: str) -> Iterator[str]:
    rows, parts = list[tuple[str, ...]](), dict[str, Any]()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            parts = dict(action.choices)
        elif not isinstance(action, argparse._HelpAction):
            rows.append(_option(action))
    if rows:
        yield _rows(("option", "default", "meaning"), rows)
    examples = getattr(parser, "examples", ())
    if examples:
        lines = "\n".join(f"{typed} {each}".rstrip() for each in examples)
        yield f"```sh\n{lines}\n```"
    for name, part in parts.items():
        yield f"### {typed} {name}\n"
        yield from _options(part, f"{typed} {name}")


def _option(action: argparse.Action) -> tuple[str, ...]:
    taken = action.metavar or ("" if action.nargs == 0 else action.dest.upper())
    taken = " ".join(taken) if isinstance(taken, tuple) else taken
    if action.choices is not None:
        taken = ", ".join(map(str, action.choices))
    names = ", ".join(action.option_strings)
    shown = action.default not in (None, False, argparse.SUPPRESS) and action.default != []
    meaning = (action.help or "") % {**vars(action), "prog": ""}
    return (
        f"`{names} {taken}`".replace("` ", "`").replace(" `", "`"),
        _value(action.default) if shown else "",
        _prose(meaning),
    )


def _python() -> Iterator[str]:
    yield "# Python\n"
    yield NOTE
    yield "What `import search` gives.\n"
    for name in search.__all__:
        found = getattr(search, name)
        found = getattr(found, "__wrapped__", found)
        yield f"## search.{name}\n"
        if not isinstance(found, type):
            yield from _function(found, f"search.{name}")
            continue
        yield from _docstring(found)
        for member, value in inspect.getmembers(found):
            if member.startswith("_") or issubclass(found, Exception):
                continue
            if isinstance(value, property):
                yield f"### {name}.{member}\n"
                yield from _docstring(value)
            elif inspect.isfunction(value):
                yield f"### {name}.{member}()\n"
                yield from _function(value, member)


def _function(function: Any, name: str) -> Iterator[str]:
    signature = inspect.signature(function)
    parameters = [
        re.sub(r": '([^']*)'", r": \1", str(p))
        for p in signature.parameters.values()
        if p.name != "self"
    ]
    star = next(
        (i for i, p in enumerate(signature.parameters.values()) if p.kind is p.KEYWORD_ONLY), None
    )
    if star is not None:
        parameters.insert(star - ("self" in signature.parameters), "*")
    line = f"{name}({', '.join(parameters)}) -> {signature.return_annotation}"
    if len(line) > 90:
        listed = "".join(f"    {each},\n" for each in parameters)
        line = f"{name}(\n{listed}) -> {signature.return_annotation}"
    yield f"```text\n{line}\n```"
    yield from _docstring(function)


def _docstring(of: Any) -> Iterator[str]:
    """A docstring as Markdown: its arguments, what it returns and what it raises as a list."""
    for paragraph in inspect.cleandoc(of.__doc__ or "").split("\n\n"):
        head, _, rest = paragraph.partition("\n")
        if head not in ("Args:", "Returns:", "Raises:", "Attributes:", "Yields:"):
            yield f"{_prose(paragraph)}\n"
            continue
        yield f"**{head[:-1]}**\n"
        entries = re.split(r"\n {4}(?! )", f"\n{rest}")[1:]
        if head in ("Returns:", "Yields:"):
            yield f"{_prose(rest)}\n"
            continue
        yield "\n".join(
            f"- `{key}`: {_prose(what)}" for key, _, what in (e.partition(": ") for e in entries)
        )


if __name__ == "__main__":
    write()
