"""Verdicts for results from elsewhere: ``python -m search.verdict``."""

from search import CallablePackage

CallablePackage.make_of(__name__)
