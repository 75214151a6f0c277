"""Pages and plain texts of a web archive (WARC, ISO 28500:2017): one document a response, resource or conversion.

uri: the record's target URI. known_at: WARC-Date, when the crawl saw the page, unless the source states another; of a
date cut to the day, month or year (WARC 1.1, 5.4) the last second in it, so that nothing is known too early; of no
date, when the run was planned. What is no document is dropped and counted: ``warc_<type>`` for requests, metadata,
revisits and their like, ``http_status`` for other answers than 200 and 203, ``media_type`` for what is neither HTML
nor plain text, ``no_text``.

gzip and zstd around the file or around each record are opened before (``containers``). A record that is damaged costs
itself: reading goes on at the next line that begins with ``WARC/``. A parser of our own in Python: a record costs 30
us beside the 5 ms of its page, and fastwarc, the reference in the tests, gives up a file where a record's length is
wrong.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

import brotli
import zstandard

from warehouse.contracts import Dropped, Readings, Reject
from warehouse.sources.containers import Member
from warehouse.sources.guard import guarded
from warehouse.sources.html import Document, columns, page_document
from warehouse.sources.records import Documents
from warehouse.sources.text import decoded

BLOCK = 1 << 20
MAX_HEAD = 1 << 16  # bytes of the headers of a record, or of an HTTP message
HELD_PAGES, HELD_CHARS = 256, 4 << 20
UNNUMBERED = "?"
KINDS = ("request", "metadata", "revisit", "warcinfo", "continuation")
PAGES = ("text/html", "application/xhtml+xml")
HTML_START = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?>(?:<!--.*?-->\s*)*)<(?:!doctype\s+html|html|head|body|title)\b",
    re.IGNORECASE | re.DOTALL,
)
CHARSET = re.compile(r"""charset\s*=\s*["']?([\w.:-]+)""", re.IGNORECASE)
CHUNK = re.compile(rb"[ \t]*([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n")
DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?Z?)?)?)?")


@dataclass(frozen=True, slots=True)
class Record:
    """A record: its place in the stream, its named fields in lower case, its block."""

    offset: int
    fields: dict[str, str]
    block: bytes


class Damage(Exception):
    """A coded body that is not what it says."""


def read_documents(member: Member, documents: Documents) -> Readings:
    """Documents of the archive, about 4 MB of text a batch."""
    held: list[tuple[int, Document]] = []
    found: Document | Reject | Dropped
    for number, item in enumerate(guarded(_records(member, documents), uri=member.uri, reason="not_warc")):
        found = _numbered(item, number) if isinstance(item, Reject) else _document(item, number, documents)
        if isinstance(found, (Reject, Dropped)):
            yield found
            continue
        held.append((number, found))
        if len(held) >= HELD_PAGES or sum(len(page["text"] or "") for _, page in held) >= HELD_CHARS:
            yield from _batch(held, documents)
            held = []
    yield from _batch(held, documents)


def _numbered(reject: Reject, number: int) -> Reject:
    return replace(reject, record=str(number)) if reject.record == UNNUMBERED else reject


def _batch(held: list[tuple[int, Document]], documents: Documents) -> Readings:
    if held:
        yield from documents.batch([number for number, _ in held], columns([page for _, page in held]))


def _records(member: Member, documents: Documents) -> Iterator[Record | Reject]:
    """The records, and a Reject for each stretch of bytes that is none."""
    with io.BufferedReader(member.open(), BLOCK) as stream:  # type: ignore[type-var]  # every stream given here is raw
        reader = _Reader(stream, member.uri, documents.source.limits.max_record_bytes)
        yield from reader.records()


@dataclass(slots=True)
class _Reader:
    """Records from a stream; ``offset`` counts its bytes."""

    stream: BinaryIO
    uri: str
    max_bytes: int
    offset: int = 0

    def records(self) -> Iterator[Record | Reject]:
        line = self._line()
        while line:
            if not line.strip():
                line = self._line()
            elif line.startswith(b"WARC/"):
                yield self._record(self.offset - len(line))
                line = self._line()
            else:
                start, first = self.offset - len(line), line[:200]
                while line and not line.startswith(b"WARC/"):
                    line = self._line()
                yield self._bad(
                    start, "invalid_warc", f"{self.offset - len(line) - start} bytes that are no record", first
                )

    def _record(self, start: int) -> Record | Reject:
        fields = self._fields()
        length = fields.get("content-length", "")
        if not re.fullmatch(r"\d{1,15}", length):
            return self._bad(start, "invalid_warc", f"a record with Content-Length {length[:40]!r}", b"")
        block = self._block(int(length))
        if block is None:
            return self._bad(start, "record_too_large", f"a record of {length} bytes, more than {self.max_bytes}", b"")
        if len(block) < int(length):
            return self._bad(
                start, "truncated", f"the archive ends {int(length) - len(block)} bytes before its record", block
            )
        return Record(start, fields, block)

    def _fields(self) -> dict[str, str]:
        head = b""
        while len(head) < MAX_HEAD and (line := self._line()) and line.strip():
            head += line
        return named_fields(head)

    def _block(self, size: int) -> bytes | None:
        """The bytes, fewer at the end of the stream; None, and skipped, where they are too many."""
        if size <= self.max_bytes:
            block = self.stream.read(size)
            self.offset += len(block)
            return block
        left = size
        while left and (chunk := self.stream.read(min(left, BLOCK))):
            left -= len(chunk)
            self.offset += len(chunk)
        return None

    def _line(self) -> bytes:
        line = self.stream.readline(MAX_HEAD)
        self.offset += len(line)
        return line

    def _bad(self, start: int, reason: str, message: str, first: bytes) -> Reject:
        return Reject(self.uri, UNNUMBERED, reason, message, start, None, first[:200])


