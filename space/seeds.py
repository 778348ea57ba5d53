"""Whose seed a number is: benchmarks, searches and confirmations have blocks that never meet."""

from __future__ import annotations

__all__ = ["BENCHMARK_SEEDS", "CONFIRM_OFFSET", "SEARCH_SEEDS", "SEED_KEYS"]

BENCHMARK_SEEDS = range(1_000)
"""What a benchmark may be run on."""
SEARCH_SEEDS = range(1_000, 1_000_000)
"""What a search's trials and their replicates are trained on."""
CONFIRM_OFFSET = SEARCH_SEEDS.stop
"""A confirmation's seeds lie so far above its search's, and so above every search's."""
SEED_KEYS = ("data.data_seed", "training.training_seed")
"""Where a config has its seeds: that of its pairs and their split, that of the training."""
