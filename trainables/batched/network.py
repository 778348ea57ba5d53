"""The losses of many runs at once, from all that they depend on."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.func import functional_call

from trainables.batched.operators import RunOperators
from trainables.batched.stack import state_tensors
from trainables.loop.compute import Compute
from trainables.loop.losses import n_wrong, pair_loss
from trainables.models.base import PairModel

__all__ = ["RunsNetwork"]


class RunsNetwork:
    """The network of R runs, as functions of their states and pairs."""

    def __init__(self, model: PairModel, compute: Compute) -> None:
        """
        Args:
            model: A network of the runs' architecture, placed; its own weights are never used.
            compute: How it computes.
        """
        self._model = model
        self._compute = compute
        self._state_names = list(state_tensors(model))

    def losses_and_gradients(self, *tensors: Tensor) -> tuple[Tensor | None, ...]:
        """In training mode, those of `losses` and the gradients of the trainable parameters.

        Args:
            tensors: The stacked state (see `Stack`), the auxiliary weights (R,), the pairs' images
                (N, R, 2, 14, 14), digits (N, R, 2) and targets (N, R), and for each dropout layer
                its masks (N, R, rows_per_pair, n_features).

        Returns:
            Mean losses (R,), wrongly compared pairs (R,), and gradients; None where there is none.
            They are laid out like their parameters, as the optimizer's fused step expects.
        """
        self._model.train()
        names = [name for name, p in self._model.named_parameters() if p.requires_grad]
        leaves = dict(zip(self._state_names, tensors, strict=False))
        leaves |= {name: leaves[name].detach().requires_grad_() for name in names}
        with torch.enable_grad():
            loss_R, wrong_R = self._forward(*leaves.values(), *tensors[len(leaves) :])
            # The sum's gradient is that of every run's own loss, as no weight has a part in two.
            gradients = torch.autograd.grad(
                loss_R.sum(), [leaves[name] for name in names], allow_unused=True
            )
        laid_out = [
            gradient
            if gradient is None or gradient.stride() == leaves[name].stride()
            else torch.empty_like(leaves[name]).copy_(gradient)
            for name, gradient in zip(names, gradients, strict=True)
        ]
        return loss_R.detach(), wrong_R, *laid_out

    def losses(self, *tensors: Tensor) -> tuple[Tensor | None, ...]:
        """In evaluation mode, every run's mean loss and wrongly compared pairs, (R,) each.

        Args:
            tensors: As for `losses_and_gradients`, without masks.
        """
        self._model.eval()
        return self._forward(*tensors)

    def _forward(self, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        """Every run's mean loss and wrongly compared pairs, (R,) each."""
        dropouts = self._model.dropouts()
        state = dict(zip(self._state_names, tensors, strict=False))
        aux_weight_R, x_NR2HW, classes_NR2, target_NR, *keeps_NRLF = tensors[len(state) :]

        def of_one_run(
            state: dict[str, Tensor],
            pairs_of_one: tuple[Tensor, Tensor, Tensor],
            keeps_NLF: Sequence[Tensor],
            aux_weight: Tensor,
        ) -> tuple[Tensor, Tensor]:
            x_N2HW, classes_N2, target_N = pairs_of_one
            for dropout, keep_NLF in zip(dropouts, keeps_NLF, strict=False):
                dropout.keep_NF = keep_NLF.flatten(0, 1)
            output = functional_call(self._model, state, (x_N2HW,))
            loss = pair_loss(output, classes_N2, target_N, aux_weight)
            return loss, n_wrong(output, target_N)

        of_all = torch.vmap(of_one_run, in_dims=(0, 1, 1, 0))
        pairs = (x_NR2HW, classes_NR2, target_NR)
        try:
            with RunOperators(), self._compute.precision():
                loss_R, wrong_R = of_all(state, pairs, keeps_NRLF, aux_weight_R)
        finally:
            for dropout in dropouts:
                dropout.keep_NF = None
        return loss_R, wrong_R
