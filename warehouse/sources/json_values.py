"""JSON values of a stream that are not one a line: one after another in any layout, or the elements of one array.

Python's scanner (``json``, C) finds where a value ends, the reader's own parser says what it is, so that a value costs
both. At most a value of ``max_bytes`` and a block are held. A value that is none costs what follows it up to the next
line that begins with a brace or bracket; in an array, all that follows.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from warehouse.sources.charset import MARKS
from warehouse.sources.lines import BLOCK

HEAD_BYTES = 1 << 16
BLANK = re.compile(r"[ \t\r\n]*")
NEXT = re.compile(r"(?<=\n)[{\[]")
ZEROS = {(False, True): "utf-16-le", (True, False): "utf-16-be"}
_SCANNER = json.JSONDecoder()
_NEAR = 24  # an error so near to the end of what was read may be a value that is cut there


class Utf8:
    """The bytes of a stream in UTF-8: as they are, or from UTF-16, whose halves of surrogate pairs become U+FFFD.

    UTF-16 bears a byte order mark, or begins with an ASCII character, one of whose bytes is zero (RFC 4627, section 3).
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._head = stream, b""
        self._decoder: codecs.IncrementalDecoder | None = None
        self._begun = False

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes of what is stored, in UTF-8; empty at the end."""
        if not self._begun:
            self._begin()
        if self._head:
            given, self._head = self._head[:size], self._head[size:]
            return given
        raw = self._stream.read(size)
        made = self._changed(raw)
        return self.read(size) if raw and not made else made

    def _begin(self) -> None:
        head = self._stream.read(HEAD_BYTES)
        marked = next((name for mark, name in MARKS[1:] if head.startswith(mark)), None)
        name = marked or ZEROS.get((head[:1] == b"\0", head[1:2] == b"\0"))
        self._decoder = codecs.getincrementaldecoder(name)("replace") if name else None
        self._head = self._changed(head[2:] if marked else head)
        self._begun = True

    def close(self) -> None:
        self._stream.close()

    def _changed(self, raw: bytes) -> bytes:
        return raw if self._decoder is None else self._decoder.decode(raw, not raw).encode()


@dataclass(frozen=True, slots=True)
class Value:
    """One value's bytes, its index and byte offset; ``refused`` says why it is none."""

    number: int
    offset: int
    raw: bytes
    refused: str = ""


def layout(head: bytes) -> str:
    """``lines``, or ``values`` where the first value of the member goes on after its first line or is followed there by
    another one, or ``array`` where that value is an array over several lines.
    """
    text = head.decode("utf-8", "surrogateescape").removeprefix("\ufeff").lstrip(" \t\r\n")
    line = text.partition("\n")[0].rstrip()
    if text[:1] not in ("{", "["):
        return "lines"
    try:
        end = _SCANNER.raw_decode(text)[1]
    except json.JSONDecodeError as error:
        return _many(text) if _cut(error, text) and len(text) > len(line) + 2 else "lines"
    except RecursionError:
        return "lines"
    followed = end < len(line) and line[end:].lstrip()[:1] in ("{", "[")
    return _many(text) if end > len(line) else "values" if followed else "lines"


def _many(text: str) -> str:
    return "array" if text[0] == "[" else "values"


def _cut(error: json.JSONDecodeError, text: str) -> bool:
    """Whether more of the text might mend it."""
    return error.msg.startswith("Unterminated string") or error.pos >= len(text) - _NEAR


def values(stream: Utf8, *, max_bytes: int, array: bool = False) -> Iterator[Value]:
    """The values of the stream; ``array``: the elements of the one that it holds."""
    text = _Text(stream, max_bytes)
    number = 0
    text.skip()
    if array:
        text.take(1)
        text.skip()
        if text.first() == "]":
            text.take(1)
            array = False
            text.skip()
    while text.first():
        value = text.value(number)
        yield value
        number += 1
        if value.refused and array:
            return
        if value.refused:
            text.to_next()
            continue
        text.skip()
        if array:
            sign = text.first()
            if sign not in (",", "]"):
                yield Value(number, text.offset, text.opening(), f"{sign!r} after an element" if sign else "cut array")
                return
            text.take(1)
            text.skip()
            array = sign == ","
            if array and not text.first():
                yield Value(number, text.offset, b"", "cut array")


class _Text:
    """What was read of a stream and not taken, as text; broken UTF-8 as surrogates."""

    def __init__(self, stream: Utf8, max_bytes: int) -> None:
        self._stream, self._max = stream, max_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._text, self._at, self._ended = "", 0, False
        self.offset = 0
        self._more()
        if self._text.startswith("\ufeff"):
            self.take(1)

    def first(self) -> str:
        return self._text[self._at : self._at + 1]

    def opening(self) -> bytes:
        return self._text[self._at : self._at + 200].encode("utf-8", "surrogateescape")[:200]

    def take(self, size: int) -> bytes:
        raw = self._text[self._at : self._at + size].encode("utf-8", "surrogateescape")
        self._at += size
        self.offset += len(raw)
        return raw

    def skip(self) -> None:
        """Take blanks, over as many blocks as they last."""
        while True:
            found = BLANK.match(self._text, self._at)
            self.take(found.end() - self._at if found else 0)
            if self.first() or not self._more():
                return

    def value(self, number: int) -> Value:
        """Take the next value; one that is none is not taken."""
        start = self.offset
        while True:
            try:
                end = _SCANNER.raw_decode(self._text, self._at)[1]
                if end == len(self._text) and self._more():
                    continue  # a number may go on
                return Value(number, start, self.take(end - self._at))
            except json.JSONDecodeError as error:
                if _cut(error, self._text) and len(self._text) - self._at <= self._max and self._more():
                    continue
                large = len(self._text) - self._at > self._max
                said = f"a value of more than {self._max} bytes" if large else error.msg
            except RecursionError:
                said = "nested too deep"
            return Value(number, start, self.opening(), said)

    def to_next(self) -> None:
        """Take all up to the next line that begins with a brace or bracket."""
        self.take(1)
        while (found := NEXT.search(self._text, self._at)) is None:
            self.take(max(0, len(self._text) - self._at - 1))
            if not self._more():
                self.take(1)
                return
        self.take(found.start() - self._at)

    def _more(self) -> bool:
        """Read on, as much again as is held; False at the end."""
        if self._ended:
            return False
        held = self._text[self._at :]
        raw = self._stream.read(max(BLOCK, len(held)))
        self._ended = not raw
        self._text, self._at = held + self._decoder.decode(raw, not raw), 0
        return not self._ended
