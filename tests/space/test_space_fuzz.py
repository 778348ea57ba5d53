"""Whatever is read, a space or a `SpaceError` of printable lines comes out."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from space import Space, load_space, load_tree, parse_space
from space.errors import SpaceError

from ..harness.fuzzing import examples

_FILES = sorted(Path("space").glob("*.yaml"))
_TREES = [load_tree(path) for path in _FILES]
_KEYS = sorted({key for tree in _TREES for key in tree} | set(_TREES[0]["parameters"]))

_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["tpe", "grid", "cmaes", "asha", "auto", "float", "int", "model", "siamese"])
)
_values = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(_KEYS) | st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


def _survives(make: Callable[[], Space]) -> None:
    try:
        space: Space | None = make()
    except SpaceError as error:
        space, sentence = None, "".join(error.lines)
    else:
        sentence = "none"
    assert sentence.isprintable(), sentence
    if space is not None:
        assert parse_space(json.loads(json.dumps(space.model_dump(mode="json"))), "again") == space


def _places(node: Any) -> list[tuple[Any, Any]]:
    """Every container with each of its keys."""
    if isinstance(node, dict):
        keys: list[Any] = list(node)
    elif isinstance(node, list):
        keys = list(range(len(node)))
    else:
        return []
    return [(node, key) for key in keys] + [place for key in keys for place in _places(node[key])]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "space.yaml"


@given(content=st.binary(max_size=200))
@examples(200)
def test_any_bytes(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    _survives(lambda: load_space(file))


@given(text=st.text("{}[]:-,&*!|>'\"%@#?\\ \n\tab01.~<=", max_size=80))
@examples(300)
def test_any_yaml_like_text(file: Path, text: str) -> None:
    file.write_text(text)
    _survives(lambda: load_space(file))


@given(data=st.data())
@examples(200)
def test_any_damaged_text_of_a_valid_file(file: Path, data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(_FILES)).read_text()
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(start + 30, len(text))))
    file.write_text(text[:start] + data.draw(st.text(max_size=5)) + text[end:])
    _survives(lambda: load_space(file))


@given(data=st.data())
@examples(400)
def test_any_value_in_any_place_of_a_valid_file(data: st.DataObject) -> None:
    tree = copy.deepcopy(data.draw(st.sampled_from(_TREES)))
    for _ in range(data.draw(st.integers(1, 3))):
        container, key = data.draw(st.sampled_from(_places(tree)))
        action = data.draw(st.sampled_from(["replace", "remove", "add"]))
        if action == "remove":
            del container[key]
        elif action == "add" and isinstance(container, dict):
            container[data.draw(st.sampled_from(_KEYS))] = data.draw(_values)
        else:
            container[key] = data.draw(_values)
        if not tree:
            break
    _survives(lambda: parse_space(tree, "fuzzed"))


@given(tree=st.dictionaries(st.sampled_from(_KEYS) | st.text(max_size=5), _values, max_size=6))
@examples(200)
def test_any_tree(tree: dict[str, Any]) -> None:
    _survives(lambda: parse_space(tree, "fuzzed"))


@given(data=st.data())
@examples(300)
def test_any_override(data: st.DataObject) -> None:
    segments = st.sampled_from([*_KEYS, "options", "0", "1", "low", "name", "when"])
    keys = st.lists(segments, min_size=1, max_size=4).map(".".join) | st.text(max_size=12)
    values = st.text(max_size=12) | _values.map(lambda value: yaml.safe_dump(value).strip())
    overrides = data.draw(
        st.lists(st.tuples(keys, values).map("=".join) | st.text(max_size=12), max_size=3)
    )
    _survives(lambda: parse_space(_TREES[0], "fuzzed", overrides))


# Spaces that are valid by construction.

_ranges = st.tuples(st.floats(1e-6, 0.5), st.floats(1e-6, 0.5)).map(sorted)
_optional: dict[str, st.SearchStrategy[Any]] = {
    "learning_rate": _ranges.flatmap(
        lambda ends: st.booleans().map(
            lambda log: {"type": "float", "low": ends[0], "high": ends[1], "log": log}
        )
    ),
    "width": st.tuples(st.integers(1, 64), st.integers(0, 64), st.integers(1, 8)).map(
        lambda row: {"type": "int", "low": row[0], "high": row[0] + row[1] * row[2], "step": row[2]}
    ),
    "options.depth": st.lists(st.integers() | st.text(), min_size=1, max_size=4, unique=True).map(
        lambda choices: {"type": "categorical", "choices": choices}
    ),
    "aux_weight": st.sampled_from(["a", "b"]).map(
        lambda parent: {
            "type": "float",
            "low": 0,
            "high": 0.9,
            "when": {"parameter": "model", "in": [parent]},
        }
    ),
}
_spaces = st.fixed_dictionaries(
    {
        "study": st.from_regex(r"[a-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True),
        "model": st.just({"name": "a"}),
        "parameters": st.fixed_dictionaries(
            {"model": st.just({"type": "categorical", "choices": ["a", "b"]})}, optional=_optional
        ),
        "budget": st.floats(0, 1e9, exclude_min=True).map(lambda seconds: {"time_limit": seconds}),
        "sampler": st.sampled_from(["tpe", "random", "qmc", "gp", "nsga2"]).map(
            lambda name: {"name": name}
        ),
        "pruner": st.sampled_from(["none", "asha", "hyperband", "median"]).map(
            lambda name: {"name": name}
        ),
    }
)


@given(_spaces)
@examples(150)
def test_a_space_survives_json_exactly(tree: dict[str, Any]) -> None:
    space = parse_space(tree, "made")
    text = json.dumps(space.model_dump(mode="json"))
    back = parse_space(json.loads(text), "back")
    assert back == space
    assert back.identity() == space.identity()
    assert json.dumps(back.model_dump(mode="json")) == text


@given(_spaces, st.data())
@examples(150)
def test_params_from_the_ranges_resolve_and_bound_the_config(
    tree: dict[str, Any], data: st.DataObject
) -> None:
    space = parse_space(tree, "made")
    params: dict[str, Any] = {}
    for name, parameter in space.parameters.items():
        if space.parameters[name].is_active(params):
            ends = [value for _, value in parameter.extremes()]
            params[name] = data.draw(st.sampled_from(ends))
            assert parameter.contains(params[name])
    assert space.active(params) == list(params)
    config = space.resolve(params).model_dump()
    for name, value in params.items():
        node = config
        for key in space.parameter_paths[name].split("."):
            node = node[key]
        assert node == value
