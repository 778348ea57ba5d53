"""Where in a file the schema library's errors lie, told from the types that were checked."""

from __future__ import annotations

import inspect
import types
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

__all__ = ["tags", "tags_at", "walk"]


def walk(
    root: type[BaseModel], location: Sequence[str | int], tree: object
) -> tuple[tuple[str | int, ...], type[BaseModel]]:
    """The keys of the file that lead to a location, and the innermost model on the way.

    The library's locations hold more than keys: the tag of a union's member, an index where a
    single mapping stood for a list, the name of a scalar type that was tried.
    """
    here: Any = root
    owner, node, path = root, tree, []
    for key in location:
        models, inner = _parts(here)
        if len(models) > 1:
            here = next((model for model in models if key in tags(model)), None)
            continue
        if models:
            owner = models[0]
        elif inner is None:
            break
        here = _below(here, key)
        if isinstance(key, int) and not isinstance(node, list | tuple):
            continue
        path.append(key)
        node = _child(node, key)
    return tuple(path), owner


def _child(node: object, key: str | int) -> object:
    if isinstance(node, dict):
        return node.get(key)
    if isinstance(node, list | tuple) and isinstance(key, int) and key < len(node):
        return node[key]
    return None


def _below(here: Any, key: str | int) -> Any:
    """The annotation of a key of a model, a dict or a tuple; None for a key it does not have."""
    models, inner = _parts(here)
    for model in models:
        for name, field in model.model_fields.items():
            if key == (field.alias or name):
                return field.annotation
    return inner


def _parts(here: Any) -> tuple[list[type[BaseModel]], Any]:
    """The models that an annotation allows, and what is in the dicts or tuples that it allows."""
    if inspect.isclass(here) and issubclass(here, BaseModel):
        return [here], None
    origin, arguments = get_origin(here), get_args(here)
    if origin is Annotated:
        return _parts(arguments[0])
    if origin in (dict, tuple):
        return [], next((each for each in arguments if each not in (str, Ellipsis)), str)
    if origin not in (Union, types.UnionType):
        return [], None
    members = [_parts(each) for each in arguments]
    models = [model for found, _ in members for model in found]
    return models, next((inner for _, inner in members if inner is not None), None)


def tags(model: type[BaseModel]) -> tuple[str, ...]:
    """The values of the field that tells a union's members apart; none for any other model."""
    for key in ("name", "type"):
        field = model.model_fields.get(key)
        if field is not None and get_origin(field.annotation) is Literal:
            return get_args(field.annotation)
    return ()


def tags_at(owner: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """The tags of the union that a location leads to."""
    here: Any = owner
    for key in location:
        here = _below(here, key)
    return [tag for model in _parts(here)[0] for tag in tags(model)]
