"""The pages of what was trained with one config: a trial, a run; and of some compared."""
