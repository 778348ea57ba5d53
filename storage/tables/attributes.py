"""Names of the user attributes that we give Optuna's trials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = [
    "BASELINE",
    "FAIL_REASON",
    "PARENT",
    "QUEUED",
    "SPARED",
    "STANDARD_ERROR",
    "STOPPED",
    "WARM_START",
    "warm_start_of",
]

FAIL_REASON = "fail_reason"
"""Why a trial failed."""
PARENT = "parent"
"""The number of the trial from whose end it goes on, under population-based training; None: it
begins a lineage."""
BASELINE = "baseline"
"""The parameters that the space file asked to try."""
SPARED = "spared"
"""The step after which the pruner would have stopped a baseline, which goes on all the same."""
QUEUED = "fixed_params"
"""Optuna's own: the values that a trial was enqueued with."""
STANDARD_ERROR = "standard_error"
"""Of the mean over replicates, for each objective."""
STOPPED = "stopped"
"""Who asked for the end of a trial, as the reason of that end."""
WARM_START = "warm_start"
"""The earlier study and its trial that it was queued from: ``{"study": NAME, "trial": N}``."""


def warm_start_of(user_attrs: Mapping[str, Any]) -> str | None:
    """Which trial of an earlier study a trial was queued from, in words; None for any other."""
    found = user_attrs.get(WARM_START)
    return None if found is None else f"trial {found['trial']} of study '{found['study']}'"
