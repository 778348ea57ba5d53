"""The JSON Schemas of search-space and config files, for editors to complete and check them by."""

from __future__ import annotations

import ast
import functools
import inspect
import json
import textwrap
from collections import ChainMap
from itertools import pairwise
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from space.config import DEFAULT_TRAINABLE
from space.files.configs import ConfigFile
from space.study.checks import searched_metrics
from space.study.identity import WITHOUT_GPU
from space.study.space import Space

__all__ = ["config_schema", "config_schema_text", "json_schema", "json_schema_text"]

_DIALECT = {"$schema": "https://json-schema.org/draft/2020-12/schema"}


class _Described(GenerateJsonSchema):
    """Describes fields by the docstrings below them.

    Pydantic would read them where a class is made: a tenth of a second of every command.
    """

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """The schema of a model."""
        found = super().model_schema(schema)
        cls = schema["cls"]
        # A part of a file that has a config's settings beside its own has their words, too.
        of_config = getattr(cls, "config_type", object).__mro__
        texts = ChainMap(*(_docstrings(each) for each in (*cls.__mro__, *of_config)))
        for name, field in cls.model_fields.items():
            if name in texts:
                found["properties"][field.alias or name]["description"] = texts[name]
        return found


@functools.cache
def _docstrings(cls: type) -> dict[str, str]:
    """A class's own attributes -> the docstring below each."""
    if "__annotations__" not in vars(cls):
        return {}
    try:
        source = inspect.getsource(cls)
    except (OSError, TypeError):  # Made by a function, from one that has a source.
        return {}
    (found,) = ast.parse(textwrap.dedent(source)).body
    return {
        one.target.id: inspect.cleandoc(two.value.value)
        for one, two in pairwise(getattr(found, "body", ()))
        if isinstance(one, ast.AnnAssign)
        and isinstance(one.target, ast.Name)
        and isinstance(two, ast.Expr)
        and isinstance(two.value, ast.Constant)
        and isinstance(two.value.value, str)
    }


def json_schema(trainable: str = DEFAULT_TRAINABLE) -> dict[str, Any]:
    """The schema of search-space files, generated from the types and their docstrings.

    Args:
        trainable: What is trained.

    Raises:
        SpaceError: If there is no such trainable, or its file is wrong.
    """
    space = Space.of({"trainable": trainable})
    schema = space.model_json_schema(schema_generator=_Described)
    patterns = [f"^{pattern}$" for pattern in space.config_type.PATTERNS.values()]
    names = [{"enum": list(space.config_type.searchable())}, *({"pattern": p} for p in patterns)]
    known = searched_metrics(space.config_type.measured)
    schema["$defs"]["Objective"]["properties"]["metric"]["enum"] = known
    properties = schema["properties"]
    properties["parameters"]["propertyNames"] = {"anyOf": names}
    properties[WITHOUT_GPU] = {
        "type": ["object", "null"],
        "description": properties[WITHOUT_GPU]["description"],
        "properties": {
            key: _partly(key, field, schema["$defs"])
            for key, field in properties.items()
            if key not in ("study", WITHOUT_GPU)
        },
        "additionalProperties": False,
    }
    return {**_DIALECT, **schema}


def _partly(key: str, field: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any]:
    """A setting of which ``without_gpu`` may hold a part: none of a section's keys is required."""
    name = field.get("$ref", "").rpartition("/")[2]
    if "properties" not in defs.get(name, {}):
        return {"$ref": f"#/properties/{key}"}
    keys = {
        each: {"$ref": f"#/$defs/{name}/properties/{each}"} for each in defs[name]["properties"]
    }
    return {"type": "object", "properties": keys, "additionalProperties": False}


def json_schema_text(trainable: str = DEFAULT_TRAINABLE) -> str:
    """The schema of search-space files as it lies beside them."""
    return _text(json_schema(trainable))


def config_schema(trainable: str = DEFAULT_TRAINABLE) -> dict[str, Any]:
    """The schema of config files, generated from the types and their docstrings."""
    file = ConfigFile.of({"trainable": trainable})
    return {**_DIALECT, **file.model_json_schema(schema_generator=_Described)}


def config_schema_text(trainable: str = DEFAULT_TRAINABLE) -> str:
    """The schema of config files as it lies beside the search-space files."""
    return _text(config_schema(trainable))


def _text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
