"""What a site answers, Optuna Dashboard among it, and that looking at it writes nothing."""

from __future__ import annotations

import json
import sqlite3
import threading
from pathlib import Path
from urllib.parse import quote

import optuna
import pytest
from optuna.trial import TrialState

from dashboards.pages.guard import Guard
from dashboards.pages.site import LARGEST_REQUEST_BYTES, Site
from storage import Store
from storage.store import open_store
from tests.conftest import BACKENDS
from tests.dashboards.made.bulk_benchmark import add_benchmark
from tests.dashboards.made.bulk_rows import HOSTILE
from tests.dashboards.made.bulk_study import add_study
from tests.dashboards.pages.web import EVERYWHERE, request


@pytest.mark.parametrize("backend", BACKENDS)
def test_pages_of_what_a_store_holds(store: Store, open_site: Guard) -> None:
    study_id = add_study(store, "made", 12)
    record = add_benchmark(store, models=("mlp", "siamese"), n_seeds=3, n_done=2)
    overview = request(open_site, "/data/overview").json()
    assert f'href="/study/{study_id}"' in overview["summary"]
    assert f'href="/benchmark/{record.benchmark_id}"' in overview["summary"]
    assert "<h1>made</h1>" in request(open_site, f"/study/{study_id}").text
    found = request(open_site, f"/data/study/{study_id}").json()
    assert f"/study/{study_id}/trial/0" in found["details"]
    assert "python -m search.export --study made" in found["details"]
    assert len({panel["key"] for panel in found["panels"]}) == len(found["panels"]) > 3
    plots = [plot for panel in found["panels"] for plot in panel["figures"]]
    assert all("template" not in plot["layout"] for plot in plots)
    assert record.name in request(open_site, f"/benchmark/{record.benchmark_id}").text
    found = request(open_site, f"/data/benchmark/{record.benchmark_id}").json()
    assert "seeds 2" in found["summary"]
    assert "python -m search.benchmark --config made.yaml" in found["lead"]
    assert found["panels"]


def test_a_study_is_found_by_its_name_too(store: Store, open_site: Guard) -> None:
    for name in ("a/b c?d=é&x#y", "17", HOSTILE):
        study_id = optuna.create_study(study_name=name, storage=store.optuna_storage)._study_id
        moved = request(open_site, f"/study/{quote(name, safe='')}")
        assert (moved.status, moved.headers["Location"]) == (302, f"/study/{study_id}")
        assert request(open_site, f"/study/{study_id}").status == 200


def test_what_is_not_there(open_site: Guard) -> None:
    for name in ("study/none", "study/99", "benchmark/1", "data/study/9", "data/benchmark/9"):
        assert request(open_site, f"/{name}").status == 404
        assert request(open_site, f"/{name}{'9' * 5000}").status == 404
    for name in ("../serve.py", "%2e%2e/site.py", "page.html", "none.js"):
        found = request(open_site, f"/pages/{name}")
        assert found.status == 404
        assert b"import" not in found.body


def test_names_are_text(store: Store, open_site: Guard) -> None:
    study_id = add_study(store, n_trials=12, hostile=True)
    record = add_benchmark(store, hostile=True, models=("mlp", "convnet"), n_seeds=2)
    for address in ("overview", f"study/{study_id}", f"benchmark/{record.benchmark_id}"):
        found = request(open_site, f"/data/{address}").json()
        for part in ("summary", "details"):
            assert "<img src=x" not in found[part]
            assert "<b>bold" not in found[part]
        assert "&lt;img src=x" in found["summary"] + found["details"]
    assert "<img src=x" not in request(open_site, f"/study/{study_id}").text
    assert "49" not in request(open_site, f"/study/{study_id}").text.partition("<h1>")[2][:200]


