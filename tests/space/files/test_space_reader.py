"""The YAML that is read, and the YAML that is refused."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from space import load_space, load_tree
from space.errors import SpaceError
from space.files.reader import DEEPEST, LARGEST, parse_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1.0e-3", 0.001),
        (".5", 0.5),
        ("5.", 5.0),
        ("010", 10),
        ("0x1F", 31),
        ("0o17", 15),
        ("-3", -3),
        ("+3", 3),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("yes", "yes"),
        ("on", "on"),
        ("No", "No"),
        ("true", True),
        ("False", False),
        ("'true'", "true"),
        ('"1"', "1"),
        ("~", None),
        ("", None),
        ("2020-01-01", "2020-01-01"),
        ("-.inf", -math.inf),
        ("[1, 1.0, a]", [1, 1.0, "a"]),
        ("{on: 1, 2: b}", {"on": 1, "2": "b"}),
        ("<<: 1", {"<<": 1}),
        ("=", "="),
    ],
)
def test_values_follow_yaml_1_2(text: str, value: object) -> None:
    found = parse_yaml(text, "x")
    assert found == value
    assert type(found) is type(value)


def test_nan_is_read() -> None:
    assert math.isnan(parse_yaml(".nan", "x"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\na: 2", "line 2, column 1: the key 'a' a second time"),
        ("a: {b: 1, b: 2}", "line 1, column 11: the key 'b' a second time"),
        (
            "a: &x 1\nb: *x",
            "line 1, column 4: anchors and aliases are not supported; repeat the value",
        ),
        ("b: *x", "line 1, column 4: anchors and aliases are not supported; repeat the value"),
        (
            "a: !!python/object:os.system {}",
            "line 1, column 4: found the tag 'tag:yaml.org,2002:python/object:os.system'; tags are "
            "not supported",
        ),
        (
            "!!timestamp x",
            "line 1, column 1: found the tag 'tag:yaml.org,2002:timestamp'; tags are not supported",
        ),
        ("? [1]\n: 2", "line 1, column 3: expected a plain key"),
        ("a: 1\n---\nb: 2", "line 2, column 1: a second document; expected one"),
        (
            "[" * (DEEPEST + 1),
            f"line 1, column {DEEPEST + 1}: nested more than {DEEPEST} levels deep",
        ),
        (
            "99999999999999999999999",
            "line 1, column 1: the integer '99999999999999999999999' is too large",
        ),
        ('"\\ud800"', "line 1, column 1: half a surrogate is no character"),
        (
            "a: [1",
            "line 1, column 6: not valid YAML: while parsing a flow sequence expected ',' or "
            "']', but got '<stream end>'",
        ),
        (
            "\ta: 1",
            "line 1, column 1: not valid YAML: while scanning for the next token found "
            "character '\\t' that cannot start any token",
        ),
        ("a: \x07", "not valid YAML: character 4 is not printable"),
        ("a: b: c", "line 1, column 5: not valid YAML: mapping values are not allowed here"),
    ],
)
def test_what_is_refused_is_placed(text: str, problem: str) -> None:
    with pytest.raises(SpaceError) as caught:
        parse_yaml(text, "f.yaml")
    assert str(caught.value) == f"f.yaml: {problem}"


@pytest.mark.parametrize("text", ['"\\UFFFFFFFF"', f"%YAML {'9' * 5000}.1\n--- a"])
def test_the_parsers_own_failures_are_translated(text: str) -> None:
    with pytest.raises(SpaceError, match=r"^f: not valid YAML: "):
        parse_yaml(text, "f")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "empty; expected a mapping of settings"),
        (b"# nothing\n", "empty; expected a mapping of settings"),
        (b"- 1\n", "found a list; expected a mapping of settings"),
        (b"hello", "found 'hello'; expected a mapping of settings"),
        (b"a: \xff\xfe", "byte 4 is not UTF-8 text"),
        (b"#" * (LARGEST + 1), "too large; at most 100,000 bytes"),
    ],
)
def test_files_that_hold_no_settings(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(content)
    with pytest.raises(SpaceError) as caught:
        load_space(path)
    assert str(caught.value) == f"{path}: {problem}"


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1")
    assert load_tree(path) == {"a": 1}


def test_a_missing_file_suggests_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "siamese.yaml").touch()
    path = tmp_path / "siamse.yaml"
    with pytest.raises(SpaceError) as caught:
        load_space(path)
    neighbour = tmp_path / "siamese.yaml"
    assert str(caught.value) == f"{path}: no such file; did you mean '{neighbour}'?"


def test_a_missing_directory() -> None:
    with pytest.raises(SpaceError) as caught:
        load_space("nowhere/at/all.yaml")
    assert str(caught.value) == "nowhere/at/all.yaml: no such file"


def test_a_directory(tmp_path: Path) -> None:
    with pytest.raises(SpaceError) as caught:
        load_space(tmp_path)
    assert str(caught.value) == f"{tmp_path}: a directory; expected a file"


@pytest.mark.parametrize("name", ["a\x00b", "x" * 5000, "space/config.py/x"])
def test_paths_that_cannot_be_opened(name: str) -> None:
    with pytest.raises(SpaceError, match="cannot be read: "):
        load_space(name)


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(SpaceError, match=r"f\.yaml: cannot be read: Permission denied$"):
        load_space(tmp_path / "f.yaml")
