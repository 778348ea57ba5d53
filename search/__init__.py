"""The commands: search, confirm, export, benchmark; and the ledger between Optuna and Ray."""
