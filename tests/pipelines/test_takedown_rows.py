"""Laws of taking down rows of typed tables, and texts that stand in them: as of documents, nothing is left anywhere."""

from __future__ import annotations

import csv
import gzip
import io
import json
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipelines import takedown
from pipelines.intake import Ingested, ingest, retry
from warehouse.answers import proof
from warehouse.answers import takedown as answers
from warehouse.cli.takedown import models as models_of
from warehouse.curation import SCORE_MODELS, SCORES
from warehouse.errors import InputError, IntegrityError
from warehouse.kernels.prints import known, prints
from warehouse.kernels.texts import texts
from warehouse.project import Project, load, prepare
from warehouse.query import attach_repository, connect, fetch_all
from warehouse.repository import Repository
from warehouse.sources import load_source

LETTER = "Nobody outside this house may ever read what the old captain wrote in his second letter home."
OTHER = "A quite different report of some weather that everyone is welcome to read aloud as often as they like."
THIRD = "The third text says nothing that the two before have said, and it stays wherever it happens to stand."
SHORT = "Sold out."
RECIPES = {
    "pages": "uri: data/pages*.jsonl\nfields: {uri: uri}\nmax_reject_share: 0.9\n",
    "reviews": "reader: csv\nuri: data/reviews*.csv\ntable: reviews\nlicence: LicenseRef-shop\nmax_reject_share: 0.9\n",
    "web": "uri: data/web*.jsonl\ntable: clicks\nmax_reject_share: 0.9\n",
    "stock": (
        "reader: csv\nuri: data/stock_*.csv\ntable: stock\nmode: snapshot\nkeys: [item]\n"
        "known_at: {path: 'stock_(?P<date>\\d{4}-\\d{2})', format: '%Y-%m'}\nmax_reject_share: 0.9\n"
    ),
}


