"""Benchmarks that anyone can rerun; each is a module with a command line, none is a test."""
