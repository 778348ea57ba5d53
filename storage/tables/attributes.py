"""Names of the user attributes that we give Optuna's trials."""

__all__ = ["BASELINE", "FAIL_REASON", "STANDARD_ERROR"]

FAIL_REASON = "fail_reason"
"""Why a trial failed."""
BASELINE = "baseline"
"""The parameters that the space file asked to try."""
STANDARD_ERROR = "standard_error"
"""Of the mean over replicates, for each objective."""
