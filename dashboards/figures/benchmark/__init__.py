"""The figures of a benchmark."""
