"""Launches and benchmarks that wait for an agent, are in the hands of one, or have ended.

    queued    waits for an agent with room for it
    paused    waits for somebody to resume it
    running   an agent has taken it: it holds it by heartbeats, as a launch holds its trials
    done      its command ended and said so
    failed    its command could not do it, or died again and again; the reason says why
    stopped   somebody stopped it

Every taking has a `hold` of its own. The command that an agent starts begins its launch under it
(`begin_under`), in the transaction that records the launch, or ends at once: an agent may die, its
submission be put back and taken by another while the first one's command still starts. One that
did begin its launch goes on without its agent, and counts as running until that launch has ended.

What a running submission is asked for, to stop or to pause, its launch reads and obeys; it is
answered when the submission leaves the state `running` (`end_hold`), in the same transaction. So
it holds even where the launch is killed before it could obey.
"""

from storage.submissions.changes import SUBMISSION_VERBS, change_submission, submit
from storage.submissions.holds import (
    MAX_DEATHS,
    add_arguments,
    begin_under,
    end_hold,
    hold_on,
    put_back,
    state_after,
    take,
)
from storage.submissions.records import (
    SUBMISSIONS,
    is_held,
    list_submissions,
    submission_of,
    submission_record,
)

__all__ = [
    "MAX_DEATHS",
    "SUBMISSIONS",
    "SUBMISSION_VERBS",
    "add_arguments",
    "begin_under",
    "change_submission",
    "end_hold",
    "hold_on",
    "is_held",
    "list_submissions",
    "put_back",
    "state_after",
    "submission_of",
    "submission_record",
    "submit",
    "take",
]
