"""Studies and benchmarks in a line each."""
