"""Messages at the end of launches: what they say, that they come once, and who never sees whom."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from search.benchmark.__main__ import main as benchmark
from search.callbacks import messages
from search.callbacks.messages import MESSAGES, SITE
from search.launch.__main__ import main as launch
from space.errors import UsageError, UserError
from storage import Store, open_store
from storage.__main__ import main as storage

from ..benchmark.test_benchmark import CONFIGS
from ..conftest import SPACE
from ..here import Here

SECRET = "s3cr3tt0ken"
FOUR: dict[str, Any] = {**SPACE, "training": {"epochs": 3}, "budget": {"trials": 4}}


class Inbox:
    """A webhook on this machine that keeps what is posted to it."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str]] = []
        self.status = 200
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                found = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if inbox.status == 200:
                    inbox.messages.append((found["title"], found["message"]))
                self.send_response(inbox.status)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                return

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        # Its patience is that of a busy machine.
        place = f"127.0.0.1:{self.server.server_port}"
        self.address = f"json://hook:{SECRET}@{place}/{SECRET}?cto=300&rto=300"


@pytest.fixture
def inbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Inbox]:
    """Where messages of launches in the working directory go."""
    found = Inbox()
    thread = threading.Thread(target=found.server.serve_forever)
    thread.start()
    monkeypatch.setenv(MESSAGES, found.address)
    monkeypatch.delenv(SITE, raising=False)
    monkeypatch.chdir(tmp_path)
    yield found
    found.server.shutdown()
    found.server.server_close()
    thread.join()


@pytest.fixture
def searched(tmp_path: Path) -> Callable[..., int]:
    """Launches a search for the study that its space names."""

    def run(*arguments: str, **changes: Any) -> int:
        (tmp_path / "space.json").write_text(json.dumps({**FOUR, **changes}))
        return launch(["--space", "space.json", "--storage", "s.db", *arguments])

    return run


def looked(what: Callable[[Store], Any]) -> Any:
    with closing(open_store("s.db", look=True)) as store:
        return what(store)


def test_a_study_that_ends_is_told_once_with_its_verdict_and_where_to_look(
    inbox: Inbox, here: Here, searched: Callable[..., int]
) -> None:
    confirm = {"top": 1, "seeds": 2}
    assert searched(confirm=confirm) == 0
    ((title, text),) = inbox.messages
    assert title.startswith(f"study '{FOUR['study']}': ")
    sentence, look = text.splitlines()
    assert "On 2 fresh seeds trial " in sentence
    assert "The search had said " in sentence
    assert look.startswith("Look at it with: ")
    assert "serve --storage sqlite:///" in look
    assert searched(confirm=confirm) == 0
    assert len(inbox.messages) == 1


def test_a_search_without_fresh_seeds_says_that_its_best_is_partly_luck(
    inbox: Inbox, here: Here, searched: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SITE, "https://search.example.org/")
    searched()
    ((title, text),) = inbox.messages
    assert title.endswith(": not confirmed")
    assert "partly luck" in text
    assert text.endswith("\nLook at it: https://search.example.org/study/1")


def test_more_to_say_is_said(inbox: Inbox, here: Here, searched: Callable[..., int]) -> None:
    searched()
    searched("--trials", "6")
    assert ["the best of 4 complete" in text for _, text in inbox.messages] == [True, False]


