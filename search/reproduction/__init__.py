"""The document of what was reproduced: ``python -m search.reproduction``."""
