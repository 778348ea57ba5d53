"""Write something down about a study or a trial: ``search note --study mlp "a bad seed"``."""

from __future__ import annotations

from argparse import Namespace

from space.errors import UsageError
from space.terminal.command import Option, whole_int
from space.terminal.printing import say
from storage.commands.kit import STORAGE, StoreCommand, opened

__all__ = ["main"]


@StoreCommand.of(
    "search.service.note",
    "Write a note about a study or one of its trials, or give it a tag; pages show both.",
    Option("text", nargs="?", metavar="TEXT", help="the note"),
    Option("--study", required=True, metavar="NAME", help="the study"),
    Option(
        "--trial", type=whole_int, metavar="N", help="one of its trials; default: the study itself"
    ),
    Option("--tag", metavar="TAG", help="a tag in the place of a note"),
    Option("--untag", metavar="TAG", help="take a tag away"),
    STORAGE,
    examples=('--study mlp "a bad seed"', "--study mlp --trial 7 --tag kept"),
)
def main(options: Namespace) -> None:
    """Record it."""
    from search.service.submitting import this_user
    from storage.on_studies import NOTE, TAG, UNTAG, remark
    from storage.tables.service import NewAction

    given = {NOTE: options.text, TAG: options.tag, UNTAG: options.untag}
    said = {verb: text for verb, text in given.items() if text}
    if len(said) != 1:
        raise UsageError("search note: give one of a text, --tag and --untag.")
    ((verb, text),) = said.items()
    with opened(options.storage, look=False) as store:
        store.study_id(options.study)
        action = NewAction(
            verb=verb,
            asked_by=this_user(),
            study=options.study,
            trial_number=options.trial,
            detail={"text": text},
        )
        done = remark(store, action)
    if done.state == "refused":
        raise UsageError(f"search note: {done.answer}.")
    say("it is recorded")


if __name__ == "__main__":
    main.run()
