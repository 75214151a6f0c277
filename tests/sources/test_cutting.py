"""Laws of cutting: what is wanted is in the new object no more, everything else is, and where that fails all goes."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import tarfile
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import lz4.frame
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.contracts import Cutting, Wanted, content_hash
from warehouse.sources import Dialect, Located, Source, cut, read

Maker = Callable[[Sequence[str]], bytes]


def table(texts: Sequence[str]) -> pa.Table:
    return pa.table({"n": list(range(len(texts))), "text": pa.array(texts, pa.string())})


def as_csv(texts: Sequence[str], delimiter: str = ",") -> bytes:
    made = io.StringIO(newline="")
    writer = csv.writer(made, delimiter=delimiter, lineterminator="\r\n")
    writer.writerows([["n", "text"], *([str(at), text] for at, text in enumerate(texts))])
    return made.getvalue().encode()


def as_parquet(texts: Sequence[str]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table(texts), sink, row_group_size=2, compression="zstd")
    return bytes(sink.getvalue())


def as_arrow(texts: Sequence[str], begun: Callable[..., pa.RecordBatchWriter]) -> bytes:
    sink = pa.BufferOutputStream()
    with begun(sink, table(texts).schema) as made:
        made.write_table(table(texts), max_chunksize=2)
    return bytes(sink.getvalue())


def as_mbox(texts: Sequence[str]) -> bytes:
    head = "From a@b.org Mon Jan  1 10:00:00 2024\nFrom: a@b.org\nDate: Mon, 1 Jan 2024 10:00:00 +0000\nSubject: s\n\n"
    return "".join(f"{head}{text}\n\n" for text in texts).encode()


def as_wet(texts: Sequence[str]) -> bytes:
    return b"".join(wet_records(texts))


def wet_records(texts: Sequence[str]) -> list[bytes]:
    return [
        f"WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: http://a.org/{at}\r\nWARC-Date: 2024-01-01T00:00:00Z"
        f"\r\nContent-Type: text/plain\r\nContent-Length: {len(text.encode())}\r\n\r\n{text}\r\n\r\n".encode()
        for at, text in enumerate(texts)
    ]


def as_zip(texts: Sequence[str], suffix: str = ".txt") -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.mkdir("notes")
        for at, text in enumerate(texts):
            packed.writestr(f"notes/{at}{suffix}", text)
    return made.getvalue()


def as_tar(texts: Sequence[str]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as packed:
        for at, text in enumerate(texts):
            entry = tarfile.TarInfo(f"pages/{at}.md")
            entry.size = len(text.encode())
            packed.addfile(entry, io.BytesIO(text.encode()))
    return made.getvalue()


def lines(texts: Sequence[str]) -> bytes:
    return "".join(json.dumps({"n": at, "text": text}) + "\n" for at, text in enumerate(texts)).encode()


def nested(texts: Sequence[str]) -> bytes:
    """A zip with every second text in a packed file of JSON Lines, the others in Markdown and in a tar."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as packed:
        packed.writestr("a/lines.jsonl.gz", gzip.compress(lines(texts[::2])))
        packed.writestr("b.tar", as_tar(texts[1::2]))
        packed.writestr("nothing.bin", b"\0\1\2")
    return made.getvalue()


