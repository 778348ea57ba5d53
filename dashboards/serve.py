"""``python -m dashboards.serve``: Optuna Dashboard and our own pages at one address."""

from __future__ import annotations

import argparse
import contextlib
import signal
import socket
import sys
import threading
from argparse import Namespace
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from dashboards.pages.credentials import (
    PASSWORD_VARIABLE,
    USER_VARIABLE,
    Credentials,
    find_credentials,
)
from space.errors import UsageError
from space.terminal.command import Option
from space.terminal.printing import say
from storage.commands.kit import STORAGE, StoreCommand, opened

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

    from dashboards.pages.acting.queue import Check
    from storage import Store

__all__ = ["EXAMPLES", "OPTIONS", "main", "make_server", "serve"]

SECONDS_TO_END = 5
"""What is being answered when the server is told to stop has so long."""


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 2**16):
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 0 to 65535")
    return int(text)


OPTIONS = (
    STORAGE,
    Option("--host", default="127.0.0.1", help="default: 127.0.0.1, this machine only"),
    Option("--port", type=_port, default=8080, help="default: 8080; 0: any"),
    Option(
        "--credentials",
        metavar="FILE",
        help=f"one line user:password; default: ${USER_VARIABLE} and ${PASSWORD_VARIABLE}",
    ),
)
EXAMPLES = ("", "--storage docs/reproduction.db --port 0")


@StoreCommand.of("dashboards.serve", __doc__, *OPTIONS, examples=EXAMPLES)
def main(options: Namespace) -> None:
    """Serve until Ctrl-C or SIGTERM ends it."""
    serve(options)


def serve(
    options: Namespace,
    api: Callable[[Store], ASGIApp] | None = None,
    check: Check | None = None,
) -> None:
    """Serve until Ctrl-C or SIGTERM ends it.

    Args:
        options: Those of `OPTIONS`.
        api: Makes an API over the store, which is served beside the pages.
        check: What the pages ask before they put something into the queue; see `Site`.
    """
    from dashboards.pages.site import load_dashboard

    credentials = find_credentials(options.credentials)
    _refuse_open_host(options.host, credentials)
    with opened(options.storage) as store, _listen(options.host, options.port) as listener:
        server = make_server(store, credentials, None if api is None else api(store), check)
        # Once the server has ended in good order, it passes on the signal that ended it.
        with contextlib.suppress(KeyboardInterrupt), _terminable():
            say(f"{_address(listener)}  (Ctrl-C ends it)")
            sys.stdout.flush()
            threading.Thread(target=load_dashboard, daemon=True).start()
            server.run([listener])


def make_server(
    store: Store,
    credentials: Credentials | None,
    api: ASGIApp | None = None,
    check: Check | None = None,
) -> uvicorn.Server:
    """Make the server.

    Args:
        store: What it shows.
        credentials: What every request must bring; None: nothing, which only loopback may do.
        api: What answers below `dashboards.pages.guard.API`, if anything does.
        check: See `Site`.

    Returns:
        A server: `run` serves on the sockets that it is given, until it is interrupted.
    """
    import uvicorn

    from dashboards.pages.guard import Guard
    from dashboards.pages.site import Site

    return uvicorn.Server(
        uvicorn.Config(
            Guard(Site(store, check), credentials, api),
            # Whatever else is installed, this is what the tests ran with.
            http="h11",
            loop="asyncio",
            ws="none",
            lifespan="off",
            # Who asks is who is connected, whatever the request says.
            proxy_headers=False,
            server_header=False,
            access_log=False,
            log_config=None,
            log_level="error",
            timeout_graceful_shutdown=SECONDS_TO_END,
        )
    )


def _refuse_open_host(host: str, credentials: Credentials | None) -> None:
    """Refuse what would let others in without a password.

    Raises:
        UsageError: If the host is no loopback address and there are no credentials.
    """
    from dashboards.pages.guard import is_loopback

    if credentials is None and not is_loopback(host):
        raise UsageError(
            f"--host {host}: other machines could read and change this store; set "
            f"{USER_VARIABLE} and {PASSWORD_VARIABLE} or name a --credentials file, or stay with "
            "127.0.0.1."
        )


def _listen(host: str, port: int) -> socket.socket:
    """Listen at an address.

    Raises:
        UsageError: If it is not to be had.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(address[:2], family=family)
        # For connections, which inherit it: an answer's body goes out at once, and does not wait
        # the 40 ms until the client has acknowledged its head.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        # Python adds the address to the system's reason, which names it once more.
        reason = (error.strerror or str(error)).partition(" (while")[0].lower()
        raise UsageError(
            f"--host {host} --port {port}: cannot listen there ({reason}); name another --port "
            "(0: any that is free) or another --host."
        ) from error


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end what Ctrl-C ends, also where the shell had Ctrl-C ignored."""
    before = {
        number: signal.signal(number, signal.default_int_handler)
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    main.run()
