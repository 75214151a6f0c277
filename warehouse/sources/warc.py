"""Pages and plain texts of a web archive (WARC, WET, ARC): one document a response, resource or conversion.

uri: the record's target URI. known_at: WARC-Date, when the crawl saw the page, unless the source states another; of a
date cut to the day, month or year (WARC 1.1, 5.4) the last second in it, so that nothing is known too early; of no
date, when the run was planned. What is no document is dropped and counted: ``warc_<type>`` for requests, metadata,
revisits and their like, ``http_status`` for other answers than 200 and 203, ``media_type`` for what is neither HTML
nor plain text, ``no_text``. A revisit states that the page was the same, and whose: rows of a typed table say so
(``warc_table``). Bodies are decoded from chunks, gzip, deflate, brotli and zstd; the packing of the file or of each of
its records is opened before (``containers``).
"""

from __future__ import annotations

import re
import zlib
from dataclasses import replace

import brotli
import zstandard

from warehouse.contracts import Dropped, Readings, Reject
from warehouse.sources.containers import Member
from warehouse.sources.guard import guarded
from warehouse.sources.html import columns, page_document
from warehouse.sources.records import Documents
from warehouse.sources.rights import Document, with_headers
from warehouse.sources.text import decoded
from warehouse.sources.warc_records import UNNUMBERED, Record, http_message, last_moment, records, target_uri

HELD_PAGES, HELD_CHARS = 256, 4 << 20
KINDS = ("request", "metadata", "revisit", "warcinfo", "continuation")
PAGES = ("text/html", "application/xhtml+xml")
HTML_START = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?>(?:<!--.*?-->\s*)*)<(?:!doctype\s+html|html|head|body|title)\b",
    re.IGNORECASE | re.DOTALL,
)
CHARSET = re.compile(r"""charset\s*=\s*["']?([\w.:-]+)""", re.IGNORECASE)
CHUNK = re.compile(rb"[ \t]*([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n")


class Damage(Exception):
    """A coded body that is not what it says."""


def read_documents(member: Member, documents: Documents) -> Readings:
    """Documents of the archive, about 4 MB of text a batch."""
    held: list[tuple[int, Document]] = []
    chars = 0
    found: Document | Reject | Dropped
    read = records(member, max_bytes=documents.source.limits.max_record_bytes)
    number = -1
    for number, item in enumerate(guarded(read, uri=member.uri, reason="not_warc")):
        found = numbered(item, number) if isinstance(item, Reject) else _document(item, number, documents)
        if isinstance(found, (Reject, Dropped)):
            yield found
            continue
        held.append((number, found))
        chars += len(str(found["text"] or ""))
        if len(held) >= HELD_PAGES or chars >= HELD_CHARS:
            yield from _batch(held, documents)
            held, chars = [], 0
    yield from _batch(held, documents)
    if number < 0:
        yield Dropped(member.uri, "", "empty_object")


def numbered(reject: Reject, number: int) -> Reject:
    """The Reject of a record that ``records`` gave, with the record's number."""
    return replace(reject, record=str(number)) if reject.record == UNNUMBERED else reject


def _batch(held: list[tuple[int, Document]], documents: Documents) -> Readings:
    if held:
        yield from documents.batch([number for number, _ in held], columns([page for _, page in held]))


def _document(record: Record, number: int, documents: Documents) -> Document | Reject | Dropped:
    kind = record.fields.get("warc-type", "").lower()
    address = target_uri(record.fields)
    if kind not in ("response", "resource", "conversion") or (address or "").startswith("metadata:"):
        return Dropped(documents.uri, str(number), f"warc_{kind}" if kind in KINDS else "warc_other")
    headers, body = ({"content-type": record.fields.get("content-type", "")}, record.block)
    if kind == "response" and record.block.startswith(b"HTTP/"):
        status, headers, body = http_message(record.block)
        if status not in ("200", "203"):
            return Dropped(documents.uri, str(number), "http_status")
    try:
        payload = uncoded(body, headers, max_bytes=documents.source.limits.max_record_bytes)
    except Damage as error:
        reason = "record_too_large" if error.args[0] == "size" else "corrupt"
        return Reject(documents.uri, str(number), reason, str(error.args[1]), record.offset, None, body[:200])
    found = _payload(payload, headers.get("content-type", ""), record, number, documents)
    if isinstance(found, (Reject, Dropped)):
        return found
    said = with_headers(found, headers, address or "")
    return {**said, "uri": address, "known_at": _known_at(record, documents)}


