"""The JSON Schemas of search-space and config files, for editors to complete and check them by."""

from __future__ import annotations

import json
from typing import Any

from space.config import OPTION_PATTERN, PARAMETER_NAMES
from space.files.configs import ConfigFile
from space.identity import WITHOUT_GPU
from space.space import Space

__all__ = ["config_schema", "config_schema_text", "json_schema", "json_schema_text"]

_DIALECT = {"$schema": "https://json-schema.org/draft/2020-12/schema"}


def json_schema() -> dict[str, Any]:
    """The schema of search-space files, generated from the types and their docstrings."""
    schema = Space.model_json_schema()
    names = {"anyOf": [{"enum": list(PARAMETER_NAMES)}, {"pattern": f"^{OPTION_PATTERN}$"}]}
    properties = schema["properties"]
    properties["parameters"]["propertyNames"] = names
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


def json_schema_text() -> str:
    """The schema of search-space files as it lies beside them."""
    return _text(json_schema())


def config_schema() -> dict[str, Any]:
    """The schema of config files, generated from the types and their docstrings."""
    return {**_DIALECT, **ConfigFile.model_json_schema()}


def config_schema_text() -> str:
    """The schema of config files as it lies beside the search-space files."""
    return _text(config_schema())


def _text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
