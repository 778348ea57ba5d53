"""Many runs of one architecture trained as one model with a leading run dimension."""

from trainables.batched.batch import TrainingBatch, batch_key
from trainables.batched.group_speed import GroupSpeed, architecture, measure_group_speed

__all__ = ["GroupSpeed", "TrainingBatch", "architecture", "batch_key", "measure_group_speed"]
