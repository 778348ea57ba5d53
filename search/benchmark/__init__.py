"""Configs compared on the test split: ``python -m search.benchmark``."""

from search import CallablePackage

CallablePackage.make_of(__name__)
