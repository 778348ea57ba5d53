"""Where the images come from."""

from __future__ import annotations

import logging
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from space.errors import DataError
from trainables.contract.split_data import SplitData
from trainables.shipped.digit_pairs.config import DataConfig
from trainables.shipped.digit_pairs.data import sources, torchvision_compat
from trainables.shipped.digit_pairs.data.download import MNIST_FILES, DownloadError
from trainables.shipped.digit_pairs.data.sources import load_source, resolve_source


def _no_download(root: Path, timeout_seconds: float) -> None:
    raise DownloadError(f"not done after {timeout_seconds:g} s")


def _bilinear(small_HW: np.ndarray, side: int) -> np.ndarray:
    """Bilinear interpolation between pixel centres, written out."""
    n = len(small_HW)
    at = np.clip((np.arange(side) + 0.5) * n / side - 0.5, 0, n - 1)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, n - 1)
    part = at - low
    rows = small_HW[low] * (1 - part)[:, None] + small_HW[high] * part[:, None]
    return rows[:, low] * (1 - part) + rows[:, high] * part


def test_digits_are_interpolated_scaled_and_split(
    digits: SplitData, digits_test: SplitData
) -> None:
    bunch = load_digits()
    assert (len(digits), len(digits_test)) == (1200, 597)
    assert digits["image"].dtype == torch.float32
    assert digits["label"].dtype == torch.int64
    np.testing.assert_array_equal(digits["label"], bunch.target[:1200])
    np.testing.assert_array_equal(digits_test["label"], bunch.target[1200:])
    for images, i, original in ((digits, 7, 7), (digits_test, 0, 1200), (digits_test, 596, 1796)):
        expected = _bilinear(bunch.images[original], 14) * 255 / 16
        np.testing.assert_allclose(images["image"][i], expected, atol=1e-3)
    assert digits["image"].min() == 0
    assert digits["image"].max() == 255


def test_mnist_is_pooled_two_by_two(mnist_root: Path, mnist_arrays: dict[str, np.ndarray]) -> None:
    config = DataConfig(source="mnist", root=str(mnist_root))
    for split, prefix in (("train", "train"), ("test", "t10k")):
        images = load_source(config, split)
        raw = mnist_arrays[f"{prefix}-images-idx3-ubyte"]
        expected = raw.reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4))
        np.testing.assert_allclose(images["image"], expected, rtol=1e-6)
        np.testing.assert_array_equal(images["label"], mnist_arrays[f"{prefix}-labels-idx1-ubyte"])
        assert (images.source, images.split) == ("mnist", split)


def test_auto_takes_mnist_that_is_on_disk(
    mnist_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "download_mnist", _no_download)
    monkeypatch.setenv("SEARCH_DATA_ROOT", str(mnist_root))
    assert resolve_source(DataConfig()) == "mnist"
    assert load_source(DataConfig(), "test").source == "mnist"


def test_root_of_the_config_goes_before_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SEARCH_DATA_ROOT", "/from/environment")
    monkeypatch.chdir(tmp_path)
    assert sources.data_root(DataConfig(root="/from/config")) == Path("/from/config")
    assert sources.data_root(DataConfig()) == Path("/from/environment")
    monkeypatch.delenv("SEARCH_DATA_ROOT")
    assert sources.data_root(DataConfig()) == tmp_path / "data"


@pytest.mark.usefixtures("_fresh_sources")
def test_auto_falls_back_to_digits_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sources, "download_mnist", _no_download)
    config = DataConfig(root=str(tmp_path))
    with caplog.at_level(logging.INFO, logger="trainables"):
        assert resolve_source(config) == "digits"
        assert load_source(config, "train").source == "digits"
        assert load_source(config, "test").source == "digits"
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    message = caplog.records[0].getMessage()
    assert str(tmp_path) in message
    assert "not done after 30 s" in message
    assert "digits" in message


@pytest.mark.usefixtures("_fresh_sources")
def test_mnist_asked_for_by_name_does_not_fall_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "download_mnist", _no_download)
    config = DataConfig(source="mnist", root=str(tmp_path))
    assert resolve_source(config) == "mnist"
    with pytest.raises(DataError, match="not done after 600 s") as raised:
        load_source(config, "train")
    assert str(tmp_path) in str(raised.value)
    assert "data.source: digits" in str(raised.value)


def _cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _text(path: Path) -> None:
    path.write_text("<html>404 Not Found</html>" * 40)


@pytest.mark.parametrize("damage", [_cut_short, _empty, _text])
@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"])
def test_damaged_mnist_is_one_sentence(mnist_root: Path, name: str, damage: object) -> None:
    assert callable(damage)
    damage(mnist_root / "MNIST" / "raw" / name)
    with pytest.raises(DataError, match=r"damaged .*delete them") as raised:
        load_source(DataConfig(source="mnist", root=str(mnist_root)), "train")
    assert str(mnist_root / "MNIST" / "raw") in str(raised.value)


