"""Records of web archives: WARC (ISO 28500:2017) with WET and WAT, and ARC (Internet Archive, 1996), one after another.

A record that is damaged costs itself: reading goes on at the next line that begins with ``WARC/`` or is the header of
an ARC record. A parser of our own in Python, 7 us a record beside the 20 us of its inflating: fastwarc, the reference
in the tests, knows no ARC and gives up a file where a record's length is wrong.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from warehouse.contracts import Reject
from warehouse.sources.containers import Member

BLOCK = 1 << 16  # of which each record's header looks at a copy
MAX_HEAD = 1 << 16  # bytes of the headers of a record, or of an HTTP message
UNNUMBERED = "?"
STARTS = (b"WARC/", b"filedesc:")
ARC = re.compile(
    rb"([A-Za-z][A-Za-z0-9+.-]*:.*?) (\d+\.\d+\.\d+\.\d+|[0-9A-Fa-f]*:[0-9A-Fa-f:.]+) (\d{4,18}|null|-) (\S+)(?: .*)?"
    rb" (-?\w+)\r?\n?"
)
"""URL, IP address, date, media type, in version 2 five fields more, length (Arc File Format, versions 1 and 2)."""
FOLDED = re.compile(r"\r?\n[ \t]+")
WHOLE_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
ROBOTS = re.compile(r"^x-robots-tag[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
WHITE = re.compile(r"\s")
DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?Z?)?)?)?")


@dataclass(frozen=True, slots=True)
class Record:
    """A record: its place in the stream, its named fields in lower case, its block.

    An ARC record has the fields that WARC calls them by; its type is ``response`` where it holds an HTTP message.
    """

    offset: int
    fields: dict[str, str]
    block: bytes


def records(member: Member, *, max_bytes: int) -> Iterator[Record | Reject]:
    """The records, and a Reject for each stretch of bytes that is none; its ``record`` is UNNUMBERED."""
    with io.BufferedReader(member.open(), BLOCK) as stream:  # type: ignore[type-var]  # every stream given here is raw
        yield from _Reader(stream, member.uri, max_bytes).records()


@dataclass(slots=True)
class _Reader:
    """Records from a stream; ``offset`` counts its bytes."""

    stream: io.BufferedReader[Any]
    uri: str
    max_bytes: int
    offset: int = 0

    def records(self) -> Iterator[Record | Reject]:
        line = self._line()
        while line:
            if line.startswith(b"WARC/"):
                yield self._warc(self.offset - len(line))
                line = self._line()
            elif not line.strip():
                line = self._line()
            elif header := ARC.fullmatch(line):
                yield self._arc(self.offset - len(line), header)
                line = self._line()
            else:
                start, first = self.offset - len(line), line[:200]
                while line and not line.startswith(b"WARC/") and not ARC.fullmatch(line):
                    line = self._line()
                yield self._bad(
                    start, "invalid_warc", f"{self.offset - len(line) - start} bytes that are no record", first
                )

    def _warc(self, start: int) -> Record | Reject:
        fields = named_fields(self._head())
        return self._record(start, fields, fields.get("content-length", ""))

    def _arc(self, start: int, header: re.Match[bytes]) -> Record | Reject:
        uri, _, date, media, length = (part.decode("utf-8", "replace") for part in header.groups())
        fields = {"warc-target-uri": uri, "warc-date": _arc_date(date), "content-type": media}
        found = self._record(start, fields, length)
        if isinstance(found, Record):
            kind = "response" if found.block.startswith(b"HTTP/") else "resource"
            fields["warc-type"] = "warcinfo" if uri.startswith("filedesc:") else kind
        return found

    def _record(self, start: int, fields: dict[str, str], length: str) -> Record | Reject:
        if not (length.isascii() and length.isdigit() and len(length) <= 15):
            return self._bad(start, "invalid_warc", f"a record of length {length[:40]!r}", b"")
        size = int(length)
        block = self._block(size)
        if block is None:
            return self._bad(start, "record_too_large", f"a record of {size} bytes, more than {self.max_bytes}", b"")
        if len(block) < size:
            return self._bad(start, "truncated", f"the archive ends {size - len(block)} bytes before its record", block)
        return Record(start, fields, block)

    def _head(self) -> bytes:
        """The lines before the first empty one."""
        ahead = self.stream.peek()
        end = ahead.find(b"\n\r\n")
        if 0 <= end < MAX_HEAD and b"\n\n" not in ahead[: end + 1] and ahead[:1] not in b"\r\n":
            self.offset += end + 3
            return self.stream.read(end + 3)
        head = b""
        while len(head) < MAX_HEAD and (line := self._line()) and line not in (b"\n", b"\r\n"):
            head += line
        return head

    def _block(self, size: int) -> bytes | None:
        """The bytes, fewer at the end of the stream; None, and skipped, where they are too many."""
        if size <= self.max_bytes:
            block = self.stream.read(size)
            self.offset += len(block)
            return block
        left = size
        while left and (chunk := self.stream.read(min(left, 1 << 20))):
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
    text = head.decode("utf-8", "replace")
    if "\n " in text or "\n\t" in text:
        text = FOLDED.sub(" ", text)
    pairs = [line.partition(":") for line in text.split("\n")]
    return {name.strip().lower(): value.strip() for name, colon, value in pairs if colon}


def http_message(block: bytes) -> tuple[str, dict[str, str], bytes]:
    """Status, fields and body of an HTTP/1 response (RFC 9112); bare line feeds end lines too."""
    found = re.search(rb"\r?\n\r?\n", block[:MAX_HEAD])
    head, body = (block[: found.start()], block[found.end() :]) if found else (block, b"")
    first, _, rest = head.partition(b"\n")
    words = first.split(None, 2)
    status = words[1].decode("latin-1") if len(words) > 1 else ""
    fields = named_fields(rest)
    if "x-robots-tag" in fields:  # the one header that stands several times and counts each time
        fields["x-robots-tag"] = ", ".join(ROBOTS.findall(rest.decode("utf-8", "replace")))
    return status, fields, body


def target_uri(fields: dict[str, str]) -> str | None:
    """The target URI without the angle brackets that wget adds, white space in it as %20; null for none."""
    stated = fields.get("warc-target-uri", "").strip()
    stated = stated[1:-1].strip() if stated.startswith("<") and stated.endswith(">") else stated
    return WHITE.sub("%20", stated) or None


def last_moment(stated: str) -> str | None:
    """The last second that a WARC-Date may mean, ISO 8601 in UTC; null where it is no date."""
    if WHOLE_DATE.fullmatch(stated):
        try:
            return datetime.fromisoformat(stated).isoformat()
        except ValueError:
            return None
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


def _arc_date(digits: str) -> str:
    """YYYYMMDDhhmmss, further digits aside, or the beginning of it, as a WARC-Date; of no date no date."""
    year, month, day, hour, minute, second = digits[:4], *(digits[at : at + 2] for at in range(4, 14, 2))
    date = "-".join(part for part in (year, month, day) if part)
    return f"{date}T{':'.join(part for part in (hour, minute, second) if part)}Z" if minute else date
