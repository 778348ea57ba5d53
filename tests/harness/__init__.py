"""Programs that break a search on purpose and count what was lost."""
