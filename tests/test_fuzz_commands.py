"""Whatever is typed, a command does its work or refuses it in one sentence with exit status 2."""

from __future__ import annotations

import contextlib
import io
import json
import socket
import sys
from collections.abc import Callable
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import dashboards.publish
import dashboards.report
import dashboards.serve
import search.benchmark.__main__
import search.export.__main__
import search.grid_report
import search.launch.__main__
import search.launch.ahead
import search.launch.run
import search.launch.study
import search.workers.workplace
import storage.__main__
from search.workers.ray_session import require_address
from space.errors import ClusterError, StorageError
from space.terminal.command import run_command
from storage import open_store
from storage.connect import outage
from storage.connect.engine import parse_url
from tests.dashboards.made.bulk_benchmark import add_benchmark
from tests.dashboards.made.bulk_study import add_study
from trainables.shipped.digit_pairs.data import sources
from trainables.shipped.digit_pairs.data.download import DownloadError

from .harness.fuzzing import examples

ROOT = Path(__file__).resolve().parents[1]
SECRET = "hunter2hunter2"

# A command line holds no NUL; bytes that are no UTF-8 reach Python as lone surrogates.
text = st.text(st.characters(exclude_characters="\0"), max_size=20)
odd = st.sampled_from(
    [
        *(
            "",
            " ",
            "-",
            "--",
            ".",
            "..",
            "/",
            "../../x",
            "~",
            "~nobody/x",
            "%",
            "$(id)",
            "{}",
            "[]",
        ),
        *("\n", "a\nb", "\x1b[31mred", "\ud800", "\udcff", "é" * 300, "x" * 5000, "NaN", "-1"),
        *("0", "1", "1e400", "9" * 5000, "٣", "１", "made", "Made", "made ", "'; DROP TABLE t"),
    ]
)
words = odd | text
names = st.sampled_from(["made", "tiny", "grid"]) | words
numbers = st.integers(-2, 2**70).map(str) | words
durations = st.from_regex(r"([0-9.e+]{1,4} ?[dhms]?){1,3}", fullmatch=True) | words
keys = st.sampled_from(
    [
        *("training.epochs", "data.root", "data.source", "study", "model.name", "model.width"),
        *("sampler.name", "resources.gpus", "budget", "parameters.learning_rate.low", "pruner"),
    ]
)
settings_ = st.tuples(keys | words, numbers | words).map("=".join) | words
queries = st.sampled_from(
    [
        *(
            "",
            "?",
            "?timeout=x",
            "?uri=true",
            "?mode=ro&uri=true",
            "?isolation_level=X",
            "?a=b=c&&",
        ),
        *(
            "?check_same_thread=0",
            "?connect_timeout=x",
            "?sslmode=odd",
            "?options=-c%20x",
            "?%00=1",
        ),
    ]
)
schemes = st.sampled_from(
    [
        *(
            "sqlite",
            "sqlite+pysqlite",
            "sqlite+aiosqlite",
            "sqlite+",
            "SQLITE",
            "mysql",
            "http",
            "",
        ),
        *("postgresql", "postgresql+psycopg", "postgresql+pg8000", "postgresql+odd"),
    ]
)
hosts = st.sampled_from(["127.0.0.1:1", "127.0.0.1:x", "127.0.0.1:99999", "[::1]:1", "[::1", ""])
urls = (
    st.tuples(schemes, st.just("://u:" + SECRET + "@"), hosts, st.just("/") | words, queries)
    | st.tuples(schemes, st.sampled_from([":///", "://", ":/", ":"]), words, queries)
).map("".join) | words
addresses = st.sampled_from(["auto", "local", "ray://h:1", "h:0", "h:70000", ":1", "h:"]) | words
hosts_to_serve = st.sampled_from(["127.0.0.1", "localhost", "::1", "a" * 70 + ".b", ".."]) | words


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a store, a space file and a config file."""
    directory = tmp_path_factory.mktemp("fuzz")
    store = open_store(str(directory / "made.db"))
    add_study(store, "made", 12)
    add_study(store, "grid", grid=1)
    add_benchmark(store, models=("mlp",), n_seeds=2, n_done=1)
    store.close()
    space = {
        "study": "tiny",
        "model": {"name": "mlp", "width": 8},
        "data": {"source": "digits"},
        "training": {"epochs": 2},
        "parameters": {"learning_rate": {"type": "float", "low": 1e-4, "high": 1e-2, "log": True}},
        "budget": {"trials": 2},
    }
    (directory / "space.yaml").write_text(json.dumps(space))
    config = {"name": "a", "model": {"name": "mlp", "width": 8}, "data": {"source": "digits"}}
    (directory / "config.yaml").write_text(json.dumps({"name": "f", "configs": [config]}))
    return directory


@pytest.fixture(autouse=True)
def _nothing_leaves_this_process(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No Ray, no network, no server that stays, and a working directory of our own."""
    monkeypatch.chdir(place)
    monkeypatch.delenv("SEARCH_DATA_ROOT", raising=False)
    monkeypatch.delenv("SEARCH_STORAGE", raising=False)
    monkeypatch.setattr(outage, "RESTART_SECONDS", 0.0)

    def no_ray(address: str | None, **_options: Any) -> NoReturn:
        if address is not None:
            require_address(address)
        raise ClusterError("there is no Ray here.")

    monkeypatch.setattr(search.workers.workplace, "ray_session", no_ray)
    monkeypatch.setattr(search.launch.ahead, "ray_session", no_ray)

    def no_download(root: Path, _timeout: float) -> None:
        raise DownloadError("no network")

    monkeypatch.setattr(sources, "download_mnist", no_download)

    class Server:
        def run(self, sockets: list[socket.socket]) -> None:
            for each in sockets:
                each.close()

    monkeypatch.setattr(dashboards.serve, "make_server", lambda *_: Server())
    look_up = socket.getaddrinfo

    def local_only(host: Any, *rest: Any, **more: Any) -> Any:
        if host not in ("127.0.0.1", "localhost", "::1", ""):
            host.encode("idna")
            raise socket.gaierror(-2, "Name or service not known")
        return look_up(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", local_only)


def options(**values: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    """Some of a command's options, each with a value of its own."""
    pairs = [
        value.map(lambda text, name=name: [f"--{name.replace('_', '-')}", text])
        for name, value in values.items()
    ]
    return st.lists(st.one_of(pairs), max_size=5).map(lambda found: [*chain(*found)])


def flags(*names: str) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(names), max_size=2)


def stays_here(arguments: list[str]) -> bool:
    """Whether no file outside the working directory is named: some commands make files."""
    here = Path.cwd()
    for option, value in pairwise(arguments):
        if option in ("--storage", "--to", "--from"):
            try:
                url = parse_url(value)
            except StorageError:
                continue
            if url.get_backend_name() == "sqlite" and not Path(str(url.database)).is_relative_to(
                here
            ):
                return False
        elif option in ("--output", "--checkpoints"):
            with contextlib.suppress(ValueError, RuntimeError):
                if not Path(value).expanduser().resolve().is_relative_to(here):
                    return False
    return True


def survives(main: Callable[[list[str]], int], arguments: list[str]) -> None:
    """Run a command as its process would, and look at what a user would see."""
    out, err = io.StringIO(), io.StringIO()
    before = sys.argv
    sys.argv = ["command", *arguments]
    try:
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as caught,
        ):
            run_command(main)
    finally:
        sys.argv = before
    status, said = caught.value.code, err.getvalue()
    assert status in (0, 1, 2), said
    assert SECRET not in said
    assert SECRET not in out.getvalue()
    assert "Traceback" not in said
    if status == 2:
        # Several mistakes are told a line each.
        lines = [each for each in said.split("\n") if each.startswith("error: ")]
        assert lines
        assert said.endswith("\n".join(lines) + "\n")
        assert all(line.isprintable() for line in lines), said


