"""Lines of text from a byte stream in bounded memory, for a parser that wants lines with their ends.

Where nothing is declared and no byte order mark tells, the charset is guessed from the first MiB (``charset``), UTF-8
where nothing is likely; bytes that are not in it become surrogates, so that they spoil their own record alone. An
object without a line feed in its first block and with carriage returns has those as line ends.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from warehouse.contracts import Reject
from warehouse.sources.charset import guessed
from warehouse.sources.guard import guarded

BLOCK = 1 << 20
END = "\x1eend of object\x1e"
MARKS_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(slots=True)
class Lines:
    """Lines of text with their ends and a last line END, which a parser whose quote is still open takes into its row.

    A line beyond ``max_chars`` becomes a Reject instead; where the stream fails, the lines before that are given.
    """

    stream: BinaryIO
    uri: str
    encoding: str | None
    max_chars: int
    chars: int = 0
    skipping: bool = False
    rejects: list[Reject] = field(default_factory=list)

    def __iter__(self) -> Iterator[str]:
        for text in guarded(self._blocks(), uri=self.uri, reason="not_csv"):
            if isinstance(text, Reject):
                self.rejects.append(text)
                continue
            self.chars += len(text)
            yield from io.StringIO(text, newline="\n")
        yield END

    def taken(self) -> list[Reject]:
        """The Rejects since the last call; ``record`` is ``?`` for those of a line, empty for the object's own."""
        found, self.rejects = self.rejects, []
        return found

    def _blocks(self) -> Iterator[str]:
        """Text in blocks of whole lines; broken UTF-8 as surrogates, so that it spoils its row alone."""
        decoder, tail, end = None, "", "\n"
        for chunk in iter(lambda: self.stream.read(BLOCK), b""):
            if decoder is None:
                decoder = _decoder(chunk, self.encoding)
                end = "\r" if b"\r" in chunk and b"\n" not in chunk else "\n"
            text = self._resumed(tail + decoder.decode(chunk), end)
            cut = text.rfind(end) + 1
            tail = self._bounded(text[cut:])
            yield text[:cut].replace("\r", "\n") if end == "\r" else text[:cut]
        tail = self._resumed(tail + (decoder.decode(b"", True) if decoder else ""), end)
        yield tail.replace("\r", "\n") if end == "\r" else tail

    def _resumed(self, text: str, end: str) -> str:
        """The text after the line that is being skipped, if one is."""
        if not self.skipping:
            return text
        at = text.find(end)
        self.skipping = at < 0
        return "" if at < 0 else text[at + 1 :]

    def _bounded(self, tail: str) -> str:
        if len(tail) <= self.max_chars:
            return tail
        message = f"a line of more than {self.max_chars} characters"
        first = tail[:200].encode("utf-8", "replace")[:200]
        self.rejects.append(Reject(self.uri, "?", "record_too_large", message, -1, None, first))
        self.skipping = True
        return ""


def _decoder(chunk: bytes, encoding: str | None) -> codecs.IncrementalDecoder:
    """A decoder for the object that starts with ``chunk``, which takes away a byte order mark."""
    if chunk.startswith(MARKS_UTF16):
        return codecs.getincrementaldecoder("utf-16")("strict")
    if encoding is None and not chunk.startswith(codecs.BOM_UTF8):
        encoding = guessed(chunk)
    return codecs.getincrementaldecoder(encoding or "utf-8-sig")("surrogateescape")
