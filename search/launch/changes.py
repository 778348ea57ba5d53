"""What a launch changes against the launch before it, for the record and the screen."""

from __future__ import annotations

from typing import Any

from dashboards.words import show_code
from search.runs.provenance import Provenance
from space.study.identity import flat
from storage import LaunchRecord

__all__ = ["changes_between", "changes_since"]

_ABSENT = "not given"


def changes_since(before: LaunchRecord, config: dict[str, Any], code: Provenance) -> list[str]:
    """What differs from an earlier launch: the code that ran, and the settings.

    Args:
        before: That launch.
        config: The space now, as JSON.
        code: The code now.
    """
    old = show_code(before.git_commit, before.git_dirty)
    new = show_code(code.git_commit, code.git_dirty)
    of_code = [f"code: {old}, now {new}"] if old != new else []
    if not of_code and code.git_dirty:
        of_code = [f"code: {old}, which may be other changes now"]
    return of_code + changes_between(before.config, config)


def changes_between(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The settings that differ, a phrase each: ``budget.trials: 30, now 60``.

    Args:
        before: A space as JSON (`Space.model_dump(mode="json")`).
        after: Another.
    """
    old, new = dict(flat(before)), dict(flat(after))
    return [
        f"{key}: {old.get(key, _ABSENT)}, now {new.get(key, _ABSENT)}"
        for key in dict.fromkeys([*old, *new])
        if (key in old, old.get(key)) != (key in new, new.get(key))
    ]
