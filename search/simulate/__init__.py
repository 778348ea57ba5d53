"""Searches replayed over recorded curves: ``python -m search.simulate``."""
