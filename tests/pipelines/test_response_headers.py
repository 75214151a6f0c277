"""What the headers of a response say to robots and of mining, as columns of the documents that it brought."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from loopback import Answer, Loopback, loopback

from pipelines.intake import Ingested, ingest
from warehouse.project import Project, load, prepare
from warehouse.repository import Repository
from warehouse.sources import Source

SAID = {"X-Robots-Tag": "NoAI,  noindex", "tdm-reservation": "1", "TDM-Policy": "/policy.json", "ETag": '"1"'}
PAGE = (
    b"<!doctype html><title>A page</title><meta name=robots content='nosnippet, noai'><p>" + b"Words of a page. " * 30
)
BODIES = {
    "a.jsonl": b'{"text": "one"}\n{"text": "two"}\n',
    "a.jsonl.gz": gzip.compress(b'{"text": "one"}\n'),
    "a.csv": b"text,n\none,1\n",
    "a.txt": b"A text of its own.",
    "a.html": PAGE,
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with loopback(Answer()) as made:
        yield made


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "warehouse.toml").write_text("")
    made = load(tmp_path)
    prepare(made)
    return made


def take(project: Project, uri: str, day: int, **options: Any) -> Ingested:
    source = Source("feed", (uri,))
    return ingest(project, source, run_id=f"r{day}", known_at=datetime(2026, 1, day, tzinfo=UTC), **options)


def signals(project: Project) -> set[tuple[str | None, bool | None, str | None]]:
    files = Repository(project.root).snapshot("documents").files
    rows = [row for file in files for row in pq.read_table(file).to_pylist()]
    return {(row["robots"], row["tdm_reservation"], row["tdm_policy"]) for row in rows}


@pytest.mark.parametrize("name", BODIES)
def test_what_a_response_says_holds_for_every_document_of_any_format(server, project, name):
    server.always = Answer(body=BODIES[name], headers=SAID)
    assert take(project, f"{server.url}/in/{name}", 1).total("rejected") == 0
    robots = "nosnippet, noai, noindex" if name == "a.html" else "noai, noindex"
    assert signals(project) == {(robots, True, f"{server.url}/policy.json")}


def test_a_response_that_says_nothing_leaves_what_the_page_says(server, project):
    server.always = Answer(body=PAGE, headers={"X-Robots-Tag": "  "})
    take(project, f"{server.url}/a.html", 1)
    assert signals(project) == {("nosnippet, noai", None, None)}


def test_what_was_said_is_kept_for_reading_again_without_the_network(server, project):
    server.always = Answer(body=BODIES["a.txt"], headers=SAID)
    uri = f"{server.url}/a.txt"
    take(project, uri, 1)
    assert take(project, uri, 2).unchanged_objects == 1
    server.always = Answer(404)
    assert take(project, uri, 3, reread=True).bytes_read == 0
    receipts = Repository(project.root).receipts("documents")
    assert {fact.headers for receipt in receipts for fact in receipt.objects} == {
        "x-robots-tag: NoAI, noindex\ntdm-reservation: 1\ntdm-policy: /policy.json"
    }
    assert len([fact for receipt in receipts for fact in receipt.objects]) == 2