def test_mnist_with_impossible_labels_is_damaged(mnist_root: Path) -> None:
    path = mnist_root / "MNIST" / "raw" / "train-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1] + b"\x0a")
    with pytest.raises(DataError, match=r"labels outside 0\.\.9"):
        load_source(DataConfig(source="mnist", root=str(mnist_root)), "train")


def test_sources_are_loaded_once(mnist_root: Path) -> None:
    config = DataConfig(source="mnist", root=str(mnist_root))
    assert load_source(config, "train") is load_source(config, "train")


def test_real_mnist() -> None:
    root = os.environ.get("SEARCH_DATA_ROOT")
    if root is None or not all((Path(root) / "MNIST/raw" / name).is_file() for name in MNIST_FILES):
        pytest.skip("SEARCH_DATA_ROOT names no directory with MNIST/raw")
    train = load_source(DataConfig(source="mnist", root=root), "train")
    test = load_source(DataConfig(source="mnist", root=root), "test")
    assert (len(train), len(test)) == (60_000, 10_000)
    assert train["label"][:5].tolist() == [5, 0, 4, 1, 9]
    # MNIST's published mean intensity is 0.1307 of 255.
    assert train["image"].mean().item() / 255 == pytest.approx(0.1307, abs=1e-4)


def test_fingerprint_depends_on_every_part(digits: SplitData, digits_test: SplitData) -> None:
    image_NHW, label_N = torch.zeros(2, 14, 14), torch.zeros(2, dtype=torch.int64)
    other_NHW, other_N = image_NHW.clone(), label_N.clone()
    other_NHW[1, 13, 13] = 1
    other_N[1] = 1
    prints = {
        SplitData.build("digits", "train", {"image": image_NHW, "label": label_N}).fingerprint,
        SplitData.build("mnist", "train", {"image": image_NHW, "label": label_N}).fingerprint,
        SplitData.build("digits", "test", {"image": image_NHW, "label": label_N}).fingerprint,
        SplitData.build("digits", "train", {"image": other_NHW, "label": label_N}).fingerprint,
        SplitData.build("digits", "train", {"image": image_NHW, "label": other_N}).fingerprint,
        digits.fingerprint,
        digits_test.fingerprint,
    }
    assert len(prints) == 7
    assert all(len(p) == 16 and int(p, 16) >= 0 for p in prints)
    rebuilt = SplitData.build(
        "digits", "train", {"image": digits["image"].clone(), "label": digits["label"]}
    )
    assert rebuilt.fingerprint == digits.fingerprint


def test_arrays_that_are_read_only_come_back_without_copy_or_warning(digits: SplitData) -> None:
    make, (source, split, arrays, *rest) = digits.__reduce__()
    for array in arrays.values():
        array.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        back = make(source, split, arrays, *rest)
    assert back["image"].data_ptr() == digits["image"].data_ptr()
    assert torch.equal(back["label"], digits["label"])
    assert (back.source, back.split) == (digits.source, digits.split)
    assert back.fingerprint == digits.fingerprint


@pytest.fixture
def _fresh_torchvision() -> object:
    torchvision_compat.mnist_class.cache_clear()
    yield
    torchvision_compat.mnist_class.cache_clear()


@pytest.mark.usefixtures("_fresh_torchvision")
@pytest.mark.parametrize(
    ("error", "text"),
    [(ImportError("no module"), "cannot be imported"), (RuntimeError("no nms"), "does not fit")],
)
def test_torchvision_that_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch, error: Exception, text: str
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(torchvision_compat, "_import", fail)
    with pytest.raises(DataError, match=text):
        torchvision_compat.mnist_class()


@pytest.mark.usefixtures("_fresh_torchvision")
def test_operators_are_declared_only_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def fail_once() -> str:
        calls.append("import")
        if calls == ["import"]:
            raise RuntimeError("operator torchvision::nms does not exist")
        return "class"

    monkeypatch.setattr(torchvision_compat, "_import", fail_once)
    monkeypatch.setattr(torchvision_compat, "_declared", lambda: calls.append("declare"))
    assert torchvision_compat.mnist_class() == "class"
    assert torchvision_compat.mnist_class() == "class"
    assert calls == ["import", "declare", "import"]


@pytest.mark.parametrize("url", ["s3://bucket/mnist", "file:///data"])
def test_a_root_that_is_a_url_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"^data\.root .*: this is a URL, and only paths"):
        sources.data_root(DataConfig(root=url))
    monkeypatch.setenv("SEARCH_DATA_ROOT", url)
    with pytest.raises(DataError, match=r"^SEARCH_DATA_ROOT "):
        sources.data_root(DataConfig())
