"""What R runs are while they are trained as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trainables.batched.stack import Stack
from trainables.data.pairs import Pairs
from trainables.loop.optimizer import AdamSteps
from trainables.loop.training import Training

__all__ = ["Together", "side_by_side"]


@dataclass(frozen=True, eq=False)
class Together:
    """What stays the same, and where it is in memory, for as long as the same R runs are in it."""

    stack: Stack
    validation: Pairs
    """See `side_by_side`."""
    aux_weight_R: Tensor
    adams: Sequence[AdamSteps]
    """One for each run."""
    trained_2R: Tensor
    """Sums over the epoch's pairs so far of the losses and of the wrong comparisons; float64."""
    validated_2R: Tensor
    """The same of the validation pairs."""

    @classmethod
    def of(cls, runs: Sequence[Training]) -> Together:
        """Makes the runs' states parts of one."""
        validation = side_by_side([run.pairs.validation for run in runs])
        weights = [run.config.training.aux_weight or 0.0 for run in runs]
        x = validation.x_N2HW
        return cls(
            stack=Stack([run.model for run in runs]),
            validation=validation,
            aux_weight_R=torch.tensor(weights, dtype=x.dtype, device=x.device),
            adams=[AdamSteps(run.optimizer) for run in runs],
            trained_2R=torch.zeros(2, len(runs), dtype=torch.float64, device=x.device),
            validated_2R=torch.zeros(2, len(runs), dtype=torch.float64, device=x.device),
        )

    def is_current(self) -> bool:
        """Whether no run was given another state than the one in here."""
        return all(adam.is_current() for adam in self.adams)

    def tensors(self, pairs: Pairs) -> tuple[Tensor, ...]:
        """All that the losses of some pairs depend on in evaluation mode, in one order."""
        state = self.stack.tensors.values()
        return *state, self.aux_weight_R, pairs.x_N2HW, pairs.classes_N2, pairs.target_N

    def changed_by_steps(self) -> dict[str, list[Tensor]]:
        """All that a training step changes, by its kind."""
        state = self.stack.tensors
        return {
            "parameters": [state[name] for name in self.stack.trainable],
            "buffers": [t for name, t in state.items() if name not in self.stack.trainable],
            "first moments": [tensor for adam in self.adams for tensor in adam.averages],
            "second moments": [tensor for adam in self.adams for tensor in adam.squares],
            "counts of steps": [adam.count for adam in self.adams],
            "sums": [self.trained_2R],
        }


def side_by_side(parts: Sequence[Pairs]) -> Pairs:
    """Pairs with a dimension for the runs after the first: (N, R, 2, 14, 14), (N, R, 2), (N, R)."""
    return Pairs(
        torch.stack([pairs.x_N2HW for pairs in parts], dim=1),
        torch.stack([pairs.classes_N2 for pairs in parts], dim=1),
        torch.stack([pairs.target_N for pairs in parts], dim=1),
    )
