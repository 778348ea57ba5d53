"""A worker's side of a search: assigned runs, their checkpoints, Ray."""
