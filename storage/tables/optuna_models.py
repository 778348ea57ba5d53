"""Optuna's own tables, beside which ours lie: one of three places that name its private parts.

The others are `storage.optuna_rows`, which reads and writes them in bulk, and the grid sampler's
place in `search.trials.sampling`. Optuna is capped at the minor release that the tests ran with.
"""

from optuna.storages._rdb import models

__all__ = ["models"]