@pytest.mark.parametrize("backend", BACKENDS)
def test_tables_of_all_trials_and_runs(store: Store, open_site: Guard) -> None:
    study_id = add_study(store, "made", 150)
    record = add_benchmark(store, models=("mlp", "siamese"), n_seeds=3, n_done=2)
    table = f"/study/{study_id}/trials"
    page = request(open_site, f"{table}?sort=-val_error&columns=trial&columns=val_error")
    assert page.status == 200
    assert "page 1 of 2" in page.text
    assert "form-action 'self'" in page.headers["Content-Security-Policy"]
    where = quote("state == 'complete' and val_error < 0.3")
    lines = request(open_site, f"{table}.csv?where={where}&sort=val_error&columns=val_error").text
    values = [float(line) for line in lines.splitlines()[1:]]
    study = optuna.load_study(study_name="made", storage=store.optuna_storage)
    complete = [t.value for t in study.get_trials(states=(TrialState.COMPLETE,))]
    assert values == sorted(value for value in complete if value < 0.3)
    runs = f"/benchmark/{record.benchmark_id}/runs"
    assert request(open_site, f"{runs}?group=config").text.count("compare config ") == 2
    # What stands for several trials or configs is not to be ticked.
    assert "compare trial " in page.text
    for grouped in (f"{table}?group=state", f"{runs}?group=seed", runs):
        assert "Compare the ticked" not in request(open_site, grouped).text
    assert request(open_site, f"{runs}.csv?where=seed==2").text.count("not begun") == 2
    # What cannot be read is said on the page, which can be mended there.
    for address in (table, runs):
        wrong = request(open_site, f"{address}?where=%3Cscript%3E")
        assert wrong.status == 400
        assert "The filter" in wrong.text
        assert "<script>" not in wrong.text.partition("<main")[2]
        assert request(open_site, f"{address}.csv?group=none").status == 400
    for missing in ("/study/99/trials", "/study/99/trials.csv", "/benchmark/99/runs"):
        assert request(open_site, missing).status == 404


def test_names_in_tables_are_text(store: Store, open_site: Guard) -> None:
    study_id = add_study(store, n_trials=12, hostile=True)
    record = add_benchmark(store, hostile=True, models=("mlp", "convnet"), n_seeds=2)
    columns = "&columns=trial&columns=reason&columns=worker"
    for address in (
        f"/study/{study_id}/trials?sort=trial",
        f"/study/{study_id}/trials?{columns}",
        f"/benchmark/{record.benchmark_id}/runs?group=config",
        f"/study/{study_id}/trials?where={quote(HOSTILE)}&group={quote(HOSTILE)}",
    ):
        text = request(open_site, address).text
        assert "<img src=x" not in text
        assert "&lt;img src=x" in text


def test_what_is_known_is_not_sent_again(store: Store, open_site: Guard) -> None:
    study_id = add_study(store, "made", 12)
    for address in (f"/data/study/{study_id}", "/data/overview", "/plotly.js", "/pages/page.js"):
        first = request(open_site, address, headers={"Accept-Encoding": "gzip"})
        tag = first.headers["ETag"]
        again = request(open_site, address, headers={"If-None-Match": tag})
        assert (again.status, again.body) == (304, b"")
        weak = request(open_site, address, headers={"If-None-Match": f'"x", W/{tag}'})
        assert weak.status == 304
        other = request(open_site, address, headers={"If-None-Match": '"other"'})
        assert other.status == 200
        assert other.text == first.text
    study = optuna.load_study(study_name="made", storage=store.optuna_storage)
    study.ask()
    address = f"/data/study/{study_id}"
    tag = request(open_site, address).headers["ETag"]
    study.tell(study.ask(), 0.001)
    changed = request(open_site, address, headers={"If-None-Match": tag})
    assert changed.status == 200
    assert "0.10 %" in changed.json()["summary"]


def test_only_reading(open_site: Guard) -> None:
    assert request(open_site, "/", method="POST").status == 405
    assert request(open_site, "/data/overview", method="DELETE").status == 404
    head = request(open_site, "/", method="HEAD")
    assert head.status == 200
    assert int(head.headers["Content-Length"]) == len(request(open_site, "/").body)


def test_no_request_is_larger_than_it_may_be(store: Store, open_site: Guard) -> None:
    for size, status in ((2**10, 201), (LARGEST_REQUEST_BYTES, 413)):
        asked = {"study_name": "made", "directions": ["minimize"], "more": "x" * size}
        sent = {"Content-Type": "application/json"}
        body = json.dumps(asked).encode()
        found = request(open_site, "/api/studies", method="POST", body=body, headers=sent)
        assert found.status == status
    assert len(store.optuna_storage.get_all_studies()) == 1


def test_an_empty_store_and_empty_studies_say_what_to_do(store: Store, open_site: Guard) -> None:
    text = request(open_site, "/data/overview").json()["summary"]
    assert "python -m search.launch" in text
    assert "python -m search.benchmark" in text
    study_id = optuna.create_study(storage=store.optuna_storage)._study_id
    found = request(open_site, f"/data/study/{study_id}").json()
    assert "no trials yet" in found["summary"]
    assert found["panels"] == []


