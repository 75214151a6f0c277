"""Objects of a store as they are fetched, through faults, and what is refused."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from loopback import Answer
from stores import SECRET, Buckets, Faulty, faulty

from warehouse import stores
from warehouse.errors import InputError, NetworkError, RecipeError, WarehouseError
from warehouse.sources import (
    KnownAt,
    Limits,
    Located,
    Source,
    load_source,
    locate,
    object_store,
    plan_known_at,
    reader_id,
    stored,
)
from warehouse.sources.http import RESUMES
from warehouse.sources.schema import source_schema

BODY = bytes(range(256)) * 40
CHUNK = 1000


@pytest.fixture
def between(s3: Buckets, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faulty]:
    """What stands before the server; chunks are small, waits short."""
    monkeypatch.setattr(stores, "CHUNK", CHUNK)
    monkeypatch.setattr(object_store, "RESUME_WAIT_S", 0.001)
    with faulty(s3.url) as made:
        monkeypatch.setenv("AWS_ENDPOINT_URL", made.url)
        yield made


def source(*uris: str, **options: object) -> Source:
    return Source("feed", uris, table="feed", **options)


def one(stated: Source) -> Located:
    (located,) = locate(stated, Path("/"))
    return located


def fetch(stated: Source, located: Located, version: str | None = None) -> tuple[bytes, str | None] | None:
    with stored(stated, located, version=version) as answer:
        return (b"".join(answer.chunks), answer.version) if answer else None


def gets(between: Faulty) -> list[str]:
    """The targets of what was asked for but listings."""
    return [target for method, target in between.seen if method == "GET" and "list-type" not in target]


def test_an_object_comes_in_bounded_chunks_and_unchanged_it_costs_no_request(between, s3):
    stated = source(f"s3://{s3.made({'a/b.csv': BODY})}/a/")
    located = one(stated)
    with stored(stated, located) as answer:
        assert answer is not None
        chunks = list(answer.chunks)
    assert b"".join(chunks) == BODY and max(map(len, chunks)) == CHUNK
    between.seen.clear()
    assert fetch(stated, one(stated), answer.version) is None
    assert not gets(between) and len(between.seen) <= 3, "listings alone"


def test_a_changed_object_has_another_version_and_its_time_is_the_servers(between, s3):
    bucket = s3.made({"b.csv": BODY})
    stated = source(f"s3://{bucket}/b.csv", known_at=KnownAt(header="Last-Modified"))
    located = one(stated)
    first = fetch(stated, located)
    assert first is not None and first[0] == BODY
    assert located.entry is not None
    assert plan_known_at(stated, located, modified=located.entry.modified) == located.entry.modified
    s3.put(bucket, {"b.csv": BODY[::-1]})
    second = fetch(stated, one(stated), first[1])
    assert second is not None and second[0] == BODY[::-1] and second[1] != first[1]


@pytest.mark.parametrize("fault", [Answer(503), Answer(500), Answer(reset=True), Answer(cut=77)], ids=str)
def test_a_range_that_does_not_come_is_asked_for_again_and_what_came_is_not(between, s3, fault, monkeypatch):
    stated = source(f"s3://{s3.made({'b.csv': BODY})}/b.csv")
    located = one(stated)
    count = itertools.count()
    between.faults = lambda method, _: fault if method == "GET" and next(count) in (2, 3, 4, 5, 6, 9) else None
    assert fetch(stated, located) == (BODY, located.entry and located.entry.version)
    assert len(gets(between)) == -(-len(BODY) // CHUNK) + 6


def test_tries_are_bounded_and_end_in_a_network_error(between, s3):
    stated = source(f"s3://{s3.made({'b.csv': BODY})}/b.csv")
    located = one(stated)
    between.faults = lambda *_: Answer(503)
    with pytest.raises(NetworkError, match=r"b\.csv cannot be reached"):
        fetch(stated, located)
    assert len(gets(between)) == stores.TRIES * (1 + RESUMES)


def test_bytes_of_two_versions_are_never_joined(between, s3):
    bucket = s3.made({"b.csv": BODY})
    stated = source(f"s3://{bucket}/b.csv")
    located = one(stated)
    with pytest.raises(NetworkError, match="changed while it was read"), stored(stated, located) as answer:
        assert answer is not None
        for number, _ in enumerate(answer.chunks):
            if number == 3:
                s3.put(bucket, {"b.csv": BODY[::-1]})
    assert len(gets(between)) == 5, "not asked again"
    s3.delete(bucket, "b.csv")
    with pytest.raises(NetworkError, match="gone since it was listed"):
        fetch(stated, located)


def test_what_is_refused_is_an_input_error_once(between, s3):
    stated = source(f"s3://{s3.made({'b.csv': BODY})}/b.csv")
    located = one(stated)
    between.faults = lambda *_: Answer(403)
    between.seen.clear()
    with pytest.raises(InputError, match=r"b\.csv is refused to this account"):
        fetch(stated, located)
    assert len(between.seen) == 1
    for uri in (stated.uri[0], stated.uri[0].replace("b.csv", "")):
        with pytest.raises(InputError, match="is refused to this account"):
            one(source(uri))
    for status, said in ((400, "400 Bad Request"), (301, "incorrectly configured region")):
        between.faults = lambda *_, status=status: Answer(status)
        with pytest.raises(InputError, match=said):
            one(stated)


def test_a_server_that_is_not_there_and_a_wrong_bucket_are_told_apart(between, s3, monkeypatch):
    with pytest.raises(InputError, match="no such bucket"):
        one(source("s3://no-such-bucket/a/"))
    with pytest.raises(InputError, match="no such bucket"):
        one(source("s3://no-such-bucket/a.csv"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(NetworkError, match="cannot be reached"):
        one(source("s3://no-such-bucket/a/"))


def test_an_object_beyond_its_limit_is_not_asked_for(between, s3):
    uri = f"s3://{s3.made({'b.csv': BODY})}/b.csv"
    stated = source(uri, limits=Limits(max_object_bytes=len(BODY)))
    assert fetch(stated, one(stated)) is not None
    between.seen.clear()
    stated = source(uri, limits=Limits(max_object_bytes=len(BODY) - 1))
    with pytest.raises(InputError, match="longer than"):
        fetch(stated, one(stated))
    assert not gets(between)


def test_what_variables_stand_for_and_credentials_are_in_no_uri_and_no_message(s3, monkeypatch):
    bucket = s3.made({"deep/x=1/b.csv": BODY, "deep/x=1/c": b""})
    monkeypatch.setenv("PLACE", f"{bucket}/deep")
    monkeypatch.setenv("WHERE", "deep")
    stated = source("s3://${PLACE}/x=*/*.csv", f"s3://{bucket}/${{WHERE}}/")
    found = {each.uri: each.url for each in locate(stated, Path("/"))}
    url = f"s3://{bucket}/deep/x=1/"
    assert found == {
        "s3://${PLACE}/x=1/b.csv": f"{url}b.csv",
        f"s3://{bucket}/${{WHERE}}/x=1/b.csv": f"{url}b.csv",
        f"s3://{bucket}/${{WHERE}}/x=1/c": f"{url}c",
    }
    for each in locate(stated, Path("/")):
        assert fetch(stated, each) is not None
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(WarehouseError) as caught:
        one(source("s3://${PLACE}/x"))
    assert "${PLACE}" in str(caught.value)
    assert bucket not in f"{caught.value!r}" and SECRET not in f"{caught.value!r}"
    monkeypatch.delenv("PLACE")
    with pytest.raises(InputError, match="PLACE is not set"):
        one(source("s3://${PLACE}/x"))


REFUSED = {
    "s3://AKIA:hush@bucket/x": "a user or password",
    "s3://hush@bucket/x": "a user or password",
    "az://hush@container/x": "a user or password",
    "abfss://box:hush@account.dfs.core.windows.net/x": "a user or password",
    "s3://bucket/x?X-Amz-Signature=hush": "the value of 'X-Amz-Signature'",
    "az://box/x?sv=2024&sig=hush": "the value of 'sig'",
    "s3:///x": "names no bucket",
    "s3://*/x": "names no bucket",
    "s3://bucket:9000/x": "names no bucket",
}


@pytest.mark.parametrize("uri", REFUSED)
def test_a_url_with_credentials_or_without_a_bucket_is_refused_with_its_line(tmp_path: Path, uri):
    (tmp_path / "s.yaml").write_text(f"table: t\nuri: {uri}\n")
    with pytest.raises(
        RecipeError, match=rf"s\.yaml:2: {REFUSED[uri]}" if "no bucket" not in REFUSED[uri] else "no bucket"
    ) as caught:
        load_source(tmp_path / "s.yaml")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "uri",
    ["s3://b/x", "S3://b/x/*.csv", "gs://b/", "az://b/**", "abfss://box@acct.dfs.core.windows.net/x", "s3://${B}/x"],
)
def test_a_uri_of_a_store_is_one_and_crosses_a_network(tmp_path: Path, uri):
    (tmp_path / "s.yaml").write_text(f"table: t\nuri: {uri}\nknown_at: {{header: Last-Modified}}\n")
    assert load_source(tmp_path / "s.yaml").network
    assert Draft202012Validator(source_schema()).is_valid({"table": "t", "uri": uri})


def test_the_format_is_told_by_the_key_which_holds_any_character(tmp_path: Path, s3):
    (tmp_path / "fetched").write_bytes(b"a,b\n")
    stated = source(f"s3://{s3.made({'a/b?#x.csv.gz': BODY})}/a/")
    assert reader_id(stated, one(stated), tmp_path / "fetched").startswith("csv/")
