"""Put a trial into a study's queue: ``search queue-trial --study mlp learning_rate=0.01``."""

from __future__ import annotations

from argparse import ArgumentTypeError, Namespace

from search.service.submitting import this_user
from space.errors import UsageError
from space.terminal.command import Option
from space.terminal.printing import say
from storage.commands.kit import STORAGE, StoreCommand, opened

__all__ = ["main"]


def _value(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise ArgumentTypeError(f"'{text}' is not NAME=VALUE")
    return name, value


@StoreCommand.of(
    "search.queue_trial",
    "Put a trial into a study's queue; a launch that runs takes it up, or the next one does.",
    Option("--study", required=True, metavar="NAME", help="the study"),
    Option(
        "values",
        nargs="+",
        type=_value,
        metavar="NAME=VALUE",
        help="parameters and their values; the sampler proposes the others",
    ),
    STORAGE,
    examples=("--study mlp learning_rate=0.01 width=64",),
)
def main(options: Namespace) -> None:
    """Queue it, and say its number."""
    from dashboards.numbers.study.view import latest_space
    from space.study.queued import read_values
    from storage.on_studies import QUEUE_TRIAL, queue_trial
    from storage.tables.service import NewAction

    with opened(options.storage, look=False) as store:
        space = latest_space(store.launches(store.study_id(options.study)))
        if space is None:
            raise UsageError(
                f"--study {options.study}: no launch of this release has said what it searches."
            )
        values = read_values(dict(options.values), space.parameters)
        action = NewAction(
            verb=QUEUE_TRIAL,
            asked_by=this_user(),
            study=options.study,
            detail={"values": values},
        )
        done = queue_trial(store, action)
    say(f"{done.answer}, and waits for a worker")


if __name__ == "__main__":
    main.run()
