"""The generated document of what the benchmarks found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from space.errors import UsageError
from tests.benchmarks.performance import DOCS, main
from tests.benchmarks.results import Table, publish, read_result, where, without_avx512


def publish_one(file: Path | None) -> None:
    publish(
        title="Speed of a | b",
        module="tests.benchmarks.one",
        argv=["--runs", "1", "2"],
        tables=[Table(title="Ways", columns=["way", "n", "ms"], rows=[["x_y", 12345, 0.012345]])],
        notes=["Medians."],
        json_file=file,
    )


def test_a_result_is_printed_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "made" / "one.json"
    publish_one(file)
    out = capsys.readouterr().out
    assert "Ways\nway       n      ms\nx_y  12,345  0.0123\n" in out
    assert "torch 2." in out
    result = read_result(file)
    assert result.command == "python -m tests.benchmarks.one --runs 1 2"
    assert result.tables[0].rows == [["x_y", 12345, 0.012345]]


def test_the_document_shows_every_result(tmp_path: Path) -> None:
    publish_one(tmp_path / "results" / "one.json")
    publish_one(tmp_path / "results" / "two.json")
    output = tmp_path / "performance.md"
    assert main(["--results", str(tmp_path / "results"), "--output", str(output)]) == 0
    text = output.read_text()
    assert text.count("\n## Speed of a \\| b\n") == 2
    assert text.count("\n| x\\_y | 12,345 | 0.0123 |\n") == 2
    assert text.index("`one.json`") < text.index("`two.json`")


def test_one_of_a_thing_is_said_as_one(tmp_path: Path) -> None:
    publish_one(tmp_path / "one.json")
    result = read_result(tmp_path / "one.json")
    machine = result.machine.model_copy(update={"cpus": 1, "torch_threads": 1})
    assert ", 1 CPU (1 thread), " in where(result.model_copy(update={"machine": machine}))


def test_a_cpu_without_avx512_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for capability, said in (("AVX512", ""), ("AVX2", ", on a CPU without AVX-512")):
        monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda found=capability: found)
        assert without_avx512() == said


def test_the_kept_results_have_different_titles() -> None:
    titles = [read_result(file).title for file in (DOCS / "performance").glob("*.json")]
    assert titles
    assert len(set(titles)) == len(titles)


def test_a_mistake_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no JSON file is there"):
        main(["--results", str(tmp_path), "--output", str(tmp_path / "p.md")])
    publish_one(tmp_path / "one.json")
    with pytest.raises(UsageError, match=r"--output .*name another file"):
        main(["--results", str(tmp_path), "--output", str(tmp_path)])
    with pytest.raises(UsageError, match=r"--json .*name another file"):
        publish_one(tmp_path)
    kept = json.loads((tmp_path / "one.json").read_text())
    kept["tables"][0]["rows"][0].append(1)
    (tmp_path / "one.json").write_text(json.dumps(kept))
    with pytest.raises(UsageError, match=r"one\.json: tables\.0: .*more or fewer cells"):
        main(["--results", str(tmp_path), "--output", str(tmp_path / "p.md")])


def test_the_committed_document_is_what_the_command_makes_of_the_committed_results(
    tmp_path: Path,
) -> None:
    committed = DOCS / "performance.md"
    if not list((DOCS / "performance").glob("*.json")):
        assert not committed.exists()
        return
    output = tmp_path / "performance.md"
    assert main(["--output", str(output)]) == 0
    assert output.read_text() == committed.read_text()