def _payload(
    payload: bytes, stated: str, record: Record, number: int, documents: Documents
) -> Document | Reject | Dropped:
    """The document that the payload is by its media type; HTML by its first bytes where the type says nothing."""
    media = stated.partition(";")[0].strip().lower()
    if media in PAGES or (media in ("", "application/octet-stream", "text/plain") and HTML_START.match(payload)):
        if b"\0" in payload[:512] and not payload.startswith((b"\xff\xfe", b"\xfe\xff")):
            return Dropped(documents.uri, str(number), "media_type")
        charset = CHARSET.search(stated)
        return page_document(
            payload,
            uri=documents.uri,
            number=number,
            position=record.offset,
            charset=charset[1] if charset else None,
            address=target_uri(record.fields) or "",
        )
    if media != "text/plain":
        return Dropped(documents.uri, str(number), "media_type")
    text = decoded(payload, documents.uri)
    if isinstance(text, Reject) or not text.strip():
        return Dropped(documents.uri, str(number), "media_type" if isinstance(text, Reject) else "no_text")
    return {"text": text.strip()}


def uncoded(body: bytes, headers: dict[str, str], *, max_bytes: int) -> bytes:
    """The body without its transfer and content codings. Raises Damage.

    Crawlers store bodies that are decoded already under the headers of the coded ones: what does not begin as its
    coding does is taken as it is.
    """
    for header in ("transfer-encoding", "content-encoding"):
        if stated := headers.get(header):
            for coding in reversed([word.strip().lower() for word in stated.split(",")]):
                body = _uncoded(body, coding, max_bytes)
    return body


def _uncoded(body: bytes, coding: str, max_bytes: int) -> bytes:
    if coding == "chunked":
        return unchunked(body)
    if coding in ("gzip", "x-gzip") and body.startswith(b"\x1f\x8b"):
        return _inflated(body, zlib.MAX_WBITS | 32, max_bytes)
    if coding == "deflate" and body and not HTML_START.match(body):
        zlib_wrapped = body[0] & 15 == 8 and int.from_bytes(body[:2]) % 31 == 0
        return _inflated(body, zlib.MAX_WBITS if zlib_wrapped else -zlib.MAX_WBITS, max_bytes)
    if coding == "br" and body and not HTML_START.match(body):
        return _from_brotli(body, max_bytes)
    if coding == "zstd" and body.startswith(b"\x28\xb5\x2f\xfd"):
        return _from_zstd(body, max_bytes)
    return body


def unchunked(body: bytes) -> bytes:
    """The chunks together (RFC 9112, 7.1), up to the first that is none; the body as it is where that is the first."""
    at, parts = 0, []
    while header := CHUNK.match(body, at):
        size = int(header[1], 16)
        parts.append(body[header.end() : header.end() + size])
        at = header.end() + size
        at += 2 if body[at : at + 2] == b"\r\n" else body[at : at + 1] == b"\n"
        if size == 0:
            break
    return b"".join(parts) if parts else body


def _inflated(body: bytes, wbits: int, max_bytes: int) -> bytes:
    unpacking = zlib.decompressobj(wbits)
    try:
        return _bounded(unpacking.decompress(body, max_bytes + 1), max_bytes)
    except zlib.error as error:
        raise Damage("coding", f"a body that is no {'gzip' if wbits > 32 else 'deflate'}: {error}") from None


def _from_brotli(body: bytes, max_bytes: int) -> bytes:
    unpacking = brotli.Decompressor()
    try:
        unpacked = unpacking.process(body, output_buffer_limit=max_bytes + 1)
        while len(unpacked) <= max_bytes and not unpacking.can_accept_more_data() and not unpacking.is_finished():
            unpacked += unpacking.process(b"", output_buffer_limit=max_bytes + 1)
    except brotli.error as error:
        raise Damage("coding", f"a body that is no brotli: {error}") from None
    return _bounded(unpacked, max_bytes)


def _from_zstd(body: bytes, max_bytes: int) -> bytes:
    try:
        with zstandard.ZstdDecompressor().stream_reader(body) as stream:
            return _bounded(stream.read(max_bytes + 1), max_bytes)
    except zstandard.ZstdError as error:
        raise Damage("coding", f"a body that is no zstd: {error}") from None


def _bounded(unpacked: bytes, max_bytes: int) -> bytes:
    if len(unpacked) > max_bytes:
        raise Damage("size", f"a body that unpacks to more than {max_bytes} bytes")
    return unpacked


def _known_at(record: Record, documents: Documents) -> str | None:
    return None if documents.source.known_at.path else last_moment(record.fields.get("warc-date", ""))
