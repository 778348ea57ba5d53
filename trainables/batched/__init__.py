"""Many runs of one architecture trained as one model with a leading run dimension."""

from trainables.batched.batch import TrainingBatch, batch_key
from trainables.batched.packing import Packing, architecture, measure_packing

__all__ = ["Packing", "TrainingBatch", "architecture", "batch_key", "measure_packing"]
