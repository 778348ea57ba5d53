"""When a launch will end, told from how fast it went so far."""

from __future__ import annotations

__all__ = ["search_epochs_left", "seconds_to_end"]


def seconds_to_end(
    *, n_epochs: int, seconds: float, epochs_left: float | None, limit: float | None
) -> float | None:
    """Seconds until a launch ends, never later than its time limit; None where nothing tells yet.

    Args:
        n_epochs: Epochs that it has recorded.
        seconds: What they took it.
        epochs_left: Epochs that are still to come, where that is known.
        limit: Seconds until its time limit, if it has one.
    """
    bounds = [] if limit is None else [max(0.0, limit)]
    if n_epochs and epochs_left is not None:
        bounds.append(max(0.0, epochs_left) * seconds / n_epochs)
    return min(bounds, default=None)


def search_epochs_left(
    max_trials: int | None, *, n_ended: int, a_trial: float, n_running: int, n_running_epochs: int
) -> float | None:
    """Epochs that a search has still to train; None where its trials are not counted.

    Args:
        max_trials: The most trials that it may have.
        n_ended: Those that ended, however.
        a_trial: The epochs that one of the others will take, all replicates together.
        n_running: Runs that are being trained.
        n_running_epochs: Epochs that these have behind them.
    """
    if max_trials is None:
        return None
    return max(max(0, max_trials - n_ended) * a_trial - n_running_epochs, n_running)
