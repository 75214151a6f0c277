"""Files of any kind: a row each, with the bytes that they have and the type that these say."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from outcomes import outcome
from PIL import Image

from warehouse.contracts import Reject
from warehouse.sources import Limits
from warehouse.sources.containers import Member
from warehouse.sources.files import OTHER, media_type, read_no_documents, read_table
from warehouse.sources.recipe import Source
from warehouse.sources.records import Documents

SOURCE = Source("pictures", ("data",), table="pictures", reader="files")


@given(st.binary(max_size=2000))
def test_a_file_is_one_row_with_its_bytes(raw: bytes) -> None:
    (batch,) = read_table(Member("u", "a.png", lambda: io.BytesIO(raw)), SOURCE)
    (row,) = batch.to_pylist()
    assert (row["name"], row["bytes"], row["content"], row["_record"]) == ("a.png", len(raw), raw, "0")


@pytest.mark.parametrize(("form", "expected"), [
    ("png", "image/png"), ("jpeg", "image/jpeg"), ("gif", "image/gif"), ("tiff", "image/tiff"), ("webp", "image/webp"),
    ("pdf", "application/pdf"), ("bmp", OTHER),
])  # fmt: skip
def test_a_picture_that_pillow_writes_is_known_by_its_bytes(form: str, expected: str) -> None:
    held = io.BytesIO()
    Image.new("RGB", (3, 2), (200, 10, 20)).save(held, form)
    assert media_type(held.getvalue()) == expected


def test_files_of_a_folder_and_of_an_archive_come_whole_or_are_rejects(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as packed:
        for name, raw in (("a.wav", b"RIFF\x04\0\0\0WAVE"), ("b.bin", b"\0" * 50), ("c", b"x" * 101)):
            packed.writestr(name, raw)
    found = outcome(tmp_path / "all.zip", "all.zip", reader="files", table="t", limits=Limits(max_record_bytes=100))
    assert [(row["name"], row["media_type"], row["bytes"]) for row in found.rows] == [
        ("a.wav", "audio/vnd.wave", 12),
        ("b.bin", OTHER, 50),
    ]
    assert found.reasons == {"record_too_large": 1} and found.met == 3


def test_as_documents_a_file_is_a_reject(tmp_path: Path) -> None:
    documents = Documents(Source("s", ("u",), reader="files"), "u")
    (found,) = read_no_documents(Member("u", "a.png", lambda: io.BytesIO(b"x")), documents)
    assert isinstance(found, Reject) and found.reason == "not_documents"
