"""The JSON Schemas of search-space and config files, for editors to complete and check them by."""

from __future__ import annotations

import json
from typing import Any

from space.files.configs import ConfigFile
from space.paths import OPTION_PATTERN, PARAMETER_NAMES
from space.space import Space

__all__ = ["config_schema", "config_schema_text", "json_schema", "json_schema_text"]

_DIALECT = {"$schema": "https://json-schema.org/draft/2020-12/schema"}


def json_schema() -> dict[str, Any]:
    """The schema of search-space files, generated from the types and their docstrings."""
    schema = Space.model_json_schema()
    names = {"anyOf": [{"enum": list(PARAMETER_NAMES)}, {"pattern": f"^{OPTION_PATTERN}$"}]}
    schema["properties"]["parameters"]["propertyNames"] = names
    return {**_DIALECT, **schema}


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
