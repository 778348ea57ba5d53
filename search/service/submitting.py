"""What an agent needs to run a command elsewhere: its files, its arguments, its name."""

from __future__ import annotations

import getpass
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from space.errors import UsageError
from space.files.shipped import located
from space.study.callbacks import OwnCallback
from storage.commands.kit import default_storage
from storage.tables.service import NewSubmission, asker
from trainables.finding.find import trainable_of

__all__ = ["new_benchmark", "new_launch", "queue_command", "this_user"]


def this_user() -> str:
    """Who runs this command, as the system says; see `asker`."""
    try:
        return asker("user", getpass.getuser())
    except (KeyError, OSError):
        return asker("user", "unknown")


def queue_command(
    space: str | None,
    configs: Sequence[str],
    arguments: Sequence[str],
    *,
    storage: str | None,
    priority: int,
    cpus: int,
    gpus: int,
) -> tuple[int, NewSubmission]:
    """Put a launch or a benchmark into the queue, as the user of this process.

    Args:
        space: The search-space file of a launch; None: it is a benchmark.
        configs: The config files of a benchmark.
        arguments: Other options of the command.
        storage: As ``--storage``.
        priority: See `NewSubmission`.
        cpus: Likewise.
        gpus: Likewise.

    Returns:
        Its number, and what was submitted.

    Raises:
        UserError: What the user can mend.
    """
    # SQLAlchemy takes its time, which no command's help waits for.
    from storage.store import open_store
    from storage.submissions import submit

    asked = {
        "submitted_by": this_user(),
        "priority": priority,
        "cpus": float(cpus),
        "gpus": float(gpus),
    }
    if space is None:
        submission = new_benchmark(configs, arguments, **asked)
    else:
        submission = new_launch(space, arguments, **asked)
    with closing(open_store(default_storage(storage))) as store:
        return submit(store, submission), submission


def new_launch(space: str, arguments: Sequence[str], **settings: Any) -> NewSubmission:
    """A launch to be submitted.

    Args:
        space: The search-space file, or the name of a shipped one.
        arguments: Other options of `search.launch`.
        settings: `NewSubmission`'s ``submitted_by``, ``priority``, ``cpus`` and ``gpus``.

    Raises:
        UserError: If the file or an option is wrong.
    """
    from search.launch.__main__ import main
    from search.launch.request import read_request

    forms = read_request(main.options(["--space", space, *arguments])).forms()
    files = _texts([space])
    for form in forms:
        files |= _own([form.config], form.callbacks)
    (name,) = _names([space])
    return NewSubmission(
        name=forms[0].study,
        command="launch",
        files=files,
        arguments=["--space", name, *arguments],
        **settings,
    )


def new_benchmark(
    configs: Sequence[str], arguments: Sequence[str], **settings: Any
) -> NewSubmission:
    """A benchmark to be submitted.

    Args:
        configs: The config files, or the names of shipped ones.
        arguments: Other options of `search.benchmark`.
        settings: As for `new_launch`.

    Raises:
        UserError: If a file or an option is wrong.
    """
    from search.benchmark.__main__ import main
    from search.benchmark.configs import load_named
    from search.benchmark.request import read_request

    options = main.options(["--config", *configs, *arguments])
    request = read_request(options)
    named = load_named(configs, request.changes)
    files = _texts(configs) | _own([each.config for each in named], ())
    return NewSubmission(
        name=request.name,
        command="benchmark",
        files=files,
        arguments=["--config", *_names(configs), *arguments],
        **settings,
    )


def _names(paths: Sequence[str]) -> list[str]:
    """What some files are called where an agent puts them, beside each other."""
    names = [located(path).name for path in paths]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"{twice[0]}: two files of this name; an agent puts them side by side.")
    return names


def _texts(paths: Sequence[str]) -> dict[str, str]:
    texts = (located(path).read_text(encoding="utf-8") for path in paths)
    return dict(zip(_names(paths), texts, strict=True))


def _own(configs: Iterable[Any], callbacks: Iterable[Any]) -> dict[str, str]:
    """The texts of a user's own trainables and callbacks: path from the working directory -> text.

    Raises:
        UsageError: If one does not lie below the working directory.
    """
    found: dict[str, str] = {}
    for config in configs:
        own = trainable_of(config).own
        if own is not None:
            folder = _below(own.name.partition(":")[0]).parent
            found |= {(folder / path).as_posix(): text for path, text in own.files.items()}
    for callback in callbacks:
        if isinstance(callback, OwnCallback):
            path = _below(callback.file.partition(":")[0])
            found[path.as_posix()] = path.read_text(encoding="utf-8")
    return found


def _below(where: str) -> Path:
    path = Path(where)
    if path.is_absolute() or ".." in path.parts:
        raise UsageError(
            f"{where}: an agent is sent what lies below the working directory; run the command in "
            "a directory above it, and have the file name it from there."
        )
    return path