def survives_here(main: Callable[[list[str]], int], arguments: list[str]) -> None:
    """As `survives`, for arguments that hypothesis made up."""
    assume(stays_here(arguments))
    survives(main, arguments)


launch = options(
    study=names,
    storage=urls,
    trials=numbers,
    time_limit=durations,
    seed=numbers,
    set=settings_,
    concurrency=numbers,
    confirm=numbers,
    confirm_seeds=numbers,
    ray_address=addresses,
    checkpoints=words,
    format=words,
    space=words,
)


@given(arguments=launch, more=flags("-v", "--dry-run", "--help") | st.lists(words, max_size=2))
@examples(40)
def test_launch(place: Path, arguments: list[str], more: list[str]) -> None:
    assume("--dry-run" not in more)  # It measures, which takes its time.
    survives_here(search.launch.__main__.main, ["--space", "space.yaml", *arguments, *more])


@given(
    arguments=options(
        only=words,
        seeds=st.sampled_from(["1", "2"]) | words,
        reference=words,
        storage=urls,
        epochs=numbers,
        set=settings_,
        time_limit=durations,
        cpus=numbers,
        gpus=numbers,
        concurrency=numbers,
        ray_address=addresses,
        checkpoints=words,
        format=st.sampled_from(["text", "csv", "json", "latex", "markdown"]) | words,
    ),
    more=flags("--augment", "--table-only", "-v") | st.lists(words, max_size=2),
)
@examples(40)
def test_benchmark(place: Path, arguments: list[str], more: list[str]) -> None:
    arguments = ["--config", "config.yaml", *arguments, *more]
    # Very many seeds are legal, and take their time to be listed.
    assume(not any(len(each) > 3 and each.isdigit() for each in arguments))
    survives_here(search.benchmark.__main__.main, arguments)


