"""Web archives: every record a document, a drop or a Reject, compared with fastwarc; codings, dates, damage."""

from __future__ import annotations

import gzip
import io
import zlib
from datetime import UTC, datetime
from pathlib import Path

import brotli
import pytest
import zstandard
from fastwarc.warc import ArchiveIterator
from hypothesis import given
from hypothesis import strategies as st

from warehouse.sources import KnownAt, Limits, warc_records
from warehouse.sources.containers import Member
from warehouse.sources.warc import unchunked
from warehouse.sources.warc_records import last_moment

PAGE = (
    b"<!doctype html><html lang=en><title>Racks</title><p>A rack of accelerators draws ten times what a rack of "
    b"servers drew, and air no longer carries the heat away.</p></html>"
)
TEXT = "A rack of accelerators draws ten times what a rack of servers drew, and air no longer carries the heat away."


def record(
    block: bytes, *, kind: str = "response", uri: str = "http://a.b/x", date: str = "2024-05-18T01:58:10Z", **more: str
) -> bytes:
    """One WARC record; ``more``: further fields, Content_Length to lie."""
    fields = {"WARC-Type": kind, "WARC-Target-URI": uri, "WARC-Date": date, "Content-Length": str(len(block))}
    fields |= {name.replace("_", "-"): value for name, value in more.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return b"WARC/1.0\r\n" + head.encode() + b"\r\n" + block + b"\r\n\r\n"


def http(body: bytes, *, status: str = "200 OK", media: str = "text/html", **more: str) -> bytes:
    fields = {"Content-Type": media} | {name.replace("_", "-"): value for name, value in more.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


def chunked(body: bytes, size: int = 50) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x;note\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


GOOD = record(http(PAGE))


@pytest.mark.parametrize(
    "packed",
    [
        b"".join,
        lambda records: gzip.compress(b"".join(records)),
        lambda records: b"".join(map(gzip.compress, records)),
        lambda records: b"".join(map(zstandard.compress, records)),
    ],
    ids=["plain", "gzip", "gzip_per_record", "zstd_per_record"],
)
def test_an_archive_reads_the_same_however_it_is_packed(packed, reading):
    records = [
        record(b"software: x\r\n", kind="warcinfo"),
        GOOD,
        record(b"GET /", kind="request"),
        record(PAGE, kind="resource", uri="http://a.b/y", Content_Type="text/html"),
    ]
    result = reading(packed(records), "in/crawl.bin")
    assert [(row["uri"], row["record"], row["text"], row["title"], row["stated_language"]) for row in result.rows] == [
        ("http://a.b/x", "0", TEXT, "Racks", "en"),
        ("http://a.b/y", "0", TEXT, "Racks", "en"),
    ]
    assert set(result.column("known_at")) == {datetime(2024, 5, 18, 1, 58, 10, tzinfo=UTC)}
    assert (result.dropped, result.rejects) == ({"warc_warcinfo": 1, "warc_request": 1}, [])


def deflated(body: bytes) -> bytes:
    packing = zlib.compressobj(wbits=-15)
    return packing.compress(body) + packing.flush()


CODED = {
    "chunked": http(chunked(PAGE), Transfer_Encoding="chunked"),
    "gzip": http(gzip.compress(PAGE), Content_Encoding="gzip"),
    "gzip, cut": http(gzip.compress(PAGE + b" " * 5000)[:-8], Content_Encoding="gzip"),
    "gzip, then chunked": http(chunked(gzip.compress(PAGE)), Transfer_Encoding="gzip, chunked"),
    "gzip in chunks": http(chunked(gzip.compress(PAGE)), Content_Encoding="x-gzip", Transfer_Encoding="chunked"),
    "brotli": http(brotli.compress(PAGE), Content_Encoding="br"),
    "zlib": http(zlib.compress(PAGE), Content_Encoding="deflate"),
    "raw deflate": http(deflated(PAGE), Content_Encoding="deflate"),
    "zstd": http(zstandard.compress(PAGE), Content_Encoding="zstd"),
    "stored as decoded": http(PAGE, Content_Encoding="gzip", Transfer_Encoding="chunked"),
    "brotli, stored as decoded": http(PAGE, Content_Encoding="br"),
    "bare line feeds": http(PAGE).replace(b"\r\n", b"\n"),
    "unlabelled": http(PAGE, media="application/octet-stream"),
}  # fmt: skip


@pytest.mark.parametrize("name", CODED)
def test_a_body_reads_the_same_in_every_coding(name, reading):
    assert reading(record(CODED[name]), "a.warc").column("text") == [TEXT]


@given(st.binary(max_size=300), st.integers(1, 40))
def test_chunks_together_are_the_body(body, size):
    assert unchunked(chunked(body, size)) == body


def test_what_is_no_document_is_dropped_with_its_reason_and_all_adds_up(reading):
    cases = {
        "http_status": [record(http(b"", status="301 Moved")), record(http(PAGE, status="404 Not Found"))],
        "media_type": [
            record(http(b"\x89PNG", media="image/png")),
            record(http(b"\x89PNG\0\0", media="text/html")),
            record(http(b"body {}", media="text/css")),
            record(http(b"\0\0\1", media="text/plain")),
        ],
        "no_text": [record(http(b"", media="text/html")), record(http(b" \n", media="text/plain"))],
        "warc_revisit": [record(b"", kind="revisit")],
        "warc_other": [record(b"x", kind="novel"), record(b"x", kind="resource", uri="metadata://gnu.org/wget")],
    }
    result = reading(b"".join([GOOD, *(one for group in cases.values() for one in group), GOOD]), "a.warc")
    assert result.dropped == {reason: len(group) for reason, group in cases.items()}
    assert [(row["uri"], row["record"]) for row in result.rows] == [("http://a.b/x", "0"), ("http://a.b/x", "1")]
    assert result.met == 2 + sum(map(len, cases.values()))


DAMAGED = {
    "invalid_warc": record(http(PAGE), Content_Length="many"),
    "corrupt": record(http(b"\x1f\x8b" + b"not gzip at all", Content_Encoding="gzip")),
    "record_too_large": record(http(PAGE + b" " * 50_000)),
}


@pytest.mark.parametrize("reason", DAMAGED)
def test_a_damaged_record_costs_itself(reason, reading):
    result = reading(GOOD + DAMAGED[reason] + GOOD, "a.warc", limits=Limits(max_record_bytes=20_000))
    assert len(result.rows) == 2
    assert set(result.reasons) <= {reason, "invalid_warc"}
    assert reason in result.reasons
    assert all(reject.position >= len(GOOD) and reject.record.isdigit() for reject in result.rejects)


def test_a_body_that_unpacks_beyond_the_limit_is_a_reject_in_every_coding(reading):
    bomb = bytes(30_000_000)
    for coding, packed in {
        "gzip": gzip.compress(bomb),
        "br": brotli.compress(bomb, quality=1),
        "zstd": zstandard.compress(bomb),
    }.items():
        assert reading(record(http(packed, Content_Encoding=coding)), "a.warc").reasons == {"record_too_large": 1}


def test_a_cut_archive_gives_what_came_before_the_cut(reading):
    assert reading((GOOD * 2)[:-60], "a.warc").reasons == {"truncated": 1}
    packed = gzip.compress(GOOD) * 2
    cut = reading(packed[:-30], "a.warc.gz")
    assert (len(cut.rows), cut.reasons) == (1, {"truncated": 1})


@pytest.mark.parametrize(
    ("stated", "last"),
    [
        ("2024-02-29T10:20:30Z", "2024-02-29T10:20:30+00:00"),
        ("2024-02-29T10:20:30.123456789Z", "2024-02-29T10:20:30+00:00"),
        ("2024-02-29T10:20Z", "2024-02-29T10:20:59+00:00"),
        ("2024-02-29", "2024-02-29T23:59:59+00:00"),
        ("2024-02", "2024-02-29T23:59:59+00:00"),
        ("2024-12", "2024-12-31T23:59:59+00:00"),
        ("2023", "2023-12-31T23:59:59+00:00"),
        ("9999", None),
        ("2023-13-01", None),
        ("20240229102030", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_a_cut_warc_date_means_its_last_second_and_a_bad_one_nothing(stated, last):
    assert last_moment(stated) == last


def test_a_source_that_states_its_own_known_at_overrides_the_crawls(reading):
    result = reading(GOOD, "2026-01-31.warc", known_at=KnownAt(path=r"(?P<date>\d{4}-\d\d-\d\d)"))
    assert result.column("known_at") == [None]


def test_target_uris_lose_brackets_and_keep_spaces_as_escapes(reading):
    for stated, uri in {
        "<http://a.b/x>": "http://a.b/x",
        "http://a.b/x y\tz": "http://a.b/x%20y%20z",
        "": "a.warc",
    }.items():
        assert reading(record(http(PAGE), uri=stated), "a.warc").column("uri") == [uri]


REAL = [
    "aut/example.docs.warc.gz", "dolma/sample-0000.warc.gz", "pywb/iana.warc.gz", "resiliparse/warcfile.warc.gz",
    "ukwa/BL-20140325122341434-00000-32090~opera~8443.warc.gz", "ukwa/transfer_compression_brotli.warc",
    "warcio/example-iana.org-chunked.warc", "warcio/example.warc.gz", "whirlwind/whirlwind.warc.wet.gz",
]  # fmt: skip


@pytest.mark.parametrize("name", REAL)
def test_real_archives_have_the_records_that_fastwarc_finds(name, reading, shared_data: Path):
    path = shared_data / "webcrawl_warc" / name
    raw = path.read_bytes()
    plain = gzip.decompress(raw) if name.endswith(".gz") else raw
    found = [one.headers.get("WARC-Type", "") for one in ArchiveIterator(io.BytesIO(plain), parse_http=False)]
    result = reading(path, path.name)
    assert (result.met, result.rejects) == (len(found), [])
    kinds = {kind: found.count(kind) for kind in ("warcinfo", "request", "metadata", "revisit") if kind in found}
    assert {kind: result.dropped[f"warc_{kind}"] for kind in kinds} == kinds


def arc(blocks: list[tuple[str, str, str, bytes]], version: int = 1) -> bytes:
    """An ARC file (Arc File Format, 1996): URL, date, media type and block of each record."""
    more = " 200 - - 0 x.arc" if version == 2 else ""
    names = "URL IP-address Archive-date Content-type " + (
        "Result-code Checksum Location Offset Filename " if more else ""
    )
    said = f"{version} 0 Tests\n{names}Archive-length\n".encode()
    parts = [b"filedesc://x.arc 0.0.0.0 20140216050221 text/plain%s %d\n%s" % (more.encode(), len(said), said)]
    for uri, date, media, block in blocks:
        parts.append(f"{uri} 1.2.3.4 {date} {media}{more} {len(block)}\n".encode() + block)
    return b"\n".join(parts) + b"\n"


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("packed", [bytes, gzip.compress])
def test_an_arc_has_the_documents_that_the_same_pages_have_in_a_warc(version, packed, reading):
    uris = {"http://a.b/x y?z=Live Web": "http://a.b/x%20y?z=Live%20Web", "http://a.b/plain": "http://a.b/plain"}
    blocks = [(uri, "20240518015810", "text/html", http(PAGE)) for uri in uris]
    blocks += [("http://a.b/gone", "20240518015810", "text/html", http(PAGE, status="404 Gone"))]
    blocks += [("dns:a.b", "20240518015810", "text/dns", b"20240518015810\na.b. 1 IN A 1.2.3.4\n")]
    blocks += [("http://a.b/day", "20240518", "text/html", http(PAGE))]
    result = reading(packed(arc(blocks, version)), "in/crawl")
    warc = reading(b"".join(record(http(PAGE), uri=uri) for uri in uris), "in/crawl")
    assert result.rows[:2] == warc.rows
    assert result.column("known_at")[2] == datetime(2024, 5, 18, 23, 59, 59, tzinfo=UTC)
    assert (result.dropped, result.rejects) == ({"warc_warcinfo": 1, "http_status": 1, "media_type": 1}, [])


def test_a_damaged_arc_record_costs_itself(reading):
    good = [("http://a.b/x", "20240518015810", "text/html", http(PAGE))]
    whole = arc(good * 3)
    for wrong in (b" -1\n", b" abc\n", b" \n"):
        length = b" %d\n" % len(http(PAGE))
        first = whole.index(length)
        result = reading(whole[:first] + wrong + whole[first + len(length) :], "a.arc")
        assert len(result.rows) == 2 and set(result.reasons) == {"invalid_warc"}
    assert reading(whole[:-200], "a.arc").reasons == {"truncated": 1}


def test_rows_of_a_typed_table_are_all_records_with_what_their_headers_say(reading):
    wat = b'{"Envelope": {"Format": "WARC"}}'
    records = [
        record(b"software: x\r\n", kind="warcinfo", Content_Type="application/warc-fields"),
        record(http(PAGE), WARC_Record_ID="<urn:1>", WARC_Payload_Digest="sha1:A"),
        record(
            http(b"", status="304 Not Modified"),
            kind="revisit",
            WARC_Refers_To_Target_URI="http://a.b/x",
            WARC_Refers_To_Date="2024-05",
        ),
        b"no record\r\n",
        record(wat, kind="metadata", Content_Type="application/json"),
        record(TEXT.encode(), kind="conversion", WARC_Identified_Content_Language="eng", Content_Type="text/plain"),
    ]
    result = reading(b"".join(records), "crawl.warc", table="crawl")
    rows = {row["record_type"]: row for row in result.rows}
    assert result.column("record_type") == ["warcinfo", "response", "revisit", "metadata", "conversion"]
    assert result.column("_record") == ["0", "1", "2", "4", "5"] and result.reasons == {"invalid_warc": 1}
    assert rows["warcinfo"]["text"] == "software: x" and rows["metadata"]["text"] == wat.decode()
    assert (rows["response"]["http_status"], rows["response"]["http_content_type"]) == (200, "text/html")
    assert (rows["response"]["record_id"], rows["response"]["payload_digest"]) == ("<urn:1>", "sha1:A")
    assert rows["revisit"]["refers_to_target_uri"] == "http://a.b/x" and rows["revisit"]["http_status"] == 304
    assert rows["revisit"]["refers_to_date"] == datetime(2024, 5, 31, 23, 59, 59, tzinfo=UTC)
    assert (rows["conversion"]["language"], rows["conversion"]["text"]) == ("eng", None)
    assert rows["response"]["date"] == datetime(2024, 5, 18, 1, 58, 10, tzinfo=UTC)
    places = {row["offset"]: row["length"] for row in result.rows}
    whole = b"".join(records)
    assert all(whole[at : at + 5] == b"WARC/" and length < len(whole) for at, length in places.items())


@given(st.lists(st.sampled_from(["\r\n", "\n"]), min_size=1, max_size=6), st.integers(1, 40), st.integers(0, 3000))
def test_heads_are_read_the_same_wherever_the_buffer_ends_in_them(ends, lines, before):
    """Against the definition: lines up to the first empty one, and what has a colon in them."""
    said = {f"name-{at}": "v" * at for at in range(lines)}
    head = "".join(f"Name-{at}: {'v' * at}{ends[at % len(ends)]}" for at in range(lines)) + ends[-1]
    raw = (
        b"\n" * (warc_records.BLOCK - before)
        + b"WARC/1.0\r\n"
        + head.replace("Name-0: ", "Content-Length: 3").encode()
        + b"abc\r\n\r\n"
    )
    member = Member("u", "n", lambda: io.BytesIO(raw))
    (found,) = warc_records.records(member, max_bytes=1000)
    assert isinstance(found, warc_records.Record)
    del said["name-0"]
    assert found.fields == {**said, "content-length": "3"} and found.block == b"abc"


@pytest.mark.parametrize("name", ["example.arc", "example.arc.gz"])
def test_real_arcs_are_read(name, reading, shared_data: Path):
    result = reading(shared_data / "webcrawl_warc" / "warcio" / name, name)
    assert (len(result.rows), result.rejects) == (1, [])
    assert "This domain is established" in result.rows[0]["text"] and result.rows[0]["uri"].startswith(
        "http://example.com/"
    )


def test_lz4_holds_what_gzip_holds(reading, shared_data: Path):
    folder = shared_data / "webcrawl_warc" / "resiliparse"
    assert (
        reading(folder / "warcfile.warc.lz4", "a.warc.lz4").rows
        == reading(folder / "warcfile.warc.gz", "a.warc.gz").rows
    )


def test_headers_for_robots_and_miners_are_columns_beside_what_the_page_says(reading):
    own = PAGE.replace(b"<title>", b'<meta name=robots content="noai"><meta name=tdm-reservation content=0><title>')
    head = "X-Robots-Tag: noindex\r\nx-robots-tag: NOAI, nosnippet\r\nTDM-Reservation: 1\r\nTDM-Policy: /p.json\r\n"
    said = http(own).replace(b"Content-Type", head.encode() + b"Content-Type")
    plain = http(TEXT.encode(), media="text/plain", TDM_Reservation="0")
    result = reading(
        record(said) + record(plain, uri="http://a.b/t") + record(http(PAGE), uri="http://a.b/z"), "a.warc"
    )
    assert [(row["robots"], row["tdm_reservation"], row["tdm_policy"]) for row in result.rows] == [
        ("noai, noindex, nosnippet", True, "http://a.b/p.json"),
        (None, False, None),
        (None, None, None),
    ]