FORMATS: dict[str, Maker] = {
    "a.jsonl": lines,
    "a.csv": as_csv,
    "a.tsv": lambda texts: as_csv(texts, "\t"),
    "semicolon.csv": lambda texts: as_csv(texts, ";"),
    "array.json": lambda texts: json.dumps([{"text": text} for text in texts], indent=1).encode(),
    "array.jsonl": lambda texts: json.dumps([{"text": text} for text in texts], indent=1).encode(),
    "pretty.jsonl": lambda texts: "\n".join(json.dumps({"text": text}, indent=2) for text in texts).encode(),
    "joined.json": lambda texts: "".join(json.dumps({"text": text}) for text in texts).encode(),
    "a.parquet": as_parquet,
    "a.arrow": lambda texts: as_arrow(texts, pa.ipc.new_file),
    "a.arrows": lambda texts: as_arrow(texts, pa.ipc.new_stream),
    "a.mbox": as_mbox,
    "a.warc.wet": as_wet,
    "a.warc.wet.gz": lambda texts: b"".join(map(gzip.compress, wet_records(texts))),
    "a.zip": as_zip,
    "b.zip": lambda texts: as_zip(texts, ".py"),
    "a.tar": as_tar,
    "a.tar.gz": lambda texts: gzip.compress(as_tar(texts)),
    "nested.zip": nested,
    "a.jsonl.gz": lambda texts: gzip.compress(lines(texts)),
    "a.jsonl.zst": lambda texts: zstandard.ZstdCompressor().compress(lines(texts)),
    "a.jsonl.bz2": lambda texts: bz2.compress(lines(texts)),
    "a.jsonl.xz": lambda texts: lzma.compress(lines(texts)),
    "a.jsonl.lz4": lambda texts: lz4.frame.compress(lines(texts)),
    "a.csv.gz": lambda texts: gzip.compress(as_csv(texts)),
}
SOURCE = Source("s", ("x",))
WORDS = ["alpha beta", "gamma, delta", 'says "so"', "line\nbreak", "épsilon ünd", "zeta; eta", "x" * 90]


def given_by(uri: str, path: Path, source: Source = SOURCE) -> Counter[str]:
    batches = [item for item in read(source, Located(uri, path, 0), path) if isinstance(item, pa.RecordBatch)]
    return Counter(text for batch in batches for text in batch["text"].to_pylist())


def cut_out(uri: str, path: Path, texts: Sequence[str], folder: Path, source: Source = SOURCE) -> Cutting:
    folder.mkdir()
    wanted = Wanted(frozenset(map(content_hash, texts)), uris(uri, path, texts))
    return cut(source, Located(uri, path, 0), path, wanted, folder)


def uris(uri: str, path: Path, texts: Sequence[str]) -> frozenset[str]:
    batches = [item for item in read(SOURCE, Located(uri, path, 0), path) if isinstance(item, pa.RecordBatch)]
    rows = [row for batch in batches for row in batch.to_pylist()]
    return frozenset(row["uri"] for row in rows if row["text"] in texts and row["uri"].startswith("http"))


