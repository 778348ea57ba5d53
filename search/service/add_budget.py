"""Give a launch that runs more budget: ``search add-budget --launch 3 --trials 20``."""

from __future__ import annotations

from argparse import Namespace

from search.service.changing import say_answer
from space.amounts import parse_duration
from space.errors import UsageError
from space.terminal.command import Option, count_of, whole_int
from storage.commands.kit import STORAGE, StoreCommand, format_of, opened

__all__ = ["main"]


@StoreCommand.of(
    "search.service.add_budget",
    "Give a launch that runs more trials, more time, or both; it answers within some seconds.",
    Option("--launch", type=whole_int, required=True, metavar="N", help="the launch's number"),
    count_of("--trials", "so many trials more; default: none"),
    Option("--time", metavar="TIME", help="so much time more, as in 30m; default: none"),
    STORAGE,
    format_of("the answer"),
    examples=("--launch 12 --trials 20", "--launch 12 --time 1h"),
)
def main(options: Namespace) -> None:
    """Ask the launch."""
    from search.service.submitting import this_user
    from storage.actions import ADD_BUDGET, ask
    from storage.tables.service import NewAction

    seconds = parse_duration(options.time) if options.time else None
    more = {"trials": options.trials, "time_limit": seconds}
    detail = {key: value for key, value in more.items() if value}
    if not detail:
        raise UsageError("search add-budget: name --trials or --time to add.")
    with opened(options.storage, look=False) as store:
        action = NewAction(
            verb=ADD_BUDGET, asked_by=this_user(), launch_id=options.launch, detail=detail
        )
        done = ask(store, action)
    say_answer(options, f"launch {options.launch}", done)


if __name__ == "__main__":
    main.run()
