"""What a launch changes against the launch before it, for the record and the screen."""

from __future__ import annotations

from typing import Any

from search.runs.provenance import Provenance
from storage import LaunchRecord

__all__ = ["changes_between", "changes_since"]


def changes_since(before: LaunchRecord, config: dict[str, Any], code: Provenance) -> list[str]:
    """What differs from an earlier launch: the code that ran, and the settings.

    Args:
        before: That launch.
        config: The space now, as JSON.
        code: The code now.
    """
    old = _show_code(before.git_commit, before.git_dirty)
    new = _show_code(code.git_commit, code.git_dirty)
    of_code = [f"code: {old}, now {new}"] if old != new else []
    if not of_code and code.git_dirty:
        of_code = [f"code: {old}, which may be other changes now"]
    return of_code + changes_between(before.config, config)


def _show_code(commit: str | None, is_dirty: bool | None) -> str:
    if commit is None:
        return "no git checkout"
    return commit[:12] + (" with uncommitted changes" if is_dirty else "")


def changes_between(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The settings that differ, a phrase each: ``budget.trials: 30, now 60``.

    Args:
        before: A space as JSON (`Space.model_dump(mode="json")`).
        after: Another.
    """
    old, new = _flatten(before), _flatten(after)
    lines = []
    for key in [*old, *(key for key in new if key not in old)]:
        if old.get(key, _ABSENT) != new.get(key, _ABSENT):
            lines.append(f"{key}: {_show(old, key)}, now {_show(new, key)}")
    return lines


_ABSENT = object()


def _show(tree: dict[str, Any], key: str) -> str:
    return str(tree[key]) if key in tree else "not given"


def _flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat.update(_flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat
