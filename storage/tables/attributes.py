"""Names of the user attributes that we give Optuna's trials."""

__all__ = ["BASELINE", "FAIL_REASON", "SPARED", "STANDARD_ERROR"]

FAIL_REASON = "fail_reason"
"""Why a trial failed."""
BASELINE = "baseline"
"""The parameters that the space file asked to try."""
SPARED = "spared"
"""The step after which the pruner would have stopped a baseline, which goes on all the same."""
STANDARD_ERROR = "standard_error"
"""Of the mean over replicates, for each objective."""
