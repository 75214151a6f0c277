"""One document a file: plain text, Markdown and reStructuredText.

Charset: as ``dialect.encoding`` states it, else a UTF-8 or UTF-16 byte order mark, else as ``charset`` guesses it, else
Windows-1252; bytes that a guess has no character for are replaced. Text with a NUL, or with more than 1 % control
characters in its first 64 kB, is ``binary_content``. The title is the first heading (``# Title``, or a line underlined
by one of = - ~ # *), else the file's name.
"""

from __future__ import annotations

import re
from contextlib import closing

import pyarrow as pa

from warehouse.contracts import Dropped, Readings, Reject
from warehouse.sources.charset import MARKS, guessed
from warehouse.sources.containers import Member
from warehouse.sources.records import Documents

CONTROL = bytes([*range(0x09), *range(0x0E, 0x1B), *range(0x1C, 0x20)])
HEADING = re.compile(r"^#{1,6}[ \t]+(\S.*?)[ \t#]*$|^(\S[^\n]*)\n([=\-~#*])\3{2,}[ \t]*$", re.MULTILINE)
HEAD_CHARS = 1 << 16


def read_documents(member: Member, documents: Documents) -> Readings:
    """The member's document; a blank file is dropped."""
    raw = load(member, max_bytes=documents.source.limits.max_record_bytes)
    encoding = documents.source.dialect.encoding
    text = raw if isinstance(raw, Reject) else decoded(raw, member.uri, encoding)
    if isinstance(text, Reject):
        yield text
    elif text.strip():
        yield from documents.batch([0], document(text, title(text) or member.name))
    else:
        yield Dropped(member.uri, "", "empty_object")


def document(text: str, heading: str) -> dict[str, pa.Array]:
    """The columns of one document."""
    return {"text": pa.array([text], pa.large_string()), "title": pa.array([heading[:300]], pa.string())}


def load(member: Member, *, max_bytes: int) -> bytes | Reject:
    """All bytes of the member, or a Reject where it has more than ``max_bytes``."""
    parts, left = [], max_bytes
    with closing(member.open()) as stream:
        while left >= 0 and (chunk := stream.read(1 << 20)):
            parts.append(chunk)
            left -= len(chunk)
    if left < 0:
        return Reject(member.uri, "0", "record_too_large", f"more than {max_bytes} bytes", 0, None, parts[0][:200])
    return b"".join(parts)


def decoded(raw: bytes, uri: str, encoding: str | None = None) -> str | Reject:
    """The text, with line feeds as its only line ends, or a Reject where it is none.

    Raises UnicodeError where it is not in the stated encoding.
    """
    text = raw.decode(encoding).removeprefix("\ufeff") if encoding else _decoded(raw)
    head = text[:HEAD_CHARS].encode("utf-8", "replace") if text is not None else b""
    if text is None or "\0" in text or (len(head) - len(head.translate(None, CONTROL))) * 100 > len(head):
        return Reject(uri, "0", "binary_content", "not text: NUL or control characters", 0, None, raw[:200])
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _decoded(raw: bytes) -> str | None:
    """The text by mark or guess; None where bytes that are no UTF-8 have a NUL."""
    for mark, name in MARKS:
        if raw.startswith(mark):
            return raw[len(mark) :].decode(name, "replace")
    if b"\0" in raw:
        return None
    if b"\x1b" not in raw:  # of ISO 2022, whose bytes are ASCII
        try:
            return raw.decode()
        except UnicodeDecodeError:
            pass
    return raw.decode(guessed(raw) or "cp1252", "replace")


def title(text: str) -> str | None:
    """The first heading in the first 64 kB."""
    found = HEADING.search(text, 0, HEAD_CHARS)
    return (found[1] or found[2]).strip() if found else None
