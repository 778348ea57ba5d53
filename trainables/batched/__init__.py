"""Many runs of one architecture trained as one model with a leading run dimension."""

from trainables.batched.batch import TrainingBatch, batch_key

__all__ = ["TrainingBatch", "batch_key"]
