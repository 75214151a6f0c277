"""A folder of mixed files: each is read as what its bytes say it is, and what is nothing known is a Reject."""

from __future__ import annotations

import gzip
import io
import time
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from warehouse.sources import Source, guess_reader, locate, read, reader_id


def parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"text": ["of Parquet"]}), sink)
    return sink.getvalue()


def arrow() -> bytes:
    sink = io.BytesIO()
    table = pa.table({"text": ["of Arrow"]})
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


PAGE = b"<!-- saved -->\n<!DOCTYPE html><html><p>These are the words of a page, and it has enough of them.</p>"
BLOCK = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + PAGE
CRAWL = b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: %d\r\n\r\n%s\r\n\r\n" % (len(BLOCK), BLOCK)
MAIL = b"Received: by x; 1\nFrom: a@b\nSubject: s\n\nThe words of a mail.\n"
BOX = b"From a@b Tue Mar  5 08:00:00 2024\n" + MAIL
SORTS = {
    "parquet": parquet(),
    "arrow": arrow(),
    "html": PAGE,
    "warc": CRAWL,
    "mail": MAIL,
    "jsonl": b'{"text": "of JSON Lines"}\n',
}
NAMES = ("nothing", "odd.name", "wrong.csv", "note.txt")


@pytest.mark.parametrize("sort", [sort for sort in SORTS if sort != "jsonl"])
@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_any_name_gets_the_reader_that_its_bytes_name(sort, name, tmp_path: Path):
    for at, content in enumerate((SORTS[sort], gzip.compress(SORTS[sort]))):
        (tmp_path / f"{at}{name}").write_bytes(content)
        assert guess_reader(tmp_path / f"{at}{name}") == sort


def test_every_file_of_a_folder_is_documents_or_a_reject(tmp_path: Path):
    (tmp_path / "in").mkdir()
    for sort, content in SORTS.items():
        (tmp_path / "in" / f"{sort}.dat").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "in" / "z.zip", "w") as archive:
        for sort, content in SORTS.items():
            archive.writestr(f"member of {sort}", content)
    (tmp_path / "in" / "box").write_bytes(BOX)
    (tmp_path / "in" / "note.md").write_bytes(b"# A note\n\nof Markdown")
    (tmp_path / "in" / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "in" / "sheet.ods").write_bytes(b"PK\x03\x04 a spreadsheet")
    source = Source("s", ("in",))
    found = {item.uri: list(read(source, item, item.path)) for item in locate(source, tmp_path)}
    counted = {uri: [getattr(item, "reason", None) or item.num_rows for item in items] for uri, items in found.items()}
    unknown = {"in/picture.png": ["unknown_format"], "in/sheet.ods": ["unknown_format"]}
    one = {f"in/{name}": [1] for name in ("box", "note.md", *(f"{sort}.dat" for sort in SORTS))}
    assert counted == {**one, **unknown, "in/z.zip": [1] * len(SORTS)}
    readers = {item.uri: reader_id(source, item, item.path).partition("/")[0] for item in locate(source, tmp_path)}
    assert {readers[f"in/{sort}.dat"] for sort in SORTS} == set(SORTS)
    assert readers["in/z.zip"] == readers["in/picture.png"] == "mixed"


def test_many_comments_before_no_page_are_looked_through_at_once(reading):
    began = time.process_time()
    assert reading(b"<!-- -->" * 500 + b"x", "a").reasons == {"unknown_format": 1}
    assert time.process_time() - began < 5


def test_a_reader_that_the_source_states_is_taken_at_its_word(reading):
    result = reading(PAGE, "a.html", reader="text")
    assert result.rows[0]["text"].startswith("<!-- saved -->")
