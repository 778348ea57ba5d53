"""The API's store: read as the pages read it, and opened to write once somebody writes."""

from __future__ import annotations

import threading

from storage import Store, open_store
from storage.tables.service import TokenRecord
from storage.tokens import find_token

__all__ = ["Stores"]


class Stores:
    """A store to read, and the same to write.

    Attributes:
        reading: The store that the pages have.
    """

    def __init__(self, reading: Store) -> None:
        """Serve a store that is open to be read."""
        self.reading = reading
        self._writing: Store | None = None
        self._lock = threading.Lock()

    @property
    def writing(self) -> Store:
        """The store, to be written.

        Raises:
            StorageError: If it cannot be opened.
        """
        with self._lock:
            if self._writing is None:
                url = self.reading.url.render_as_string(hide_password=False)
                self._writing = open_store(url, create=False)
            return self._writing

    def find_token(self, token: str) -> TokenRecord | None:
        """See `storage.tokens.find_token`; an open connection is used where there is one."""
        return find_token(self._writing or self.reading, token)
