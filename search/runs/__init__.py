"""What searches, confirmations and benchmarks share of a run."""