def rows_of(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    made = io.StringIO()
    csv.writer(made).writerows([header, *rows])
    return made.getvalue()


def lines(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def make(folder: Path) -> Project:
    for name in ("recipes/sources", "data"):
        (folder / name).mkdir(parents=True)
    (folder / "warehouse.toml").write_text('name = "rows"\n')
    for name, recipe in RECIPES.items():
        (folder / f"recipes/sources/{name}.yaml").write_text(recipe)
    pages = lines(
        {"uri": "https://a.example.org/1", "text": LETTER},
        {"uri": "https://b.example.org/2", "text": OTHER},
        {"uri": "https://c.example.org/3", "text": SHORT},
    )
    (folder / "data/pages.jsonl").write_text(pages)
    reviews = [["1", OTHER], ["2", f"He said: {LETTER}"], ["3", SHORT]]
    (folder / "data/reviews.csv").write_text(rows_of(["stars", "review"], reviews))
    more = [["4", THIRD], ["5", OTHER]]
    (folder / "data/reviews_more.csv").write_text(rows_of(["stars", "review"], more))
    clicks = lines({"n": 1, "page": {"text": LETTER}}, {"n": 2, "page": {"text": THIRD}})
    (folder / "data/web.jsonl").write_text(clicks)
    for month, count in (("2024-01", "5"), ("2024-02", "6")):
        stock = [["nails", count, "x"], ["screws", count, LETTER if month == "2024-01" else "y"]]
        (folder / f"data/stock_{month}.csv").write_text(rows_of(["item", "count", "note"], stock))
    project = load(folder)
    prepare(project)
    for name in RECIPES:
        run(project, name)
    return project


def run(project: Project, name: str, **options: Any) -> Ingested:
    source = load_source(project.folder / f"recipes/sources/{name}.yaml")
    return ingest(project, source, run_id="r", known_at=datetime(2026, 1, 5, tzinfo=UTC), **options)


@pytest.fixture(scope="module")
def pristine(memory_folder: Path) -> Path:
    return make(memory_folder / "rows").folder


@pytest.fixture
def project(pristine: Path, tmp_path: Path) -> Project:
    return load(Path(shutil.copytree(pristine, tmp_path / "copy")))


def take_down(project: Project, asked: str, value: str, short: answers.Short = "keep") -> takedown.Plan:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    done = takedown.remove(project, asked, value, "asked", run_id="t", now=now, short=short)
    return takedown.prove(project, done.plan.id, run_id="t")


def query(project: Project, sql: str) -> list[tuple[Any, ...]]:
    repository = Repository(project.root)
    with connect() as con:
        attach_repository(con, [repository.snapshot(name) for name in repository.tables()])
        return fetch_all(con, sql)


def where(project: Project, text: str) -> set[str]:
    """The files that hold a text, by their first two folders."""
    marks = known(prints(texts(pa.array([text]))), frozenset())
    return {"/".join(Path(each.path).relative_to(project.root).parts[:2]) for each in proof.left(project, marks)}


def reasons(project: Project) -> dict[str, int]:
    return dict(query(project, "SELECT reason, count(*) FROM repository.rejects GROUP BY ALL"))


def test_a_text_goes_out_of_the_cells_of_every_table_and_of_their_objects(project: Project) -> None:
    found = takedown.reached(project, "uri", "https://a.example.org/1", short="keep")
    assert {(each.table, each.why, each.rows) for each in found.rows} == {
        ("reviews", "text", 1),
        ("clicks", "text", 1),
        ("stock", "text", 1),
    }
    assert {path.split("/")[0] for path in where(project, LETTER)} == {"archive", "repository"}
    plan = take_down(project, "uri", "https://a.example.org/1")
    assert where(project, LETTER) == set()
    assert (plan.documents, plan.rows) == (1, 3)
    assert query(project, "SELECT stars FROM repository.reviews ORDER BY ALL") == [(1,), (3,), (4,), (5,)]
    assert query(project, "SELECT n FROM repository.clicks") == [(2,)]
    assert query(project, "SELECT item, count FROM repository.stock ORDER BY ALL") == [
        ("nails", 5),
        ("nails", 6),
        ("screws", 6),
    ]
    cut = query(project, "SELECT reason, count(*) FROM repository.redactions GROUP BY ALL")
    assert cut == [("cut", 4)], "a line, two rows of CSV, a nested value"
    said = query(project, "SELECT documents, rows FROM repository.takedowns WHERE step = 'proved'")
    assert said == [(1, 3)]


def test_an_object_whose_rows_are_numbered_otherwise_is_not_read_again_and_its_rows_stay(project: Project) -> None:
    take_down(project, "uri", "https://a.example.org/1")
    before = query(project, "SELECT stars, review, _record FROM repository.reviews ORDER BY ALL")
    stock = query(project, "SELECT item, count, _deleted FROM repository.stock ORDER BY ALL")
    pages = query(project, "SELECT uri FROM repository.documents ORDER BY ALL")
    for name in RECIPES:
        run(project, name, reread=True)
        source = load_source(project.folder / f"recipes/sources/{name}.yaml")
        retry(project, source, run_id="r", known_at=datetime(2026, 1, 6, tzinfo=UTC))
    assert query(project, "SELECT stars, review, _record FROM repository.reviews ORDER BY ALL") == before
    assert query(project, "SELECT item, count, _deleted FROM repository.stock ORDER BY ALL") == stock, (
        "no key is deleted"
    )
    assert query(project, "SELECT uri FROM repository.documents ORDER BY ALL") == pages
    assert where(project, LETTER) == set()


def test_all_rows_of_a_source_go_with_their_objects_and_rejects_and_come_in_no_more(project: Project) -> None:
    (project.folder / "data/reviews_bad.csv").write_text("stars,review\n7,some words,too many\n8,good\n")
    run(project, "reviews")
    assert reasons(project) == {"wrong_field_count": 1}
    take_down(project, "source", "reviews")
    assert query(project, "SELECT count(*) FROM repository.reviews") == [(0,)]
    assert reasons(project) == {}
    assert where(project, THIRD) == {"archive/" + part for part in shards(project, "web.jsonl")} | {"repository/clicks"}
    assert query(project, "SELECT DISTINCT reason FROM repository.redactions") == [("asked",)]
    again = project.folder / "data/reviews_again.csv"
    again.write_text(rows_of(["stars", "review"], [["4", THIRD], ["9", "a row that is new"]]))
    done = run(project, "reviews")
    assert (done.total("rows_out"), done.total("rejected")) == (1, 1)


def shards(project: Project, name: str) -> set[str]:
    receipts = Repository(project.root).receipts("clicks")
    return {fact.sha256[:2] for receipt in receipts for fact in receipt.objects if fact.uri.endswith(name)}


def test_a_uri_that_was_taken_down_is_one_reject_whatever_it_holds(project: Project) -> None:
    uri = "data/reviews_more.csv"
    take_down(project, "uri", uri)
    assert query(project, "SELECT stars FROM repository.reviews ORDER BY ALL") == [(1,), (2,), (3,)]
    (project.folder / uri).write_text(rows_of(["stars", "review"], [["8", "quite new"]] * 3))
    done = run(project, "reviews")
    assert (done.total("rows_out"), done.total("rejected")) == (0, 1)
    assert reasons(project) == {"taken_down": 1}
    assert where(project, "quite new") == set()


def test_a_vintage_that_is_barred_deletes_no_key(project: Project) -> None:
    uri = "data/stock_2024-02.csv"
    take_down(project, "uri", uri)
    (project.folder / uri).write_text(rows_of(["item", "count", "note"], [["bolts", "1", "z"]]))
    assert run(project, "stock").total("rejected") == 1
    assert query(project, "SELECT item, _deleted FROM repository.stock ORDER BY ALL") == [
        ("nails", False),
        ("screws", False),
    ]


def test_a_host_and_all_below_it_are_barred(project: Project) -> None:
    take_down(project, "domain", "Example.org")
    assert query(project, "SELECT count(*) FROM repository.documents") == [(0,)]
    rows = [{"uri": f"https://{host}/x", "text": f"new words of {host}"} for host in ("z.example.org", "example.com")]
    (project.folder / "data/pages_new.jsonl").write_text(lines(*rows))
    done = run(project, "pages")
    assert (done.total("rows_out"), done.total("rejected")) == (1, 1)
    assert query(project, "SELECT uri FROM repository.documents") == [("https://example.com/x",)]


def test_rows_of_sources_that_state_a_licence_go_with_it(project: Project) -> None:
    take_down(project, "licence", "LicenseRef-shop")
    assert query(project, "SELECT count(*) FROM repository.reviews") == [(0,)]
    assert query(project, "SELECT count(*) FROM repository.documents") == [(3,)]


def test_a_text_that_was_taken_down_is_barred_as_a_cell_too(project: Project) -> None:
    take_down(project, "uri", "https://a.example.org/1")
    (project.folder / "data/reviews_new.csv").write_text(rows_of(["stars", "review"], [["6", LETTER], ["7", "fine"]]))
    done = run(project, "reviews")
    assert (done.total("rows_out"), done.total("rejected")) == (1, 1)
    assert where(project, LETTER) == set()


def test_cells_that_equal_a_short_text_stop_a_takedown_until_it_is_said_what_becomes_of_them(project: Project) -> None:
    uri = "https://c.example.org/3"
    now = datetime(2026, 3, 1, tzinfo=UTC)
    with pytest.raises(InputError, match=r"1 rows of reviews have a cell that equals a text of fewer than 13 words"):
        takedown.remove(project, "uri", uri, "asked", run_id="t", now=now)
    assert query(project, "SELECT count(*) FROM repository.documents") == [(3,)], "nothing was removed"
    assert [*(project.root / "takedowns").iterdir()] == []
    assert take_down(project, "uri", uri, "remove").rows == 1
    assert query(project, "SELECT stars FROM repository.reviews ORDER BY ALL") == [(1,), (2,), (4,), (5,)]


def test_what_is_left_in_a_cell_that_was_written_meanwhile_fails_the_proof(project: Project) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    plan = takedown.remove(project, "uri", "https://a.example.org/1", "asked", run_id="t", now=now).plan
    (project.root / "archive/stray.gz").write_bytes(gzip.compress(f"<p>{LETTER.replace(' ', '</b> <b>')}</p>".encode()))
    with pytest.raises(IntegrityError, match=r"stray\.gz \(words\)"):
        takedown.prove(project, plan.id, run_id="t")


def test_a_model_that_may_have_learnt_a_text_goes_with_its_scores_and_one_from_before_stays(project: Project) -> None:
    repository = Repository(project.root)
    (project.folder / "data/pages_later.jsonl").write_text(lines({"uri": "https://late.org/1", "text": THIRD}))
    before = repository.snapshot("documents").version
    run(project, "pages")
    archived = [repository.archive_chunks([name], name="model")[0] for name in (b"old weights", b"new weights")]
    models = [
        dict.fromkeys(SCORE_MODELS.names)
        | {"name": "quality", "version": at + 1, "model": sha256, "inputs": json.dumps({"documents": before + at})}
        for at, sha256 in enumerate(archived)
    ]
    scored = [{"doc_id": "f" * 32, "name": "quality", "version": version, "score": 0.5} for version in (1, 2)]
    for table, rows, schema in (("score_models", models, SCORE_MODELS), ("scores", scored, SCORES)):
        batch = pa.RecordBatch.from_pylist(rows, schema)
        repository.append(table, [batch], schema=schema, source="curation", run_id="r")
    plan = take_down(project, "uri", "https://late.org/1")
    assert plan.models == ["quality@2"]
    assert query(project, "SELECT version FROM repository.score_models") == [(1,)]
    assert query(project, "SELECT version FROM repository.scores") == [(1,)]
    assert [repository.object_path(sha256).read_bytes() for sha256 in archived] == [b"old weights", b""]
    said = query(project, "SELECT DISTINCT models FROM repository.takedowns")
    assert said == [(["quality@2"],)]
    assert models_of({"models_removed": "quality@2, other@1, quality@3"}) == ["other", "quality"]


def test_of_data_in_a_bucket_nothing_is_left_there_either(
    s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAREHOUSE_ROOT", f"s3://{s3.made()}/warehouse")
    monkeypatch.delenv("WAREHOUSE_STATE", raising=False)
    project = make(tmp_path / "one")
    taken = take_down(project, "uri", "https://a.example.org/1")
    other = load(Path(shutil.copytree(project.folder, tmp_path / "other", ignore=shutil.ignore_patterns(".warehouse"))))
    assert other.root != project.root
    assert where(other, LETTER) == set(), "every file of the bucket is brought and searched"
    assert where(other, OTHER) != set()
    assert query(other, "SELECT stars FROM repository.reviews ORDER BY ALL") == [(1,), (3,), (4,), (5,)]
    assert query(other, "SELECT count(*) FROM repository.takedowns WHERE step = 'proved'") == [(1,)]
    assert taken.rows == 3 and takedown.pending(other) == []
    (other.folder / "data/pages_again.jsonl").write_text(lines({"uri": "https://x.org/1", "text": LETTER}))
    assert run(other, "pages").total("rejected") == 1, "the key that bars it is in the bucket"


def test_the_runs_of_words_are_the_same_in_however_many_portions(project: Project, tmp_path: Path) -> None:
    gone = [pa.array([LETTER, f"{OTHER} {LETTER}"], pa.large_string())]
    staying = [pa.array([OTHER], pa.large_string())]
    whole, parts = (
        [*answers.own_prints(lambda: iter(gone), lambda: iter(staying), portion_bytes=size)] for size in (1 << 20, 40)
    )
    assert len(whole) == 1 and len(parts) > 3
    assert np.concatenate(parts).tolist() == whole[0].tolist()
    wanted = {*prints(texts(gone[0])).tolist()} - {*prints(texts(staying[0])).tolist()}
    assert {*whole[0].tolist()} == wanted
    path = tmp_path / "prints"
    path.write_bytes(b"".join(part.tobytes() for part in parts))
    assert [part.size for part in answers.portions(path, size=5)] == [
        min(5, whole[0].size - at) for at in range(0, whole[0].size, 5)
    ]