@pytest.mark.parametrize("uri", FORMATS)
@settings(max_examples=8)
@given(st.lists(st.sampled_from(WORDS), min_size=2, max_size=6, unique=True), st.data())
def test_what_is_wanted_goes_and_every_other_document_stays(uri: str, texts: list[str], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "object"
        path.write_bytes(FORMATS[uri](texts))
        before = given_by(uri, path)
        assert before.total() == len(texts)
        gone = data.draw(st.lists(st.sampled_from(sorted(before)), min_size=1, unique=True))
        made = cut_out(uri, path, gone, Path(folder) / "new")
        if len(gone) == len(texts) and uri != "nested.zip":
            assert made.path is None
            return
        assert made.reason == "cut"
        assert made.path is not None
        assert given_by(uri, made.path) == before - Counter(gone)
        assert sum(each.length for each in made.cuts) > 0
        assert len(made.cuts) == len(gone)


def test_what_nothing_is_wanted_of_stays_as_it_is_inside_an_archive(tmp_path: Path) -> None:
    texts = WORDS[:4]
    path = tmp_path / "object"
    path.write_bytes(nested(texts))
    made = cut_out("nested.zip", path, [WORDS[0]], tmp_path / "new")
    assert made.path is not None
    assert [each.member for each in made.cuts] == ["a/lines.jsonl.gz"]
    with zipfile.ZipFile(path) as before, zipfile.ZipFile(made.path) as after:
        assert after.namelist() == before.namelist()
        assert [after.read(name) == before.read(name) for name in after.namelist()] == [False, True, True]
        assert gzip.decompress(after.read("a/lines.jsonl.gz")) == b"\n" + lines(texts[::2]).split(b"\n", 1)[1]


@pytest.mark.parametrize("uri", ["a.jsonl", "a.csv", "a.parquet", "a.arrows", "nested.csv.zip"])
def test_rows_of_a_typed_table_go_by_the_number_that_names_them(tmp_path: Path, uri: str) -> None:
    path = tmp_path / "object"
    raw = FORMATS["a.csv" if "zip" in uri else uri](WORDS)
    path.write_bytes(raw)
    prefix = ""
    if "zip" in uri:
        prefix = "in/a.csv!"
        with zipfile.ZipFile(path, "w") as packed:
            packed.writestr("in/a.csv", raw)
    wanted = Wanted(frozenset(), records=frozenset({(uri, f"{prefix}1"), (uri, f"{prefix}4")}))
    typed = replace(SOURCE, table="rows")
    (tmp_path / "new").mkdir()
    made = cut(typed, Located(uri, path, 0), path, wanted, tmp_path / "new")
    assert (made.reason, len(made.cuts), made.renumbered) == ("cut", 2, uri != "a.jsonl")
    assert made.path is not None
    left = given_by(uri, made.path, typed)
    assert left == Counter(text for at, text in enumerate(WORDS) if at not in (1, 4))


PAGE = b"<html><title>t</title><body><p>A page of some words that says what it says.</p></body></html>"
TEXT = "A page of some words that says what it says."


@pytest.mark.parametrize(
    ("uri", "raw", "reason"),
    [
        ("a.html", PAGE, "single"),
        ("a.md", TEXT.encode(), "single"),
        ("a.py", TEXT.encode(), "single"),
        ("a.xml", f"<?xml version='1.0'?><a><p>{TEXT}</p></a>".encode(), "single"),
        ("a.json", json.dumps({"text": TEXT}).encode(), "single"),
        ("a.eml", as_mbox([TEXT]).split(b"\n", 1)[1], "single"),
        ("a.csv", ("n,text\n1," + TEXT + "\n2,other\n").encode("utf-16"), "format"),
        ("a.jsonl", lines([TEXT, "other"])[:-1].decode().encode("utf-16"), "format"),
        ("a.jsonl.gz", gzip.compress(lines([TEXT, "other"] * 4000))[:-40], "damaged"),
    ],
)
def test_an_object_that_is_one_document_or_cannot_be_written_again_goes_whole(
    tmp_path: Path, uri: str, raw: bytes, reason: str
) -> None:
    path = tmp_path / "object"
    path.write_bytes(raw)
    assert TEXT in given_by(uri, path), "it is read at all"
    made = cut_out(uri, path, [TEXT], tmp_path / "new")
    assert (made.path, made.reason) == (None, reason)
    assert [(each.member, each.offset, each.length) for each in made.cuts] == [("", 0, len(raw))]


def test_where_a_text_is_in_no_record_of_its_object_all_of_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "object"
    path.write_bytes(lines(WORDS))
    assert cut_out("a.jsonl", path, ["not there"], tmp_path / "new").reason == "unverified"


def test_rows_keep_the_charset_and_the_quotes_of_the_others(tmp_path: Path) -> None:
    path = tmp_path / "object"
    raw = 'n;text\r\n1;"é;\n2"\r\n\r\n2;gone\r\n3;ü\r\n'.encode("cp1252")
    path.write_bytes(raw)
    source = replace(SOURCE, dialect=Dialect(encoding="cp1252"))
    made = cut_out("a.csv", path, ["gone"], tmp_path / "new", source)
    assert made.path is not None
    assert made.path.read_bytes() == raw.replace(b"2;gone\r\n", b"")
    assert made.cuts[0].offset == raw.index(b"2;gone")
