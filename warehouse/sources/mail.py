"""E-mail, one document a message: a file of one (RFC 5322) or an mbox, known by its first line ``From ... date``.

text: the text/plain parts, of multipart/alternative the first; where a message has only HTML, all visible text of
that. title: Subject; published_at: Date; stated_language: Content-Language. Every attachment, attached messages too,
is dropped as ``attachment``, a message without text as ``no_text``. No address goes into a column; what stands in the
body stays. mbox: a line ``From `` ends a message only where a date is in it, and one ``>`` before a quoted ``From ``
is taken away (mboxrd).
"""

from __future__ import annotations

import email
import io
import re
from collections.abc import Iterator
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from typing import BinaryIO

import pyarrow as pa

from warehouse.contracts import Dropped, Readings, Reject
from warehouse.sources import parsing
from warehouse.sources.containers import Member
from warehouse.sources.guard import guarded
from warehouse.sources.html import columns, refused
from warehouse.sources.page import moment, tag
from warehouse.sources.records import Documents
from warehouse.sources.rights import Document

BLOCK = 1 << 20
MAX_LINE = 1 << 16
MAX_SEPARATOR = 300  # bytes of an mbox separator; of a header that is shown, ten times that
SEPARATOR = re.compile(rb"From \S.*\d\d:\d\d.*\d{4}")
QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)
HEADERS = re.compile(rb"^(?:From|Date|Subject|Message-ID|Received|To):", re.IGNORECASE | re.MULTILINE)
FIRST = re.compile(
    rb"(?:Return-Path|Received|Delivered-To|From|To|Date|Subject|Message-ID|MIME-Version|X-[\w-]+):[ \t]", re.IGNORECASE
)
SENDER = re.compile(rb"^From:", re.IGNORECASE | re.MULTILINE)
SENT = re.compile(rb"^(?:Date|Received|Message-ID):", re.IGNORECASE | re.MULTILINE)
TEXTS = ("text/plain", "text/html")


def begins(head: bytes) -> bool:
    """Whether these are the first bytes of an mbox, or of a message: a header first, a sender, and a date or a path."""
    fields = re.split(rb"\r?\n\r?\n", head, maxsplit=1)[0]
    named = FIRST.match(fields) and SENDER.search(fields) and SENT.search(fields)
    return named is not None or SEPARATOR.match(head[:MAX_SEPARATOR].partition(b"\n")[0]) is not None


def read_documents(member: Member, documents: Documents) -> Readings:
    """Documents of the member's messages."""
    number = -1
    for number, item in enumerate(guarded(_messages(member, documents), uri=member.uri, reason="not_mail")):
        if isinstance(item, Reject):
            yield item
        else:
            offset, raw = item
            read = _message(raw, number, offset, documents)
            yield from guarded(read, uri=member.uri, record=str(number), reason="not_mail")
    if number < 0:
        yield Dropped(member.uri, "", "empty_object")


def _messages(member: Member, documents: Documents) -> Iterator[tuple[int, bytes] | Reject]:
    """Offset and bytes of each message, or a Reject of one that is too large."""
    limit = documents.source.limits.max_record_bytes
    with io.BufferedReader(member.open(), BLOCK) as stream:  # type: ignore[type-var]  # every stream given here is raw
        many = SEPARATOR.match(stream.peek(MAX_SEPARATOR)[:MAX_SEPARATOR].partition(b"\n")[0]) is not None
        for number, (offset, size, raw) in enumerate(_split(stream, many, limit)):
            if size > limit:
                message = f"a message of {size} bytes, more than {limit}"
                yield Reject(member.uri, str(number), "record_too_large", message, offset, None, raw[:200])
            else:
                yield offset, QUOTED.sub(rb"\1", raw) if many else raw


