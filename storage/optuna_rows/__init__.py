"""The only room that touches Optuna's private modules."""
