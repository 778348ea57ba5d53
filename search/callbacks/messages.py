"""Messages when a study or a benchmark ends, wins or fails, by Apprise: mail, Slack, webhooks.

Whom they go to stands in the environment alone: addresses hold passwords, which neither the store
nor a log nor a record of where results come from may have. The store has what was told, so that it
is told once, also where a launch was killed and another went on.
"""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from space.errors import StorageError, UsageError, UserError
from space.words import count, describe
from storage import LaunchRecord, Store
from storage.commands.command_line import command_line
from storage.commands.kit import storage_arguments

__all__ = ["MESSAGES", "SITE", "Messages", "Send", "sender", "where_to_look"]

logger = logging.getLogger(__name__)

Send = Callable[[str, str], bool]
"""Sends a title and a text; says whether anybody got it."""

MESSAGES = "SEARCH_MESSAGES"
"""Addresses of Apprise with blanks between them, or a file of them."""
SITE = "SEARCH_SITE"
"""Where the pages of the store are, as https://search.example.org."""


@dataclass(frozen=True, kw_only=True)
class Messages:
    """Tells of the end of the launches of one study or benchmark.

    Attributes:
        store: Where they are.
        name: What they are called, e.g. ``"study 'wide'"``.
        address: Of its page below `SITE`.
        launches: Its launches, oldest first, read anew at each call.
        send: Sends to whom the environment names; None: nobody is to be told.
    """

    store: Store
    name: str
    address: Callable[[], str]
    launches: Callable[[], list[LaunchRecord]]
    send: Send | None

    def ended(self, badge: str, *sentences: str) -> None:
        """Tell what a study or a benchmark says at the end of a launch.

        Args:
            badge: Its verdict, in a word or two.
            sentences: The verdict with its values; empty ones are left out.
        """
        self._tell(badge, " ".join(each for each in sentences if each))

    @contextmanager
    def failing(self) -> Iterator[None]:
        """Tell of an error that ends the launch within the block, which goes on its way."""
        try:
            yield
        except UserError as error:
            self._tell("failed", f"The launch failed: {error}")
            raise
        except Exception as error:
            # What it says may be anything; whoever looks finds it in the launch's own output.
            self._tell("failed", f"The launch failed with an error, {type(error).__name__}.")
            raise

    def _tell(self, badge: str, said: str) -> None:
        """Send a message, unless its words are the last that were told; whatever happens, go on."""
        if self.send is None:
            return
        try:
            launches = self.launches()
            told = [launch.told for launch in launches if launch.told is not None]
            if not launches or told[-1:] == [said]:
                return
            where = where_to_look(self.store, self.address())
            if self.send(f"{self.name}: {badge}", f"{said}\n{where}"):
                self.store.record_told(launches[-1].launch_id, said)
        except StorageError as error:
            logger.warning("what was told of the launch's end is not recorded (%s)", error)


def where_to_look(store: Store, address: str) -> str:
    """Where people find a page of the store, in a sentence.

    Args:
        store: The store.
        address: The page's, below `SITE`.
    """
    site = os.environ.get(SITE)
    if site:
        return f"Look at it: {site.rstrip('/')}{address}"
    look = command_line("dashboards.serve", storage_arguments(store.name))
    return f"Look at it with: {look}"


def sender() -> Send | None:
    """What sends messages to whom the environment names; None where it names nobody.

    Raises:
        UsageError: If Apprise is not installed, or cannot read what is named. What is named is
            nowhere in it.
    """
    named = os.environ.get(MESSAGES, "").strip()
    if not named:
        return None
    if importlib.util.find_spec("apprise") is None:
        raise UsageError(
            f"{MESSAGES}: messages need a library that is not installed here: pip install "
            "'digit-pair-search[messages]'"
        )
    import apprise

    with _unlogged():
        servers = _of_addresses(apprise, named) if "://" in named else _of_file(apprise, named)

    def send(title: str, text: str) -> bool:
        with _unlogged():
            # Each by an Apprise of its own, which says of whatever goes wrong that it did.
            failed = [
                each
                for each in servers
                if not apprise.Apprise([each]).notify(title=title, body=text)
            ]
        if failed:
            kinds = ", ".join(sorted({str(each.service_name) for each in failed}))
            logger.warning(
                "%d of %s could not be sent (%s)",
                len(failed), count(len(servers), "message"), kinds,
            )  # fmt: skip
        return len(failed) < len(servers)

    return send


@contextmanager
def _unlogged() -> Iterator[None]:
    """Log nothing: Apprise and what it sends with show addresses in what they say."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def _of_addresses(apprise: Any, named: str) -> list[Any]:
    servers = []
    for position, address in enumerate(named.split(), 1):
        server = apprise.Apprise.instantiate(address)
        if server is None:
            raise UsageError(
                f"{MESSAGES}: address {position}, which begins with "
                f"{describe(address.partition(':')[0])}, is none that Apprise knows; see "
                "https://github.com/caronc/apprise"
            )
        servers.append(server)
    return servers


def _of_file(apprise: Any, named: str) -> list[Any]:
    if not Path(named).is_file():
        raise UsageError(
            f"{MESSAGES}: there is no file of this name; expected addresses as Apprise takes them, "
            "such as mailto://user:password@example.org, or a file that has them, one a line"
        )
    config = apprise.AppriseConfig()
    servers = list(apprise.Apprise([config])) if config.add(named) else []
    if not servers:
        raise UsageError(f"{MESSAGES}: the file has no address that Apprise knows")
    return servers
