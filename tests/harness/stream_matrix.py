"""Runs every command under every stream and encoding, each in a child of one process.

``python -m tests.harness.stream_matrix DIRECTORY`` prints a JSON object: what each command wrote to
stdout and stderr, and its exit status, under each of `STREAMS`.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import io
import json
import os
import pty
import select
import shutil
import struct
import sys
import termios
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.one_cache import share_statements

STREAMS = (
    ("80", "utf-8"),
    ("160", "latin-1"),
    ("pipe", "ascii"),
    ("pipe", "utf-8"),
    ("closed", "ascii"),
    ("broken", "utf-8"),
)
"""A terminal of so many columns; a pipe; stdout closed before the start; a reader that is gone."""

ESCAPED = "red\x1b[31m \u202eright\nnewline é中 " + "longname" * 40
"""What a study of another tool may be called."""
SPACE = {
    "study": "closed",
    "trainable": "closed-form",
    "training": {"epochs": 3},
    "parameters": {
        "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-2, "log": True},
        "weight_decay": {"type": "float", "low": 1e-4, "high": 1e-2, "log": True},
    },
    "baselines": [{"learning_rate": 1e-3, "weight_decay": 1e-3}],
    "sampler": {"name": "random", "seed": 1},
    "budget": {"trials": 4},
}
CONFIG = {
    "name": "f",
    "configs": [
        {"name": "a é", "model": {"name": "mlp", "width": 8}, "data": {"source": "digits"}},
        {"name": "=b", "model": {"name": "mlp", "width": 9}, "data": {"source": "digits"}},
    ],
}


def prepare(directory: Path) -> None:
    """Make the store and the files that the commands read."""
    import optuna

    from space import parse_space
    from storage import open_store
    from tests.dashboards.made.bulk_benchmark import add_benchmark
    from tests.dashboards.made.bulk_study import add_study
    from tests.search.made_curves import closed_form_curves

    store = open_store(str(directory / "s.db"))
    add_study(store, "made", 12, confirmed=True)
    add_study(store, "grid", grid=2)
    add_benchmark(store, models=("mlp", "convnet"), n_seeds=2)
    foreign = optuna.create_study(study_name=ESCAPED, storage=store.optuna_storage)
    for number in range(2):
        trial = foreign.ask()
        trial.suggest_float(f"rate {ESCAPED}", 0, 1)
        trial.suggest_categorical("kind", [f"={ESCAPED}", "b"])
        trial.set_user_attr("note", ESCAPED)
        foreign.tell(trial, float("inf") if number else 0.25)
    store.close()
    # Making a store takes long, and it is not the point here.
    empty = directory / "l.db"
    open_store(str(empty)).close()
    for name in ("b.db", "c.db"):
        shutil.copyfile(empty, directory / name)
    (directory / "space.yaml").write_text(json.dumps(SPACE), encoding="utf-8")
    (directory / "config.yaml").write_text(json.dumps(CONFIG), encoding="utf-8")
    curves = closed_form_curves(parse_space(SPACE, "space"))
    (directory / "recorded.json").write_text(curves.to_text(), encoding="utf-8")


def commands() -> dict[str, tuple[Callable[[list[str]], int], list[str]]]:
    """Every command with arguments under which it has something to say."""
    import dashboards.publish
    import dashboards.report
    import dashboards.serve
    import search.benchmark.__main__
    import search.export.__main__
    import search.grid_report
    import search.launch.__main__
    import search.reproduction.__main__
    import search.simulate.__main__
    import search.workers.workplace
    import space.__main__
    import storage.__main__
    import trainables.__main__

    of_store = storage.__main__.main
    launch = ["--space", "space.yaml", "--storage", "l.db"]
    return {
        "launch": (search.launch.__main__.main, launch),
        "launch again": (search.launch.__main__.main, [*launch, "--format", "json"]),
        "export": (search.export.__main__.main, ["--study", "made", "--output", "é.yaml"]),
        "export json": (
            search.export.__main__.main,
            ["--study", "made", "--output", "é.yaml", "--format", "json"],
        ),
        "benchmark": (
            search.benchmark.__main__.main,
            ["--config", "config.yaml", "--storage", "b.db"],
        ),
        "benchmark csv": (
            search.benchmark.__main__.main,
            ["--config", "config.yaml", "--storage", "b.db", "--format", "csv", "--table-only"],
        ),
        "benchmark json": (
            search.benchmark.__main__.main,
            ["--config", "config.yaml", "--storage", "b.db", "--format", "json", "--table-only"],
        ),
        "reproduction": (
            search.reproduction.__main__.main,
            ["--storage", "s.db", "--output", "é.md"],
        ),
        "simulate": (
            search.simulate.__main__.main,
            [
                "--curves",
                "recorded.json",
                "--sampler",
                "random",
                "--sampler",
                "qmc",
                "--seeds",
                "2",
            ],
        ),
        "grid_report": (search.grid_report.main, ["--study", "grid"]),
        "list": (of_store, ["list"]),
        "list json": (of_store, ["list", "--format", "json"]),
        "show": (of_store, ["show", "made"]),
        "show foreign": (of_store, ["show", ESCAPED]),
        "show foreign json": (of_store, ["show", ESCAPED, "--format", "json"]),
        "show benchmark": (of_store, ["show", "made-table"]),
        "check": (of_store, ["check"]),
        "copy": (of_store, ["copy", "--from", "s.db", "--to", "c.db"]),
        "upgrade": (of_store, ["upgrade"]),
        "remove": (of_store, ["remove", ESCAPED, "--yes"]),
        "refused": (of_store, ["show", f"nothing {ESCAPED}"]),
        "space check": (space.__main__.main, ["check", "space.yaml", "config.yaml"]),
        "space schema": (space.__main__.main, ["schema"]),
        "trainables": (trainables.__main__.main, ["--width", "2"]),
        "serve": (dashboards.serve.main, ["--port", "0"]),
        "report": (dashboards.report.main, ["--study", "made", "--output", "é.html"]),
        "publish": (dashboards.publish.main, ["--study", "made"]),
    }


def stand_in() -> None:
    """Let nothing start Ray, draw figures or serve: what is printed is the point here."""

    import dashboards.publish
    import dashboards.report
    import dashboards.serve
    import search.benchmark.run
    import search.launch.ahead
    import search.launch.study
    import search.reproduction.document
    import search.workers.workplace
    import trainables.__main__
    from search.benchmark.configs import benchmark_configs, load_named, settle_source
    from search.workers.ray_session import Slots
    from tests.dashboards.made.reported_benchmark import add_result
    from tests.search.conftest import work

    slots = Slots(cpus=1, gpus=0, nodes=1, concurrency=1, gpus_per_trial=0)

    @contextmanager
    def no_ray(_address: str | None, **_options: Any) -> Iterator[Path]:
        yield Path.cwd()

    class Places:
        def __init__(self, place: Any) -> None:
            self.place = place

    def run_tune(ledger: Any, place: Any, *_more: Any) -> str:
        work(ledger, Places(place))  # type: ignore[arg-type]
        return "done"

    def train_queue(
        store: Any, queue: Any, where: Any, *, progress: Any, launch_id: int, **_more: Any
    ) -> str:
        progress.announce(slots)
        named, _ = settle_source(load_named([Path("config.yaml")], []))
        for place, config in enumerate(benchmark_configs(named, range(10))):
            for number in range(10):
                error = 0.2 + 0.01 * (number % 3) + 0.05 * place
                add_result(
                    store, launch_id, config, number, error, fingerprint=where.data.fingerprint
                )
        for place, queued in enumerate(queue):
            progress.on_epoch()
            progress.on_end(queued, f"fails {ESCAPED}" if place == 3 else None)
        return "done"

    class Server:
        def run(self, *_listeners: Any) -> None:
            return

    done = dashboards.publish.Published(
        study=ESCAPED, storage="s.db", figures={"é": 1}, left_out=(), note_pieces=1
    )
    rows = trainables.__main__.model_rows(2)  # Once: it builds every network.
    document = search.reproduction.document.Document(text="±é\n", figures={})
    for module, name, value in (
        (search.launch.ahead, "ray_session", no_ray),
        (search.workers.workplace, "ray_session", no_ray),
        (search.launch.study, "run_tune", run_tune),
        (search.workers.workplace, "slots_for", lambda *_: slots),
        (search.launch.study, "group_size_of_study", lambda *_, **__: 1),
        (search.benchmark.run, "train_queue", train_queue),
        (trainables.__main__, "model_rows", lambda _width: rows),
        (dashboards.publish, "publish", lambda *_: done),
        (dashboards.report, "report", lambda *_: "<p>±é</p>\n"),
        (dashboards.serve, "make_server", lambda *_: Server()),
        (search.reproduction.document, "reproduction", lambda *_: document),
    ):
        setattr(module, name, value)


def ended(main: Callable[[list[str]], int], arguments: list[str]) -> object:
    """Run a command; its exit status, or the traceback of what it raised."""
    from space.terminal.command import run_command

    sys.argv = ["x", *arguments]
    try:
        run_command(main)
    except SystemExit as error:
        return error.code
    except Exception:  # noqa: BLE001 - it is what a test looks at
        return traceback.format_exc()
    return "no exit"


def warm_up(directory: Path) -> None:
    """Run every command once, for nobody: children find loaded and compiled what they need."""
    os.chdir(directory)
    os.environ["SEARCH_STORAGE"] = "s.db"
    share_statements()
    nobody = io.StringIO()
    with contextlib.redirect_stdout(nobody), contextlib.redirect_stderr(nobody):
        for main, arguments in commands().values():
            ended(main, arguments)


def run_all(directory: Path) -> None:
    """Run every command in this process, whose streams are made; say how each ended."""
    os.chdir(directory)
    for name, (main, arguments) in commands().items():
        for number in (1, 2):
            with contextlib.suppress(OSError):
                os.write(number, f"\x1d{name}\x1d".encode())
        status = ended(main, arguments)
        with contextlib.suppress(Exception):
            sys.stdout.flush()
        with (directory / "statuses").open("a", encoding="utf-8") as file:
            file.write(json.dumps([name, status]) + "\n")


def child(stream: str, encoding: str, directory: Path, ends: tuple[int, int]) -> None:
    """Give this process its streams, as an interpreter would at its start, and run all."""
    for number, end in zip((1, 2), ends, strict=True):
        os.dup2(end, number)
        os.close(end)
    os.environ["TERM"] = "xterm"
    sys.stderr = io.TextIOWrapper(
        os.fdopen(2, "wb", closefd=False), encoding=encoding, errors="backslashreplace"
    )
    sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", closefd=False), encoding=encoding)
    if stream == "closed":
        os.close(1)
        sys.stdout = None  # type: ignore[assignment]
    run_all(directory)


def collect(stream: str, encoding: str, directory: Path) -> dict[str, Any]:
    """Fork a child under a stream and read all that it writes."""
    made = []
    for number in (1, 2):
        if stream.isdigit():
            mine, its = pty.openpty()
            size = struct.pack("HHHH", 40, int(stream), 0, 0)
            fcntl.ioctl(its, termios.TIOCSWINSZ, size)
            mode = termios.tcgetattr(its)
            mode[1] &= ~termios.OPOST  # Line breaks come as they are written.
            termios.tcsetattr(its, termios.TCSANOW, mode)
        else:
            mine, its = os.pipe()
            if stream == "broken" and number == 1:
                os.close(mine)
                mine = os.open(os.devnull, os.O_RDONLY)
        made.append((mine, its))
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            for mine, _ in made:
                os.close(mine)
            child(stream, encoding, directory, (made[0][1], made[1][1]))
            status = 0
        except BaseException:  # noqa: BLE001 - a child must not go on as its parent
            (directory / "crash").write_text(traceback.format_exc(), encoding="utf-8")
        finally:
            os._exit(status)
    for _, its in made:
        os.close(its)
    texts = {made[0][0]: b"", made[1][0]: b""}
    open_ends = set(texts)
    while open_ends:
        for end in select.select(list(open_ends), [], [])[0]:
            try:
                data = os.read(end, 2**16)
            except OSError:  # A terminal whose other side is closed.
                data = b""
            texts[end] += data
            if not data:
                open_ends.discard(end)
                os.close(end)
    os.waitpid(pid, 0)
    crash = directory / "crash"
    if crash.exists():
        raise RuntimeError(crash.read_text(encoding="utf-8"))
    lines = (directory / "statuses").read_text(encoding="utf-8").splitlines()
    statuses = dict(json.loads(line) for line in lines)
    out, err = (dict(parts(text)) for text in texts.values())
    return {
        name: {
            "status": status,
            "out": base64.b64encode(out.get(name, b"")).decode(),
            "err": base64.b64encode(err.get(name, b"")).decode(),
        }
        for name, status in statuses.items()
    }


def parts(text: bytes) -> Iterator[tuple[str, bytes]]:
    """What stands between the marks of `run_all`."""
    pieces = text.split(b"\x1d")
    for name, piece in zip(pieces[1::2], pieces[2::2], strict=True):
        yield name.decode(), piece


def main(directory: Path) -> None:
    """Print what came of everything."""
    origin = directory / "origin"
    origin.mkdir()
    prepare(origin)
    stand_in()
    warm_up(Path(shutil.copytree(origin, directory / "warm")))
    found: dict[str, dict[str, Any]] = {}
    for stream, encoding in STREAMS:
        place = directory / "work"
        shutil.copytree(origin, place)
        found[f"{stream} {encoding}"] = collect(stream, encoding, place)
        shutil.rmtree(place)
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
