"""The ordinary PyTorch way to train: a data set of tensors a sample, and a DataLoader."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from trainables.contract.split_data import Batch, SplitData
from trainables.loop.training import draw_parts
from trainables.shipped.digit_pairs.config import DigitPairsConfig
from trainables.shipped.digit_pairs.losses import is_wrong, pair_loss
from trainables.shipped.digit_pairs.models import build_model
from trainables.shipped.digit_pairs.task import DigitPairs

__all__ = ["dataloader_epoch"]


class PairDataset(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Pairs, one at a time."""

    def __init__(self, pairs: Batch) -> None:
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs["target"])

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor, Tensor]:
        return self.pairs["x"][i], self.pairs["classes"][i], self.pairs["target"][i]


def dataloader_epoch(
    config: DigitPairsConfig, images: SplitData, device: torch.device
) -> Callable[[], None]:
    """The ordinary PyTorch way; gives a function that trains and validates for one epoch."""
    pairs = draw_parts(DigitPairs.of(config), images, config.data.data_seed)
    size = config.training.batch_size
    train = DataLoader(PairDataset(pairs["train"]), batch_size=size, shuffle=True, num_workers=0)
    validation = DataLoader(PairDataset(pairs["val"]), batch_size=size, num_workers=0)
    model = build_model(config.model).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-4)
    aux_weight = config.training.aux_weight or 0.0

    def epoch() -> None:
        model.train()
        for batch in train:
            x_N2HW, classes_N2, target_N = (tensor.to(device) for tensor in batch)
            loss = pair_loss(model(x_N2HW), classes_N2, target_N, aux_weight)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        model.eval()
        wrong = 0
        with torch.no_grad():
            for batch in validation:
                x_N2HW, _, target_N = (tensor.to(device) for tensor in batch)
                wrong += int(is_wrong(model(x_N2HW), target_N).sum())

    return epoch
