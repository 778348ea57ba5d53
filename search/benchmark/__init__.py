"""Configs compared on the test split: ``python -m search.benchmark``."""
