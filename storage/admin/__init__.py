"""Looking after a store: upgrade, check, copy, remove."""