STORED = st.just(["--storage", "made.db"])


@given(
    before=STORED | st.just([]),
    arguments=options(
        study=names,
        output=words,
        storage=urls,
        top=numbers,
        trial=numbers,
        format=words,
        parameter=words,
        reference=numbers,
        benchmark=names,
    ),
    more=flags("-v", "--help") | st.lists(words, max_size=2),
    which=st.sampled_from(["export", "grid_report", "report", "publish"]),
)
@examples(100)
def test_what_reads_a_study(
    place: Path, before: list[str], arguments: list[str], more: list[str], which: str
) -> None:
    commands: dict[str, tuple[Callable[[list[str]], int], list[str], set[str]]] = {
        "export": (
            search.export.__main__.main,
            ["--output", "o.yaml"],
            {"--parameter", "--benchmark"},
        ),
        "grid_report": (search.grid_report.main, [], {"--output", "--top", "--trial"}),
        "report": (dashboards.report.main, ["--output", "o.html"], {"--top", "--trial"}),
        "publish": (dashboards.publish.main, [], {"--output", "--top", "--trial"}),
    }
    main, own, foreign = commands[which]
    if foreign & set(arguments[::2]) and len(arguments) > 4:
        arguments = arguments[:4]
    survives_here(main, [*own, *before, *arguments, *more])


@given(
    command=st.sampled_from(["list", "show", "remove", "upgrade", "check", "copy"]) | words,
    before=STORED | st.just([]),
    arguments=options(
        storage=urls,
        format=words,
        study=names,
        kind=st.sampled_from(["study", "benchmark"]) | words,
        data=words,
        **{"from": urls | st.just("made.db"), "to": urls},
    ),
    more=st.lists(names, max_size=2) | flags("--benchmarks", "--help"),
)
@examples(120)
def test_storage(
    place: Path, command: str, before: list[str], arguments: list[str], more: list[str]
) -> None:
    survives_here(storage.__main__.main, [command, *before, *arguments, *more])


@given(
    arguments=options(storage=urls, host=hosts_to_serve, port=numbers, credentials=words),
    before=STORED | st.just([]),
)
@examples(60)
def test_serve(place: Path, before: list[str], arguments: list[str]) -> None:
    assume("0.0.0.0" not in arguments)
    survives_here(dashboards.serve.main, [*before, "--port", "0", *arguments])


@given(text=urls)
@examples(300)
def test_any_url(text: str) -> None:
    said = ""
    try:
        assert parse_url(text).get_backend_name() in ("sqlite", "postgresql")
    except StorageError as error:
        said = str(error)
    assert SECRET not in said
    assert said.isprintable()


@given(text=addresses)
@examples(300)
def test_any_ray_address(text: str) -> None:
    try:
        require_address(text)
    except ClusterError:
        return
    assert text == "auto" or text.rpartition(":")[2].isdigit()


@pytest.mark.parametrize("root", ["\\0", "\\ud800", "a\\nb"])
def test_a_data_root_that_no_file_system_takes(place: Path, root: str) -> None:
    survives(
        search.launch.__main__.main,
        ["--space", "space.yaml", "--set", "data.source=mnist", "--set", f'data.root="{root}"'],
    )