def named_fields(head: bytes) -> dict[str, str]:
    """Field names in lower case -> values; a folded line goes on, of two equal names the last wins."""
    text = re.sub(r"\r?\n[ \t]+", " ", head.decode("utf-8", "replace"))
    pairs = (line.partition(":") for line in text.splitlines())
    return {name.strip().lower(): value.strip() for name, colon, value in pairs if colon}


def _document(record: Record, number: int, documents: Documents) -> Document | Reject | Dropped:
    kind = record.fields.get("warc-type", "").lower()
    if kind not in ("response", "resource", "conversion") or (target_uri(record.fields) or "").startswith("metadata:"):
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
    return {**found, "uri": target_uri(record.fields), "known_at": _known_at(record, documents)}


def _payload(
    payload: bytes, stated: str, record: Record, number: int, documents: Documents
) -> Document | Reject | Dropped:
    """The document that the payload is by its media type; HTML by its first bytes where the type says nothing."""
    media = stated.partition(";")[0].strip().lower()
    charset = CHARSET.search(stated)
    place = {"uri": documents.uri, "number": number, "position": record.offset}
    if media in PAGES or (media in ("", "application/octet-stream", "text/plain") and HTML_START.match(payload)):
        if b"\0" in payload[:512] and not payload.startswith((b"\xff\xfe", b"\xfe\xff")):
            return Dropped(documents.uri, str(number), "media_type")
        name = charset[1] if charset else None
        return page_document(payload, charset=name, address=target_uri(record.fields) or "", **place)  # type: ignore[arg-type]
    if media != "text/plain":
        return Dropped(documents.uri, str(number), "media_type")
    text = decoded(payload, documents.uri)
    if isinstance(text, Reject) or not text.strip():
        return Dropped(documents.uri, str(number), "media_type" if isinstance(text, Reject) else "no_text")
    return {"text": text.strip()}


def http_message(block: bytes) -> tuple[str, dict[str, str], bytes]:
    """Status, fields and body of an HTTP/1 response (RFC 9112); bare line feeds end lines too."""
    found = re.search(rb"\r?\n\r?\n", block[:MAX_HEAD])
    head, body = (block[: found.start()], block[found.end() :]) if found else (block, b"")
    first, _, rest = head.partition(b"\n")
    words = first.split(None, 2)
    status = words[1].decode("latin-1") if len(words) > 1 else ""
    return status, named_fields(rest), body


def uncoded(body: bytes, headers: dict[str, str], *, max_bytes: int) -> bytes:
    """The body without its transfer and content codings. Raises Damage.

    Crawlers store bodies that are decoded already under the headers of the coded ones: what does not begin as its
    coding does is taken as it is.
    """
    for header in ("transfer-encoding", "content-encoding"):
        for coding in reversed([word.strip().lower() for word in headers.get(header, "").split(",")]):
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


def target_uri(fields: dict[str, str]) -> str | None:
    """The target URI without the angle brackets that wget adds, white space in it as %20; null for none."""
    stated = fields.get("warc-target-uri", "").strip()
    stated = stated[1:-1] if stated.startswith("<") and stated.endswith(">") else stated
    return re.sub(r"\s", "%20", stated.strip()) or None


def _known_at(record: Record, documents: Documents) -> str | None:
    return None if documents.source.known_at.path else last_moment(record.fields.get("warc-date", ""))


def last_moment(stated: str) -> str | None:
    """The last second that a WARC-Date may mean, ISO 8601 in UTC; null where it is no date."""
    found = DATE.fullmatch(stated.strip())
    if found is None:
        return None
    parts = [int(part) for part in found.groups() if part is not None]
    try:
        year, month, day, *clock = [*parts, 1, 1][: max(3, len(parts))]
        start = datetime(year, month, day, *clock).replace(tzinfo=UTC)  # type: ignore[arg-type]  # two or three numbers
        return _end(start, len(parts)).isoformat()
    except (ValueError, OverflowError):
        return None


def _end(start: datetime, parts: int) -> datetime:
    """The last second of the year, month, day or minute that starts then, by how many parts were stated."""
    if parts >= 6:
        return start
    if parts == 1:
        after = start.replace(year=start.year + 1)
    elif parts == 2:
        after = (start + timedelta(days=31)).replace(day=1)
    else:
        after = start + (timedelta(days=1) if parts == 3 else timedelta(minutes=1))
    return after - timedelta(seconds=1)
