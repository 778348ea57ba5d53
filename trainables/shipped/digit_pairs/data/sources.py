"""The sources of labelled images: MNIST, scikit-learn's digits, or whichever of them is at hand."""

from __future__ import annotations

import logging
import os
from functools import lru_cache
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from space.errors import DataError
from space.files.places import is_url
from space.words import describe
from trainables.contract.split_data import SplitData
from trainables.shipped.digit_pairs.config import DataConfig
from trainables.shipped.digit_pairs.data.counts import SourceName, Split
from trainables.shipped.digit_pairs.data.download import MNIST_FILES, DownloadError, download_mnist
from trainables.shipped.digit_pairs.data.images import N_CLASSES, SIDE

__all__ = ["data_root", "load_source", "resolve_source"]

_log = logging.getLogger(__name__)

EXPLICIT_TIMEOUT_SECONDS = 600.0
"""How long a download may take that the user asked for by name."""
AUTO_TIMEOUT_SECONDS = 30.0
"""How long a download may take where the digits will do as well."""
UNSIGNED_BYTES = 0x800
"""What MNIST's files begin with, plus their number of dimensions."""
N_DIGITS_TRAIN = 1200
"""The first images of scikit-learn's 1,797 train, the last 597 test."""


def data_root(config: DataConfig) -> Path:
    """Where MNIST lies or will lie.

    Args:
        config: The data config; its root goes before $SEARCH_DATA_ROOT, that before ./data.

    Returns:
        The data root, which need not exist.

    Raises:
        DataError: If it is a URL.
    """
    root = config.root or os.environ.get("SEARCH_DATA_ROOT") or "data"
    if is_url(root):
        where = "data.root" if config.root else "SEARCH_DATA_ROOT"
        raise DataError(
            f"{where} {describe(root)}: this is a URL, and only paths are supported; name a "
            "directory, e.g. one where the other place is mounted"
        )
    return Path(root).expanduser().absolute()


def resolve_source(config: DataConfig) -> SourceName:
    """Which source a config means in this place.

    For ``auto`` this may download MNIST. The answer is kept for the life of the process.

    Args:
        config: The data config.

    Returns:
        The source.
    """
    return _resolve_auto(data_root(config)) if config.source == "auto" else config.source


def load_source(config: DataConfig, split: Split) -> SplitData:
    """The images of one split of the source that a config means.

    They are loaded once in the life of a process.

    Args:
        config: The data config.
        split: Which of the source's two splits.

    Returns:
        "image", (N, 14, 14) float32 intensities from 0 to 255, and "label", (N,) int64 digits from
        0 to 9: MNIST's reduced from 28 x 28 by 2 x 2 average pooling, the digits' brought from
        8 x 8 to 14 x 14 by bilinear interpolation and from 0..16 to 0..255.

    Raises:
        DataError: If MNIST is asked for and cannot be found, downloaded or read.

    Source:
        The study served here, section II (pairs of 14 x 14 images from MNIST).
    """
    if resolve_source(config) == "digits":
        return _load_digits(split)
    return _load_mnist(data_root(config), split)


@lru_cache(maxsize=8)
def _resolve_auto(root: Path) -> SourceName:
    if _is_complete(root):
        return "mnist"
    try:
        download_mnist(root, AUTO_TIMEOUT_SECONDS)
    except DownloadError as failure:
        _log.warning(
            "MNIST is neither in %s nor to be had by download (%s): using scikit-learn's digits",
            root,
            failure,
        )
        return "digits"
    return "mnist"


def _is_complete(root: Path) -> bool:
    return all((root / "MNIST" / "raw" / name).is_file() for name in MNIST_FILES)


@lru_cache(maxsize=4)
def _load_mnist(root: Path, split: Split) -> SplitData:
    if not _is_complete(root):
        try:
            download_mnist(root, EXPLICIT_TIMEOUT_SECONDS)
        except DownloadError as failure:
            raise DataError(
                f"MNIST is neither in {root} nor to be had by download ({failure}): put its four "
                f"files into {root / 'MNIST' / 'raw'}, set SEARCH_DATA_ROOT to where they are, or "
                "set data.source: digits"
            ) from failure
    try:
        images, labels = MNIST_FILES[:2] if split == "train" else MNIST_FILES[2:]
        data_NHW = _read_idx(root / "MNIST" / "raw" / images, n_dimensions=3)
        labels_N = _read_idx(root / "MNIST" / "raw" / labels, n_dimensions=1).long()
        _check_mnist(data_NHW, labels_N)
    except (OSError, ValueError) as error:
        raise DataError(
            f"MNIST's {split} files in {root / 'MNIST' / 'raw'} are damaged "
            f"({str(error) or type(error).__name__}): delete them and run again to download them"
        ) from error
    images_NHW = F.avg_pool2d(data_NHW.unsqueeze(1).float(), 2).squeeze(1)
    return SplitData.build("mnist", split, {"image": images_NHW, "label": labels_N})


def _read_idx(path: Path, *, n_dimensions: int) -> Tensor:
    """The bytes of a file in MNIST's format: a number that says so, the shape, and they.

    torchvision has a reader, too, but with it comes all of torch's compiler, which takes a second
    to load.

    Returns:
        An array of `n_dimensions`, uint8.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is not of that format.

    Source:
        LeCun, Cortes and Burges, The MNIST database of handwritten digits, "File formats".
    """
    content = path.read_bytes()
    magic, *shape = np.frombuffer(content, ">u4", count=1 + n_dimensions).tolist()
    if magic != UNSIGNED_BYTES + n_dimensions:
        raise ValueError(f"{path.name} begins with {magic}, not {UNSIGNED_BYTES + n_dimensions}")
    values = np.frombuffer(content, np.uint8, offset=4 * (1 + n_dimensions))
    return torch.from_numpy(values.reshape(shape).copy())


def _check_mnist(images_NHW: Tensor, labels_N: Tensor) -> None:
    if images_NHW.shape[1:] != (2 * SIDE, 2 * SIDE):
        raise ValueError(f"images of shape {tuple(images_NHW.shape[1:])}, not (28, 28)")
    if len(images_NHW) != len(labels_N):
        raise ValueError(f"{len(images_NHW)} images but {len(labels_N)} labels")
    if len(labels_N) < 2 or not bool(((labels_N >= 0) & (labels_N < N_CLASSES)).all()):
        raise ValueError("labels outside 0..9, or fewer than two of them")


@lru_cache(maxsize=2)
def _load_digits(split: Split) -> SplitData:
    part = slice(None, N_DIGITS_TRAIN) if split == "train" else slice(N_DIGITS_TRAIN, None)
    rows_NC = _digits_rows()[part]
    small_N1HW = torch.as_tensor(rows_NC[:, :-1], dtype=torch.float32).reshape(-1, 1, 8, 8)
    images_NHW = F.interpolate(
        small_N1HW, size=(SIDE, SIDE), mode="bilinear", align_corners=False
    ).squeeze(1)
    labels_N = torch.as_tensor(rows_NC[:, -1], dtype=torch.int64)
    return SplitData.build("digits", split, {"image": images_NHW * (255 / 16), "label": labels_N})


def _digits_rows() -> np.ndarray:
    """Scikit-learn's digits as they lie in its file: 64 pixels from 0 to 16 and the label a row.

    `sklearn.datasets.load_digits` reads the same, once its library has been imported for a second.
    """
    library = distribution("scikit-learn")
    file = Path(str(library.locate_file("sklearn/datasets/data/digits.csv.gz")))
    return np.loadtxt(file, delimiter=",")
