"""Optuna's published contract for storages, kept by a store's trials on both databases."""

from __future__ import annotations

import gc

import pytest
from optuna.storages import BaseStorage
from optuna.testing.pytest_storages import StorageTestCase

from storage import Store
from tests.conftest import BACKENDS


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


class TestStorageContract(StorageTestCase):
    """Every test of Optuna's own, inherited."""

    @pytest.fixture
    def storage(self, store: Store) -> BaseStorage:
        """An empty store's trials, as Optuna sees them."""
        return store.optuna_storage

    # The copy that Optuna's test makes leaves its connection open.
    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    def test_pickle_storage(self, storage: BaseStorage) -> None:
        super().test_pickle_storage(storage)
        gc.collect()
