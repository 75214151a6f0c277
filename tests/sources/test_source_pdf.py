"""PDF: the text that was written into one, what it says of itself; damage, bombs and a missing extra are said."""

from __future__ import annotations

import io
import random
import zlib
from datetime import UTC, datetime

import pytest

from warehouse.errors import MissingExtra
from warehouse.sources import Limits, parsing, pdf

pytest.importorskip("pypdfium2", reason="the extra pdf is not installed")

WORDS = "A rack of accelerators draws ten times what a rack of servers drew."


def made(*pages: str, info: str = "", packed: bool = False) -> bytes:
    """A PDF (ISO 32000-1, 7.5) with a line of text on each page."""
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"", b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>", info.encode()]
    kids = []
    for text in pages:
        stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode()
        stream, filters = (zlib.compress(stream), b"/Filter/FlateDecode") if packed else (stream, b"")
        objects.append(b"<</Length %d%s>>stream\n%s\nendstream" % (len(stream), filters, stream))
        page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F1 3 0 R>>>>/Contents %d 0 R>>"
        objects.append(page % len(objects))
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<</Type/Pages/Kids[%s]/Count %d>>" % (b" ".join(kids), len(kids))
    out, places = io.BytesIO(), []
    out.write(b"%PDF-1.4\n")
    for number, content in enumerate(objects, 1):
        places.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, content or b"<<>>"))
    start = out.tell()
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    out.write(b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, table))
    out.write(b"trailer<</Size %d/Root 1 0 R/Info 4 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start))
    return out.getvalue()


@pytest.fixture(autouse=True)
def ended():
    with parsing.closing_parser():
        yield


@pytest.mark.parametrize("packed", [False, True])
def test_the_text_of_every_page_is_read_with_title_and_date(packed, reading):
    info = "<</Title(Dense  racks)/CreationDate(D:20260305083000+01'00')>>"
    (row,) = reading(made(WORDS, "", "Second page.", info=info, packed=packed), "a").rows
    assert row["text"] == f"{WORDS}\n\nSecond page."
    assert (row["title"], row["published_at"]) == ("Dense racks", datetime(2026, 3, 5, 7, 30, tzinfo=UTC))
    (plain,) = reading(made(WORDS, info="<</CreationDate(soon)>>"), "in/b.pdf").rows
    assert (plain["title"], plain["published_at"]) == ("b.pdf", None)


def test_a_scan_is_dropped_and_what_is_no_pdf_is_a_reject(reading):
    assert reading(made("", ""), "a.pdf").dropped == {"no_text": 1}
    assert reading(b"%PDF-1.4\nnothing", "a.pdf").reasons == {"not_pdf": 1}
    bomb = made("word " * 2000, packed=True)
    assert reading(bomb, "a.pdf", limits=Limits(max_record_bytes=len(bomb))).reasons == {"not_pdf": 1}


def test_flipped_and_cut_bytes_raise_nothing_and_what_follows_is_read(reading):
    numbers, whole = random.Random(5), made(WORDS, WORDS, packed=True)
    for _ in range(60):
        broken = bytearray(whole)
        for _ in range(numbers.choice([1, 5, 40])):
            broken[numbers.randrange(9, len(whole))] = numbers.randrange(256)
        result = reading(bytes(broken[: numbers.randrange(20, len(whole) + 1)]), "a.pdf")
        assert result.met == 1 and set(result.reasons) <= {"not_pdf", "parser_died"}
    assert len(reading(whole, "a.pdf").rows) == 1


def test_a_parser_that_hangs_costs_its_file_alone(reading, monkeypatch, tmp_path):
    (tmp_path / "hangs.py").write_text("def document(raw, max_chars):\n    while b'hang' in raw: pass\n    return {}\n")
    monkeypatch.setattr(parsing, "PAGE_CPU_S", 1)
    monkeypatch.setattr(parsing, "_pdfs", parsing._Parser(str(tmp_path / "hangs.py"), "document"))
    assert reading(b"%PDF-hang", "a.pdf").reasons == {"parser_died": 1}


def test_without_the_extra_a_pdf_says_what_to_install(reading, monkeypatch):
    monkeypatch.setattr(pdf, "find_spec", lambda name: None)
    result = reading(made(WORDS), "a.pdf")
    assert result.reasons == {"missing_extra": 1}
    assert "pip install 'ml-warehouse[pdf]'" in result.rejects[0].message
    with pytest.raises(MissingExtra, match=r"ml-warehouse\[pdf\]"):
        reading(made(WORDS), "a.pdf", reader="pdf")
