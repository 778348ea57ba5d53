"""Who asked what of the service, when, and what became of it: ``search actions``."""

from __future__ import annotations

from argparse import Namespace

from space.terminal.command import Option, count_of, whole_int
from space.terminal.printing import say, say_json, say_table
from storage.commands.kit import STORAGE, STUDY, StoreCommand, format_of, opened

__all__ = ["main"]


@StoreCommand.of(
    "search.service.actions",
    "Show what was asked of the service: who asked, when, and what became of it, newest first.",
    STUDY.but(required=False, help="only what is about this study; default: all"),
    Option("--submission", type=whole_int, metavar="N", help="only what is about this submission"),
    Option("--launch", type=whole_int, metavar="N", help="only what is about this launch"),
    count_of("--limit", "so many at the most; default: 50", default=50),
    STORAGE,
    format_of("the table"),
    examples=("", "--submission 3 --format json"),
)
def main(options: Namespace) -> None:
    """Print the actions."""
    from storage.actions import list_actions

    with opened(options.storage) as store:
        found = list_actions(
            store,
            study=options.study,
            launch_id=options.launch,
            submission_id=options.submission,
            limit=options.limit,
        )
    if options.format == "json":
        times = ("asked_at", "answered_at")
        said = [
            {**vars(each), **{t: (at := getattr(each, t)) and at.isoformat() for t in times}}
            for each in found
        ]
        say_json([{key: value for key, value in row.items() if key != "uid"} for row in said])
    elif not found:
        say("nothing was asked for")
    else:
        say_table(
            ("action", "when (UTC)", "who", "what", "of", "state", "answer"),
            [
                (
                    str(each.action_id),
                    f"{each.asked_at:%Y-%m-%d %H:%M:%S}",
                    each.asked_by,
                    each.verb,
                    _of(each.study, each.submission_id, each.launch_id, each.trial_number),
                    each.state,
                    each.answer or "-",
                )
                for each in found
            ],
            left=frozenset({1, 2, 3, 4, 5, 6}),
        )


def _of(study: str | None, submission: int | None, launch: int | None, trial: int | None) -> str:
    """What an action is about, in words."""
    kinds = {"submission": submission, "launch": launch, "trial": trial, "study": study}
    said = [f"{kind} {each}" for kind, each in kinds.items() if each is not None]
    return ", ".join(said) or "-"


if __name__ == "__main__":
    main.run()
