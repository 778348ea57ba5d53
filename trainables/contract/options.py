"""What a user's class or function says of itself: its options and its metrics, checked."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import Field, create_model

from space.config import Options, RunConfig
from space.errors import SpaceError, TrainingError
from space.metrics import Metric

__all__ = [
    "check_complete",
    "check_metrics",
    "config_with",
    "made_of",
    "options_of_class",
    "options_of_function",
]

C = TypeVar("C", bound=RunConfig)
T = TypeVar("T")


def check_complete(found: type, name: str) -> None:
    """Refuse a class that lacks a method.

    Raises:
        SpaceError: If it does.
    """
    missing = sorted(getattr(found, "__abstractmethods__", ()))
    if missing:
        raise SpaceError(f"{name} lacks the method {' and the method '.join(missing)}")


def options_of_class(found: type, name: str) -> type[Options]:
    """The type of a class's options: what it says by ``options: MyOptions``.

    Args:
        found: A user's class.
        name: What files call it.

    Raises:
        SpaceError: If that is no type of options.
    """
    for each in found.__mro__:
        said = inspect.get_annotations(each).get("options")
        if said is not None:
            return _checked(said, vars(sys.modules[each.__module__]), f"{name}: options")
    return Options


def options_of_function(found: Callable[..., Any], name: str) -> type[Options]:
    """The type of a function's options: what it says of its first parameter.

    Args:
        found: A user's function.
        name: What files call it.

    Raises:
        SpaceError: If it has not two parameters, or that is no type of options.
    """
    parameters = list(inspect.signature(found).parameters.values())
    if len(parameters) != 2:
        raise SpaceError(
            f"{name} has {len(parameters)} parameters; expected two, as in "
            f"def {found.__name__}(options, run)"
        )
    if parameters[0].annotation is inspect.Parameter.empty:
        return Options
    where = f"{name}: its parameter '{parameters[0].name}'"
    return _checked(parameters[0].annotation, found.__globals__, where)


def _checked(said: Any, names: Mapping[str, Any], where: str) -> type[Options]:
    text = said if isinstance(said, str) else getattr(said, "__name__", repr(said))
    found = said
    if isinstance(said, str):  # As ``from __future__ import annotations`` leaves it.
        try:
            found = eval(said, dict(names))  # noqa: S307 - the user's own text
        except NameError:
            found = None
    if inspect.isclass(found) and issubclass(found, Options):
        return found
    raise SpaceError(f"{where} is said to be {text}; expected a class that derives from Options")


def config_with(base: type[C], options: type[Options], name: str) -> type[C]:
    """The type of a config with these options.

    Args:
        base: The type without, which has the sections ``options`` and ``training``.
        options: Their type.
        name: What files call whose options they are.

    Raises:
        SpaceError: If one of them is called like a setting of training.
    """
    ours = base.sections()["training"].model_fields
    for key in options.model_fields:
        if key in ours:
            raise SpaceError(
                f"{name}: its options have '{key}', which is a setting of training, too: call it "
                "something else"
            )
    is_required = any(field.is_required() for field in options.model_fields.values())
    default = Field() if is_required else Field(default_factory=options)
    fields: Any = {"options": (options, default)}
    made: type[C] = create_model(base.__name__, __base__=base, **fields)
    return made


def made_of(found: Callable[[Options], T], options: Options) -> T:
    """An instance of a user's class.

    Args:
        found: The class.
        options: What it is made of.

    Raises:
        TrainingError: If it refuses them.
    """
    try:
        return found(options)
    except ValueError as error:
        raise TrainingError(str(error)) from error


def check_metrics(metrics: Any, name: str) -> tuple[Metric, ...]:
    """What a user says is measured.

    Args:
        metrics: Expected to be metrics whose names are different and carry no split.
        name: What files call whose metrics they are.

    Raises:
        SpaceError: If they are not.
    """
    known: list[str] = []
    if not isinstance(metrics, tuple | list):
        raise SpaceError(
            f"{name}: its metrics are {metrics!r}; expected a tuple, as in (Metric('error'),)"
        )
    for metric in metrics:
        if not isinstance(metric, Metric):
            raise SpaceError(f"{name}: its metrics have {metric!r}; expected Metric({metric!r})")
        split, _, rest = metric.name.partition("_")
        if split in ("train", "val", "test") and rest:
            raise SpaceError(
                f"{name}: its metric '{metric.name}' names a split; expected Metric('{rest}'), "
                "which is measured on every split"
            )
        if metric.name in known:
            raise SpaceError(f"{name}: two of its metrics are called '{metric.name}'")
        known.append(metric.name)
    return tuple(metrics)
