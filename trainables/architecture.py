"""What runs must have in common to be trained together."""

from __future__ import annotations

import json

from space.config import RunConfig

__all__ = ["architecture"]


def architecture(config: RunConfig) -> str:
    """What runs must have in common to be trained together, as far as a config tells it.

    Args:
        config: A resolved config.

    Returns:
        A text that is equal for configs that differ in nothing but numbers: seeds, learning rates
        and decays, auxiliary weights, epochs.
    """
    tree = config.model_dump(mode="json")
    data, training = tree["data"], tree["training"]
    shared = {
        "model": tree["model"],
        **{key: data[key] for key in ("source", "n_train_pairs", "validation_fraction", "augment")},
        **{key: training[key] for key in ("batch_size", "device", "precision", "tf32")},
    }
    return json.dumps(shared, sort_keys=True)
