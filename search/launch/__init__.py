"""A search, from its plan to its result: ``python -m search.launch``."""

from search import CallablePackage

CallablePackage.make_of(__name__)