def test_what_a_killed_launch_did_not_tell_the_next_one_tells(
    inbox: Inbox, here: Here, searched: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(_self: Any, *_sentences: str) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(messages.Messages, "ended", killed)
        with pytest.raises(Killed):
            searched()
    assert inbox.messages == []
    searched()
    searched()
    assert len(inbox.messages) == 1


def test_a_message_that_cannot_be_sent_is_a_warning_and_sent_by_the_next_launch(
    inbox: Inbox,
    here: Here,
    searched: Callable[..., int],
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    inbox.status = 500
    assert searched() == 0
    assert "1 of 1 message could not be sent (JSON)" in caplog.text
    assert looked(lambda store: [each.told for each in store.launches()]) == [None]
    inbox.status = 200
    assert searched() == 0
    assert len(inbox.messages) == 1
    assert SECRET not in caplog.text + "".join(capsys.readouterr())


def test_a_launch_that_fails_says_why(
    inbox: Inbox, here: Here, searched: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.launch.plan._probe", lambda plan, path: None)
    never = {"parameters": {"nan_at": {"type": "int", "low": -9, "high": -1}}}
    with pytest.raises(UserError):
        searched(**never, limits={"failures_in_a_row": 2})
    assert [title for title, _ in inbox.messages] == [f"study '{FOUR['study']}': failed"]
    assert "The launch failed: study 'closed': 2 trials in a row failed" in inbox.messages[0][1]


def test_of_an_error_of_ours_nothing_but_its_name_is_sent(
    inbox: Inbox, here: Here, searched: Callable[..., int]
) -> None:
    def broken() -> None:
        raise ZeroDivisionError("what only we should read")

    here.at[2] = broken
    with pytest.raises(ZeroDivisionError):
        searched()
    ((title, text),) = inbox.messages
    assert title.endswith(": failed")
    assert text.startswith("The launch failed with an error, ZeroDivisionError.\n")
    assert "only we" not in text


def test_of_an_end_that_a_person_made_nobody_is_told(
    inbox: Inbox, here: Here, searched: Callable[..., int]
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    here.at[2] = interrupted
    with pytest.raises(KeyboardInterrupt):
        searched()
    assert inbox.messages == []


def test_a_benchmark_is_told_once_to_those_whom_a_file_names(
    inbox: Inbox, here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "addresses").write_text(f"# the team\n{inbox.address}\n")
    monkeypatch.setenv(MESSAGES, "addresses")
    (tmp_path / "pair.yaml").write_text(CONFIGS)
    arguments = ["--config", "pair.yaml", "--seeds", "2", "--storage", "s.db"]
    for _ in range(2):
        assert benchmark(arguments) == 0
    ((title, text),) = inbox.messages
    assert title == "benchmark 'pair': none beats the reference"
    assert "seeds of the test split" in text
    assert benchmark([*arguments, "--table-only"]) == 0
    assert len(inbox.messages) == 1


def test_no_credential_is_in_the_store_in_logs_or_in_what_commands_print(
    inbox: Inbox,
    here: Here,
    searched: Callable[..., int],
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with caplog.at_level(logging.DEBUG):
        searched()
        inbox.status = 500
        searched("--trials", "6", "--verbose")
        storage(["show", FOUR["study"], "--storage", "s.db"])
        storage(["list", "--storage", "s.db"])
    assert len(inbox.messages) == 1

    def rows(store: Store) -> str:
        with store.engine.connect() as connection:
            tables = sa.MetaData()
            tables.reflect(connection)
            found = [connection.execute(sa.select(each)).all() for each in tables.sorted_tables]
        return repr(found)

    stored = looked(rows)
    assert "partly luck" in stored  # What was told is there.
    assert SECRET not in stored + caplog.text + "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (f"/no/{SECRET}", "there is no file of this name"),
        (f"json://127.0.0.1 qwerty://{SECRET}", "address 2, which begins with 'qwerty'"),
        ("empty", "the file has no address"),
    ],
)
def test_whom_nobody_can_send_to_is_refused_before_anything_is_trained(
    inbox: Inbox,
    here: Here,
    searched: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    named: str,
    said: str,
) -> None:
    (tmp_path / "empty").write_text("# nobody\n")
    monkeypatch.setenv(MESSAGES, named)
    with pytest.raises(UsageError, match=said) as caught:
        searched()
    assert SECRET not in str(caught.value)
    assert not (tmp_path / "s.db").exists()


def test_without_its_library_one_sentence_says_so(
    inbox: Inbox, here: Here, searched: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(UsageError, match=r"pip install 'digit-pair-search\[messages\]'$"):
        searched()
