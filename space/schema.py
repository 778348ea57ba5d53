"""The JSON Schema of search-space files, for editors to complete and check them by."""

from __future__ import annotations

import json
from typing import Any

from space.paths import OPTION_PATTERN, PARAMETER_NAMES
from space.space import Space

__all__ = ["json_schema", "json_schema_text"]


def json_schema() -> dict[str, Any]:
    """The schema, generated from the types and their docstrings."""
    schema = Space.model_json_schema()
    names = {"anyOf": [{"enum": list(PARAMETER_NAMES)}, {"pattern": f"^{OPTION_PATTERN}$"}]}
    schema["properties"]["parameters"]["propertyNames"] = names
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def json_schema_text() -> str:
    """The schema as it lies beside the files."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