def test_a_store_of_another_tool(tmp_path: Path) -> None:
    """Without our tables; a search may add them while the dashboard runs."""
    path = tmp_path / "optuna.db"
    study = optuna.create_study(storage=f"sqlite:///{path}", study_name="theirs")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1) ** 2, n_trials=5)
    store = open_store(str(path), create=False)
    site = Guard(Site(store), None)
    assert "theirs" in request(site, "/data/overview").json()["summary"]
    found = request(site, "/data/study/1").json()
    assert found["panels"]
    assert "No launch is recorded" in found["details"]
    ours = open_store(str(path))
    add_benchmark(ours, models=("mlp",), n_seeds=2)
    assert "made-table" in request(site, "/data/overview").json()["summary"]
    ours.close()
    store.close()


def test_a_store_that_fails_is_no_bug_and_no_leak(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "s.db"
    store = open_store(str(path))
    study_id = add_study(store, "made", 3)
    site = Guard(Site(store), None)
    store.close()
    for each in tmp_path.glob("s.db*"):
        each.write_bytes(b"no database any more" * 500)
    for address in ("/data/overview", f"/study/{study_id}", f"/data/study/{study_id}"):
        found = request(site, address)
        assert found.status == 503
        assert str(tmp_path) not in found.text
    assert str(path) in caplog.text
    store.close()


@pytest.mark.parametrize("backend", BACKENDS)
def test_optuna_dashboard_works_at_its_own_addresses(store: Store, open_site: Guard) -> None:
    study_id = add_study(store, "made", 12)
    assert "/static/bundle.js" in request(open_site, "/dashboard").text
    assert "/static/bundle.js" in request(open_site, f"/dashboard/studies/{study_id}/trials").text
    # Without an Accept-Encoding header, too.
    assert len(request(open_site, "/static/bundle.js").body) > 10**6
    listed = request(open_site, "/api/studies").json()["study_summaries"]
    assert [study["study_name"] for study in listed] == ["made"]
    detail = request(open_site, f"/api/studies/{study_id}").json()
    assert len(detail["trials"]) == 12
    note = json.dumps({"version": 1, "body": "# seen"}).encode()
    saved = request(
        open_site,
        f"/api/studies/{study_id}/note",
        method="PUT",
        headers={"Content-Type": "application/json", "Origin": "http://localhost:8080"},
        body=note,
    )
    assert saved.status == 204
    assert request(open_site, f"/api/studies/{study_id}").json()["note"]["body"] == "# seen"
    assert "Number,State" in request(open_site, f"/csv/{study_id}").text


def dump(path: Path) -> list[str]:
    """A database's whole content."""
    with sqlite3.connect(path) as connection:
        return list(connection.iterdump())


def test_looking_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    made = open_store(str(path))
    study_id = add_study(made, "made", 12, running=True)
    record = add_benchmark(made, models=("mlp", "convnet"), n_seeds=2)
    made.close()
    before = dump(path)
    store = open_store(str(path), create=False)
    site = Guard(Site(store), None)
    for address in (
        *EVERYWHERE,
        f"/data/study/{study_id}",
        f"/data/benchmark/{record.benchmark_id}",
        f"/api/studies/{study_id}",
        f"/api/studies/{study_id}/param_importances",
    ):
        assert request(site, address).status == 200
    store.close()
    assert dump(path) == before


def test_reading_while_a_search_writes(tmp_path: Path) -> None:
    writer = open_store(str(tmp_path / "s.db"))
    study = optuna.create_study(study_name="live", storage=writer.optuna_storage)
    store = open_store(str(tmp_path / "s.db"), create=False)
    site = Guard(Site(store), None)
    statuses: list[int] = []

    def look() -> None:
        for _ in range(15):
            statuses.append(request(site, f"/data/study/{study._study_id}").status)
            statuses.append(request(site, "/data/overview").status)

    readers = [threading.Thread(target=look) for _ in range(2)]
    for reader in readers:
        reader.start()
    for _ in range(20):
        trial = study.ask()
        trial.suggest_float("x", 0, 1)
        trial.report(0.5, 1)
        study.tell(trial, 0.5)
    for reader in readers:
        reader.join()
    assert set(statuses) == {200}
    counts = request(site, f"/data/study/{study._study_id}").json()["summary"]
    assert "20 complete" in counts
    writer.close()
    store.close()
