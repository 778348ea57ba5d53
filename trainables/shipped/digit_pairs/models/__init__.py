"""The networks that compare two digits."""

from trainables.shipped.digit_pairs.models.base import Output, PairModel
from trainables.shipped.digit_pairs.models.registry import MODELS, build_model, check_model

__all__ = ["MODELS", "Output", "PairModel", "build_model", "check_model"]
