"""A search, from its plan to its result: ``python -m search.launch``."""
