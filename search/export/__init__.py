"""The best configs of a study as a file: ``python -m search.export``."""

from search import CallablePackage

CallablePackage.make_of(__name__)
