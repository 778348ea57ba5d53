"""What a launch is asked for: the space file with the options laid over it."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from space import Override, Space, SpaceFile, read_space_file
from space.errors import UsageError
from space.files.reader import parse_yaml

__all__ = ["read_request"]


def read_request(options: Namespace, tree: Mapping[str, Any] | None = None) -> SpaceFile:
    """Read and check what a launch is asked for.

    Args:
        options: The command line's.
        tree: What the file would hold, where there is none.

    Raises:
        SpaceError: If the file or an option is wrong.
        UsageError: If an option would do nothing.
    """
    overrides = _overrides(options)
    if tree is None:
        file = read_space_file(options.space, overrides)
    else:
        file = SpaceFile.of(tree, options.space, overrides)
    _refuse_idle(file.forms(), options)
    return file


def _refuse_idle(forms: list[Space], options: Namespace) -> None:
    """Refuse an option that would do nothing.

    Raises:
        UsageError: If there is one.
    """
    if options.confirm_seeds is not None and not any(form.confirm.top for form in forms):
        raise UsageError(
            f"--confirm-seeds {options.confirm_seeds}: nothing is confirmed; say with --confirm K "
            "how many of the best configs are."
        )


def _overrides(options: Namespace) -> list[str | Override]:
    """The options that stand for settings of the file, after `--set` and so over it."""
    given = {
        "--study": ("study", options.study),
        "--trials": ("budget.trials", options.trials),
        "--time-limit": ("budget.time_limit", options.time_limit),
        "--seed": ("sampler.seed", options.seed),
        "--concurrency": ("concurrency", options.concurrency),
        "--warm-start": ("warm_start.study", options.warm_start),
        "--confirm": ("confirm.top", options.confirm),
        "--confirm-seeds": ("confirm.seeds", options.confirm_seeds),
    }
    told = [parse_yaml(each, "--callbacks") for each in options.callbacks]
    return [
        *options.set,
        *([Override(key="callbacks", value=told, label="--callbacks")] if told else []),
        *(
            Override(key=key, value=value, label=f"{option} {value}")
            for option, (key, value) in given.items()
            if value is not None
        ),
    ]
