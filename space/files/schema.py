"""The JSON Schemas of search-space and config files, for editors to complete and check them by."""

from __future__ import annotations

import json
from typing import Any

from space.config import DEFAULT_TRAINABLE
from space.files.configs import ConfigFile
from space.study.checks import searched_metrics
from space.study.identity import WITHOUT_GPU
from space.study.space import Space

__all__ = ["config_schema", "config_schema_text", "json_schema", "json_schema_text"]

_DIALECT = {"$schema": "https://json-schema.org/draft/2020-12/schema"}


def json_schema(trainable: str = DEFAULT_TRAINABLE) -> dict[str, Any]:
    """The schema of search-space files, generated from the types and their docstrings.

    Args:
        trainable: What is trained.

    Raises:
        SpaceError: If there is no such trainable, or its file is wrong.
    """
    space = Space.of({"trainable": trainable})
    schema = space.model_json_schema()
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
    return {**_DIALECT, **ConfigFile.of({"trainable": trainable}).model_json_schema()}


def config_schema_text(trainable: str = DEFAULT_TRAINABLE) -> str:
    """The schema of config files as it lies beside the search-space files."""
    return _text(config_schema(trainable))


def _text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
