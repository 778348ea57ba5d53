"""Searches replayed over recorded curves: ``python -m search.simulate``."""

BUDGET_TRIALS = 20
"""Where trials were stopped, a search has the epochs of this many whole trials or more: a study has
fewer points than a grid, and TPE by default draws its first 10 trials at random, so that without a
pruner no sampler could differ from another in a third of these epochs."""
