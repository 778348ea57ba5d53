"""Stop a submission, a launch or a trial: ``search stop 3``."""

from __future__ import annotations

from argparse import Namespace

from search.service.changing import SUBMISSION, change, say_answer
from space.errors import UsageError
from space.terminal.command import Option, whole_int
from storage.commands.kit import STORAGE, StoreCommand, format_of, opened

__all__ = ["main"]


@StoreCommand.of(
    "search.service.stop",
    "Stop a submission for good, or a launch, or one trial of it. What runs stops gracefully,\n"
    "with its checkpoints: the same command goes on with it.",
    SUBMISSION.but(nargs="?"),
    Option("--launch", type=whole_int, metavar="N", help="a launch that runs, whoever began it"),
    Option("--trial", type=whole_int, metavar="N", help="of that launch, this trial alone"),
    STORAGE,
    format_of("the answer"),
    examples=("3", "--launch 12 --trial 7"),
)
def main(options: Namespace) -> None:
    """Stop it, or ask its launch to."""
    if (options.submission is None) == (options.launch is None):
        raise UsageError("search stop: name a submission, or a launch with --launch.")
    if options.launch is None:
        if options.trial is not None:
            raise UsageError("--trial: name its launch, too, with --launch.")
        change(options, "stop")
        return
    from search.service.submitting import this_user
    from storage.actions import STOP, STOP_TRIAL, ask
    from storage.tables.service import NewAction

    with opened(options.storage, look=False) as store:
        action = NewAction(
            verb=STOP if options.trial is None else STOP_TRIAL,
            asked_by=this_user(),
            launch_id=options.launch,
            trial_number=options.trial,
        )
        done = ask(store, action)
    say_answer(options, f"launch {options.launch}", done)


if __name__ == "__main__":
    main.run()
