"""Laws of the proof: a text is found in whatever a file wraps it in, and nothing is found where it is not."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import quopri
import sqlite3
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import lz4.frame
import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
import zstandard

from warehouse.answers.proof import BLOCK, holds, readable
from warehouse.kernels.prints import Known, known, prints
from warehouse.kernels.texts import texts
from warehouse.query import connect

TEXT = 'The señora "old" letter\nspoke of thirteen words & more, which no other page has ever had before.'
OTHER = "Another page says something else entirely, in as many words as the letter has, and it may stay here."


@pytest.fixture(scope="module")
def marks() -> Known:
    return known(prints(texts(pa.array([TEXT]))), frozenset(["ab" * 16]))


def tarred(raw: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as packed:
        entry = tarfile.TarInfo("in.txt")
        entry.size = len(raw)
        packed.addfile(entry, io.BytesIO(raw))
    return made.getvalue()


def zipped(raw: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("in.tar.gz", gzip.compress(tarred(raw)))
    return made.getvalue()


def streamed(text: str) -> bytes:
    sink = pa.BufferOutputStream()
    table = pa.table({"a": pa.array([[{"b": text}]])})
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as made:
        made.write_table(table)
    return bytes(sink.getvalue())


def in_parquet(text: str) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"a": pa.array([{"b": [text]}]), "c": pa.array([text.encode()])}), sink)
    return bytes(sink.getvalue())


def wet(text: str) -> bytes:
    body = text.encode()
    head = "WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: http://a.org/\r\nContent-Type: text/plain\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body + b"\r\n\r\n"


WRAPPED: dict[str, Callable[[str], bytes]] = {
    "plain": str.encode,
    "upper": lambda text: text.upper().replace("SEÑORA", "SEñORA").encode(),
    "utf-16": lambda text: (text * 9).encode("utf-16-le"),
    "json": lambda text: json.dumps({"a": [text]}).encode(),
    "json in json": lambda text: json.dumps({"event": json.dumps({"text": text})}, indent=2).encode(),
    "html": lambda text: (
        text.replace("letter", "l<b>ett</b>er<br>").replace("&", "&amp;").replace("ñ", "&ntilde;").encode()
    ),
    "mail": lambda text: quopri.encodestring(text.encode()),
    "attachment": lambda text: b"Content-Transfer-Encoding: base64\n\n" + base64.encodebytes(text.encode() * 3),
    "gzip": lambda text: gzip.compress(text.encode()),
    "bzip2": lambda text: bz2.compress(text.encode()),
    "xz": lambda text: lzma.compress(text.encode()),
    "lz4": lambda text: lz4.frame.compress(text.encode()),
    "zstd": lambda text: zstandard.ZstdCompressor().compress(text.encode()),
    "a tar in a gzip in a zip": lambda text: zipped(text.encode()),
    "a cut gzip": lambda text: gzip.compress(text.encode() * 9 + bytes(range(256)) * 999)[:-50],
    "arrow": streamed,
    "parquet": in_parquet,
    "wet": lambda text: gzip.compress(wet(text)),
    "over the end of a block": lambda text: b"x" * (BLOCK - 40) + b"\n" + text.encode(),
    "a hash": lambda text: f"id={'ab' * 16}".encode() if text == TEXT else b"id=" + b"ab" * 17,
}


@pytest.mark.parametrize("name", WRAPPED)
def test_a_text_is_found_in_whatever_a_file_wraps_it_in_and_no_other_is(
    tmp_path: Path, marks: Known, name: str
) -> None:
    path = tmp_path / "file"
    found = []
    for text in (TEXT, OTHER):
        path.write_bytes(WRAPPED[name](text))
        found.append(holds(readable(path), marks))
    assert found == ["content_hash" if name == "a hash" else "words", ""]


def test_rows_of_databases_are_read_those_of_a_log_that_is_written_ahead_too(tmp_path: Path, marks: Known) -> None:
    with closing(sqlite3.connect(tmp_path / "runs.db")) as con:
        con.execute("PRAGMA journal_mode = WAL")
        con.execute("CREATE TABLE t (a TEXT)")
        con.execute("INSERT INTO t VALUES (?)", [TEXT])
        con.commit()
        assert holds(readable(tmp_path / "runs.db"), marks) == "words"
    with connect(tmp_path / "1.duckdb") as db:
        db.execute("CREATE SCHEMA s; CREATE TABLE s.t AS SELECT $1 AS a, [{b: $1}] AS c", [TEXT])
    assert holds(readable(tmp_path / "1.duckdb"), marks) == "words"


def test_twelve_words_are_no_run(tmp_path: Path, marks: Known) -> None:
    words = TEXT.split()
    assert len(words) > 13
    path = tmp_path / "file"
    path.write_text(" ".join([*words[:12], "and", *words[13:]][:14]))
    assert holds(readable(path), marks) == ""
    assert (np.diff(marks.prints) > 0).all()


@pytest.mark.parametrize(
    "magic", [b"PAR1", b"SQLite format 3\0", b"\x1f\x8b\x08", b"BZh9", b"PK\x03\x04", b"ARROW1\0\0"]
)
def test_a_file_that_is_not_what_it_begins_as_is_searched_as_it_is(tmp_path: Path, marks: Known, magic: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(magic + b"\n" + TEXT.encode())
    assert holds(readable(path), marks) == "words"