def _split(stream: BinaryIO, many: bool, limit: int) -> Iterator[tuple[int, int, bytes]]:
    """Offset, size and bytes (as far as ``limit``) of each message of an mbox, without its separator; else of the
    whole.
    """
    start = offset = size = 0
    held: list[bytes] = []
    blank = True
    while line := stream.readline(MAX_LINE):
        if many and blank and SEPARATOR.match(line[:MAX_SEPARATOR]):
            if offset:
                yield start, size, b"".join(held)
            start, size, held = offset, 0, []
        else:
            size += len(line)
            if size <= limit or not held:
                held.append(line)
        offset += len(line)
        blank = not line.strip()
    if offset:
        yield start, size, b"".join(held)


def _message(raw: bytes, number: int, offset: int, documents: Documents) -> Iterator[pa.RecordBatch | Reject | Dropped]:
    """The message's document, and what of it is none."""
    head = raw.lstrip()[:MAX_LINE]
    if not HEADERS.search(head.partition(b"\n\n")[0]) or b"\0" in raw:
        yield Reject(
            documents.uri, str(number), "not_mail", "no header of a message, or NUL in it", offset, None, raw[:200]
        )
        return
    message = email.message_from_bytes(raw.lstrip())
    parts, attached = bodies(message)
    yield from (Dropped(documents.uri, f"{number}.{at}", "attachment") for at in range(attached))
    try:
        text = "\n\n".join(found for part in parts if (found := _text(part)))
    except (parsing.ParserDied, parsing.ParserFailed) as error:
        yield refused(error, raw, uri=documents.uri, record=str(number), position=offset)
        return
    if not text.strip():
        yield Dropped(documents.uri, str(number), "no_text")
        return
    document: Document = {
        "text": text,
        "title": header(message, "Subject"),
        "published_at": moment(header(message, "Date") or ""),
        "stated_language": tag(header(message, "Content-Language")),
    }
    yield from documents.batch([number], columns([document]))


def bodies(part: Message) -> tuple[list[Message], int]:
    """The parts whose text is the message's, in order, and the number of attachments."""
    kind = part.get_content_type()
    if part.is_multipart() and kind.startswith("multipart/"):
        children = [child for child in part.get_payload() if isinstance(child, Message)]
        found = [bodies(child) for child in children]
        if kind == "multipart/alternative":
            return _best([texts for texts, _ in found if texts]), sum(count for _, count in found)
        return [text for texts, _ in found for text in texts], sum(count for _, count in found)
    attached = part.get_content_disposition() == "attachment" or part.get_filename() is not None
    return ([part], 0) if kind in TEXTS and not attached else ([], 1)


def _best(alternatives: list[list[Message]]) -> list[Message]:
    """The first that has plain text, else the first."""
    plain = (texts for texts in alternatives if any(text.get_content_type() == "text/plain" for text in texts))
    return next(plain, alternatives[0] if alternatives else [])


def _text(part: Message) -> str:
    raw = part.get_payload(decode=True)
    content = raw if isinstance(raw, bytes) else b""
    charset = part.get_content_charset()
    if part.get_content_type() == "text/html":
        return str(parsing.parsed(content, charset=charset, whole=True)["text"] or "")
    return _decoded(content, charset).replace("\r\n", "\n").replace("\r", "\n").strip()


def _decoded(raw: bytes, charset: str | None) -> str:
    """As the part states, else UTF-8, else Windows-1252."""
    for name in (charset, "utf-8"):
        try:
            return raw.decode(name or "utf-8")
        except (UnicodeError, LookupError, ValueError):
            continue
    return raw.decode("cp1252", "replace")


def header(message: Message, name: str) -> str | None:
    """A header's text on one line, its encoded words decoded (RFC 2047) where they can be; null for none."""
    stated = message.get(name)
    if stated is None:
        return None
    try:
        text = str(make_header(decode_header(str(stated)[: 10 * MAX_SEPARATOR])))
    except (HeaderParseError, UnicodeError, LookupError, ValueError):
        text = str(stated)[: 10 * MAX_SEPARATOR]
    clean = text.encode("utf-8", "replace").decode()
    return " ".join(clean.split())[:300] or None
