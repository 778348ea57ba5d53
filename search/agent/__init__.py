"""Agents, which take what waits in the queue and run it: ``python -m search.agent``."""
