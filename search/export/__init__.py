"""The best configs of a study as a file: ``python -m search.export``."""
