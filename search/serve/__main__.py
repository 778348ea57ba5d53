"""``search serve``: the pages of ``python -m dashboards.serve``, and the HTTP API beside them."""

from __future__ import annotations

from argparse import ArgumentTypeError, Namespace
from functools import partial

from dashboards.serve import EXAMPLES, OPTIONS, serve
from space.terminal.command import Option
from storage.commands.kit import StoreCommand

__all__ = ["main"]

RATE = 200
"""Requests a second that a token may make, on the average of some seconds."""


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0.1 <= rate <= 1e6:
        raise ArgumentTypeError(f"'{text}' is not a number from 0.1 to 1e6")
    return rate


@StoreCommand.of(
    "search.serve",
    __doc__,
    *OPTIONS,
    Option(
        "--rate",
        type=_rate,
        default=RATE,
        metavar="N",
        help=f"requests a second that a token may make; default: {RATE}",
    ),
    examples=EXAMPLES,
)
def main(options: Namespace) -> None:
    """Serve until Ctrl-C or SIGTERM ends it."""
    from search.serve.app import make_api
    from search.serve.queueing import check_submission

    serve(options, partial(make_api, rate=options.rate), check_submission)


if __name__ == "__main__":
    main.run()
