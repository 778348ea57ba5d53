"""``search tokens``: by which programs use the HTTP API, each with what it may do.

A token is shown once, when it is made; the store keeps a hash of it. A reader
reads; an editor asks, tells, submits and stops, too; an admin makes and revokes
tokens as well. One that is revoked is refused from the next request on.
"""

from __future__ import annotations

import re
from argparse import ArgumentTypeError, Namespace
from contextlib import closing

from space.amounts import parse_duration
from space.errors import SpaceError
from space.terminal.command import Option
from space.terminal.printing import say, say_error, say_json, say_table
from storage.commands.kit import STORAGE, StoreCommand, default_storage, format_of, opened
from storage.tables.service import ROLES

__all__ = ["main"]

FORMAT = format_of("the answer")

main = StoreCommand(
    "search.tokens",
    __doc__,
    examples=("create --name ci --role editor --expires 30d", "revoke ci"),
)


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}", text):
        raise ArgumentTypeError(f"'{text}' is no name: letters, numbers and '_.@-', at most 64")
    return text


def _lifetime(text: str) -> float:
    try:
        return parse_duration(text)
    except SpaceError as error:
        raise ArgumentTypeError(str(error)) from error


@main.part(
    "create",
    STORAGE,
    Option("--name", type=_name, required=True, help="what it is to be called; never used again"),
    Option("--role", choices=ROLES, required=True, help="what it may do"),
    Option("--expires", type=_lifetime, metavar="TIME", help="as in 30d; default: never"),
    FORMAT,
    help="make a token, and show it this once",
    examples=("--name ci --role editor --expires 30d", "--name page --role reader"),
)
def _create(options: Namespace) -> None:
    from search.service.submitting import this_user
    from storage.store import open_store
    from storage.tokens import create_token

    with closing(open_store(default_storage(options.storage))) as store:
        token = create_token(
            store,
            options.name,
            options.role,
            asked_by=this_user(),
            seconds=options.expires,
        )
    if options.format == "json":
        say_json({"name": options.name, "role": options.role, "token": token})
        return
    say(token)
    say_error("keep it: it is not shown again, and the store has only its hash")


@main.part(
    "list",
    STORAGE,
    FORMAT,
    help="all tokens, those that are good no more among them",
    examples=("", "--format json"),
)
def _list(options: Namespace) -> None:
    from storage.tokens import list_tokens

    with opened(options.storage) as store:
        found = [each.as_json() for each in list_tokens(store)]
    if options.format == "json":
        say_json(found)
        return
    if not found:
        say("there are no tokens yet")
        return
    columns = ("name", "role", "state", "created_at", "created_by", "expires_at")
    shown = ("name", "role", "state", "created (UTC)", "by", "expires (UTC)")
    rows = [tuple(each[column] or "-" for column in columns) for each in found]
    say_table(shown, rows, left=frozenset(range(len(columns))))


@main.part(
    "revoke",
    STORAGE,
    Option("name", metavar="NAME"),
    help="refuse a token from now on",
    examples=("ci", "ci --storage results/search.db"),
)
def _revoke(options: Namespace) -> None:
    from search.service.submitting import this_user
    from storage.tokens import revoke_token

    with opened(options.storage, look=False) as store:
        revoke_token(store, options.name, asked_by=this_user())
    say(f"token '{options.name}' is refused from now on")


if __name__ == "__main__":
    main.run()
